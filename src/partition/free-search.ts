import { EXACT_ENTRIES, EXACT_STEPS } from './constants.ts'
import { secondsBetween } from './problem.ts'
import { furthestEnds } from './reach.ts'
import { isBetter, tieSeconds } from './search.ts'
import type { Group, Problem } from './problem.ts'
import type { Assignment, Search } from './search.ts'

/** A group with at most as many members as there are stages, and its weight in the number of a state. */
interface Digit {
  group: Group
  count: number
  stride: number
}

/**
 * Plans over all orders of the machines. Exact: dynamic programming over
 * (how many of each group are used, boundary), which over machines that all
 * differ is the one over subsets (Held and Karp 1962), and over machines that
 * are alike is short.
 */
export function createFreeSearch (problem: Problem): Search {
  const { digits, states } = countStates(problem)
  return {
    furthest: limit => furthestOfAll(problem, digits, states, limit),
    cheapest: limit => cheapestOfAll(problem, digits, states, limit)
  }
}

/** Whether that search is small enough to be made. */
export function isFreeSearchShort (problem: Problem): boolean {
  const { digits, states } = countStates(problem)
  const boundaries = problem.unitCount + 1
  return states * boundaries <= EXACT_ENTRIES && states * boundaries * boundaries / 2 * digits.length <= EXACT_STEPS
}

function countStates ({ groups, unitCount }: Problem): { digits: Digit[], states: number } {
  let states = 1
  const digits = groups.map((group): Digit => {
    const count = Math.min(group.members.length, unitCount)
    const digit = { group, count, stride: states }
    states *= count + 1
    return digit
  })
  return { digits, states }
}

/** How many of a group are used in a state. */
function used ({ stride, count }: Digit, state: number): number {
  return Math.floor(state / stride) % (count + 1)
}

function furthestOfAll (problem: Problem, digits: readonly Digit[], states: number, limit: number): number {
  const ends = digits.map(({ group }) => furthestEnds(problem, group, limit))
  // to have come further is never worse: a group's end does not fall as its begin rises
  const reached = new Int32Array(states)
  for (let state = 1; state < states; state++) {
    let furthest = 0
    for (let d = 0; d < digits.length; d++) {
      if (used(digits[d], state) > 0) furthest = Math.max(furthest, ends[d][reached[state - digits[d].stride]])
    }
    reached[state] = furthest
    if (furthest === problem.unitCount) return furthest
  }
  return reached[states - 1]
}

function cheapestOfAll (problem: Problem, digits: readonly Digit[], states: number, limit: number): Assignment[] | undefined {
  const { unitCount } = problem
  const width = unitCount + 1
  const tie = tieSeconds(problem)
  const ends = digits.map(({ group }) => furthestEnds(problem, group, limit))
  const cost = new Float64Array(states * width).fill(Infinity)
  const squares = new Float64Array(states * width)
  const begin = new Int16Array(states * width)
  const last = new Int16Array(states * width)
  cost[0] = 0
  let best = -1
  for (let state = 0; state < states; state++) {
    const row = state * width
    const complete = row + unitCount
    if (cost[complete] < Infinity && (best === -1 || isBetter(cost[complete], squares[complete], cost[best], squares[best], tie))) best = complete
    for (let d = 0; d < digits.length; d++) {
      const { group, count, stride } = digits[d]
      if (used(digits[d], state) === count) continue
      const next = row + stride * width
      for (let from = 0; from < unitCount; from++) {
        const before = cost[row + from]
        if (before === Infinity) continue
        const end = ends[d][from]
        for (let to = from + 1; to <= end; to++) {
          const seconds = secondsBetween(problem, group, from, to)
          const total = before + seconds + group.hopSeconds
          const square = squares[row + from] + seconds * seconds
          const at = next + to
          if (!isBetter(total, square, cost[at], squares[at], tie)) continue
          cost[at] = total
          squares[at] = square
          begin[at] = from
          last[at] = d
        }
      }
    }
  }
  return best === -1 ? undefined : follow(best, width, digits, begin, last)
}

function follow (end: number, width: number, digits: readonly Digit[], begin: Int16Array, last: Int16Array): Assignment[] {
  const stages: Array<{ digit: Digit, from: number, to: number }> = []
  for (let at = end; at > 0;) {
    const digit = digits[last[at]]
    stages.unshift({ digit, from: begin[at], to: at % width })
    at = (Math.floor(at / width) - digit.stride) * width + begin[at]
  }
  const taken = new Map<Digit, number>()
  return stages.map(({ digit, from, to }) => {
    const next = taken.get(digit) ?? 0
    taken.set(digit, next + 1)
    return { machine: digit.group.members[next], from, to }
  })
}
