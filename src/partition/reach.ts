import { bytesBetween, secondsBetween } from './problem.ts'
import type { Group, Problem } from './problem.ts'

/**
 * For each boundary, where the longest range ends that begins there, fits into
 * the group's memory and takes `limit` seconds at most. Never falls: a range
 * without its first unit needs less of everything.
 */
export function furthestEnds (problem: Problem, group: Group, limit: number): Int32Array {
  const { unitCount } = problem
  const ends = new Int32Array(unitCount + 1)
  let end = 0
  for (let from = 0; from <= unitCount; from++) {
    end = Math.max(end, from)
    while (end < unitCount && fits(problem, group, limit, from, end + 1)) end++
    ends[from] = end
  }
  return ends
}

function fits (problem: Problem, group: Group, limit: number, from: number, to: number): boolean {
  return bytesBetween(problem, from, to) <= group.budget && secondsBetween(problem, group, from, to) <= limit
}
