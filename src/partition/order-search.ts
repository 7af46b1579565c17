import { EXCHANGES } from './constants.ts'
import { secondsBetween } from './problem.ts'
import { furthestEnds } from './reach.ts'
import { createOrderedSearch } from './ordered-search.ts'
import { leastLimit, mostSeconds } from './search.ts'
import type { Group, Problem } from './problem.ts'
import type { Assignment, Search } from './search.ts'
import type { Objective } from './types.ts'

/**
 * A good order of more machines than all orders of can be searched: the best of
 * some sorted ones, bettered by exchanges of two machines; the plan in that
 * order is then exact.
 *
 * Where memory does not bind, and machines are sorted by falling speed s, the
 * slowest stage takes at most min over k of W / (s_1 + … + s_k) + w / s_k, with
 * W the work of all units and w that of the largest: with that limit each of
 * the first k machines takes at least s_i · W / (s_1 + … + s_k) before its next
 * unit is too much. The best order found is no worse. Where memory binds there
 * is no bound beforehand, but `lowerBound` says how far off a plan is at most.
 */
export function createOrderSearch (problem: Problem, objective: Objective, low: number, exchanges: number = EXCHANGES): Search {
  const orders = sortedOrders(problem)
  const unlimited = orders.map(order => ({ order, reached: createOrderedSearch(problem, order).furthest(Infinity) }))
  const reaching = unlimited.filter(({ reached }) => reached === problem.unitCount)
  if (reaching.length === 0) {
    const { order } = unlimited.reduce((a, b) => b.reached > a.reached ? b : a)
    return createOrderedSearch(problem, exchangeUntil(problem, order, Infinity, exchanges).order)
  }
  const searches = reaching.map(({ order }) => ({ order, search: createOrderedSearch(problem, order) }))
  if (objective === 'latency') {
    return least(searches, ({ search }) => latency(problem, search.cheapest(Infinity)!)).search
  }
  const high = mostSeconds(problem)
  const start = least(searches, ({ search }) => leastLimit(search, problem.unitCount, low, high))
  return exchangeForThroughput(problem, start.order, low, exchanges)
}

function sortedOrders ({ groups, machineCount }: Problem): number[][] {
  const by = (key: (group: Group) => number) => groups.toSorted((a, b) => key(b) - key(a)).flatMap(({ members }) => members)
  return [
    by(({ speed }) => speed),
    by(({ speed }) => -speed),
    by(({ budget }) => budget),
    by(({ budget }) => -budget),
    by(({ budget, speed }) => budget * speed),
    Array.from({ length: machineCount }, (_, machine) => machine)
  ]
}

/** Exchanges machines for as long as that makes the slowest stage faster. */
function exchangeForThroughput (problem: Problem, order: number[], low: number, exchanges: number): Search {
  let left = exchanges
  for (;;) {
    const search = createOrderedSearch(problem, order)
    const limit = leastLimit(search, problem.unitCount, low, mostSeconds(problem))
    const next = exchangeUntil(problem, order, limit * (1 - Number.EPSILON), left)
    left -= next.tried
    if (!next.reached || limit <= low) return search
    order = next.order
  }
}

/** Exchanges two machines again and again, keeping what does not fall back, until the machines reach the end within a limit. */
function exchangeUntil (problem: Problem, start: readonly number[], limit: number, exchanges: number): { order: number[], reached: boolean, tried: number } {
  const ends: Int32Array[] = []
  for (const group of problem.groups) {
    const of = furthestEnds(problem, group, limit)
    for (const machine of group.members) ends[machine] = of
  }
  const order = [...start]
  const random = randomIndexes(order.length)
  const reach = () => order.reduce((boundary, machine) => ends[machine][boundary], 0)
  let best = reach()
  let tried = 0
  for (; tried < exchanges && best < problem.unitCount; tried++) {
    const [a, b] = [random(), random()]
    const exchange = () => { [order[a], order[b]] = [order[b], order[a]] }
    exchange()
    const reached = reach()
    if (reached >= best) best = reached
    else exchange()
  }
  return { order, reached: best === problem.unitCount, tried }
}

/** The same sequence at every run (Numerical Recipes' linear congruential generator), so that plans can be repeated. */
function randomIndexes (count: number): () => number {
  let state = 1
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return Math.floor(state / 2 ** 32 * count)
  }
}

function latency (problem: Problem, stages: readonly Assignment[]): number {
  const groupOf = (machine: number) => problem.groups.find(({ members }) => members.includes(machine))!
  return stages.reduce((sum, { machine, from, to }) => sum + secondsBetween(problem, groupOf(machine), from, to) + groupOf(machine).hopSeconds, 0)
}

function least<T> (items: readonly T[], key: (item: T) => number): T {
  const keys = items.map(key)
  return items[keys.indexOf(Math.min(...keys))]
}
