import { secondsBetween } from './problem.ts'
import { furthestEnds } from './reach.ts'
import { isBetter, tieSeconds } from './search.ts'
import type { Group, Problem } from './problem.ts'
import type { Assignment, Search } from './search.ts'

/**
 * Plans in which the machines follow each other in a given order; any may be
 * left out. Exact. `furthest` gives each machine in turn all it can take, which
 * leaves the least to those after it; `cheapest` is dynamic programming over
 * (machine, boundary), in machines × units² steps.
 */
export function createOrderedSearch (problem: Problem, order: readonly number[]): Search {
  const groupOf: Group[] = []
  for (const group of problem.groups) for (const machine of group.members) groupOf[machine] = group
  const reach = (limit: number) => new Map(problem.groups.map(group => [group, furthestEnds(problem, group, limit)]))
  return {
    furthest: limit => {
      const ends = reach(limit)
      return order.reduce((boundary, machine) => ends.get(groupOf[machine])![boundary], 0)
    },
    cheapest: limit => {
      const ends = reach(limit)
      return cheapestInOrder(problem, order.map(machine => ({ machine, group: groupOf[machine], ends: ends.get(groupOf[machine])! })))
    }
  }
}

interface Candidate {
  machine: number
  group: Group
  ends: Int32Array
}

function cheapestInOrder (problem: Problem, candidates: readonly Candidate[]): Assignment[] | undefined {
  const { unitCount } = problem
  const tie = tieSeconds(problem)
  const cost = new Float64Array(unitCount + 1).fill(Infinity)
  const squares = new Float64Array(unitCount + 1)
  cost[0] = 0
  // where the range of a machine begins that ends at a boundary, or -1 where the machine is left out
  const begins = candidates.map(({ group, ends }) => {
    const begin = new Int32Array(unitCount + 1).fill(-1)
    let first = unitCount
    // from the last boundary down: what is read is still of the machines before
    for (let to = unitCount; to > 0; to--) {
      first = Math.min(first, to)
      while (first > 0 && ends[first - 1] >= to) first--
      for (let from = first; from < to; from++) {
        if (cost[from] === Infinity) continue
        const seconds = secondsBetween(problem, group, from, to)
        const total = cost[from] + seconds + group.hopSeconds
        const square = squares[from] + seconds * seconds
        if (!isBetter(total, square, cost[to], squares[to], tie)) continue
        cost[to] = total
        squares[to] = square
        begin[to] = from
      }
    }
    return begin
  })
  if (cost[unitCount] === Infinity) return undefined
  const stages: Assignment[] = []
  let to = unitCount
  for (let i = candidates.length - 1; i >= 0; i--) {
    const from = begins[i][to]
    if (from === -1) continue
    stages.unshift({ machine: candidates[i].machine, from, to })
    to = from
  }
  return stages
}
