import { TIE } from './constants.ts'
import type { Problem } from './problem.ts'

/** A machine, by its index, and the units [from, to) that it runs. */
export interface Assignment {
  machine: number
  from: number
  to: number
}

/** Plans over a set of orders of the machines, for a limit on the seconds of any one stage. */
export interface Search {
  /** last boundary up to which the machines can run the units from the first one on */
  furthest: (limit: number) => number
  /** assignments in order, of least latency; undefined where the machines do not reach the end */
  cheapest: (limit: number) => Assignment[] | undefined
}

/**
 * The least limit with which a search reaches the end, between `low` (not above
 * it) and `high` (enough). Whether a limit is enough changes only at the time
 * of some range on some machine, so halving down to neighbouring floats ends
 * at that time exactly.
 */
export function leastLimit ({ furthest }: Search, unitCount: number, low: number, high: number): number {
  if (furthest(low) === unitCount) return low
  for (;;) {
    const middle = low + (high - low) / 2
    if (middle <= low || middle >= high) return high
    if (furthest(middle) === unitCount) high = middle
    else low = middle
  }
}

/** No stage of any plan takes longer than this. */
export function mostSeconds ({ work, unitCount, groups }: Problem): number {
  return work[unitCount] / Math.min(...groups.map(({ speed }) => speed))
}

/** Difference of latencies that counts as none. */
export function tieSeconds ({ work, unitCount, groups }: Problem): number {
  return TIE * work[unitCount] / Math.max(...groups.map(({ speed }) => speed))
}

/**
 * Whether a plan of cost `a` is better than one of cost `b`; where they are
 * equal, the one whose squares of stage times sum up to less, so that equal
 * machines get nearly equal work.
 */
export function isBetter (a: number, squaresA: number, b: number, squaresB: number, tie: number): boolean {
  return a < b - tie || (a <= b + tie && squaresA < squaresB)
}
