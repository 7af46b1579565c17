import type { UnitRange } from '../../model/index.ts'
import { TIE } from './constants.ts'
import { addThroughput, rangeWork } from './throughput.ts'

export interface ChooseRangeInit {
  /** what `routeWork` says */
  unitWork: readonly number[]
  /** tokens per second of each unit without the peer (`unitThroughput`) */
  throughput: Float64Array
  /** for each unit the longest range that begins with it and fits (`capacityOf`) */
  capacity: readonly UnitRange[]
  /** work per second */
  speed: number
  /** only ranges with this unit */
  unit?: number
}

/**
 * The range that a peer is to serve: the one after which the weakest unit of
 * the swarm is as strong as can be, of such the one after which the next weakest
 * is, and so on; of equal ones the longest, then the first. Only ranges that
 * cannot be extended are looked at: shorter ones would be faster, but every one
 * of them is a hop more for somebody.
 *
 * Undefined where the peer has room for nothing.
 */
export function chooseRange (init: ChooseRangeInit): UnitRange | undefined {
  let best: { range: UnitRange, sorted: Float64Array } | undefined
  for (const range of longestRanges(init.capacity)) {
    if (init.unit !== undefined && !(range.from <= init.unit && init.unit < range.to)) continue
    const sorted = throughputWith(init, range).sort()
    const order = best === undefined ? 1 : compareWeakest(sorted, best.sorted)
    if (order > 0 || (order === 0 && range.to - range.from > best!.range.to - best!.range.from)) best = { range, sorted }
  }
  return best?.range
}

/** Tokens per second of each unit if the peer serves a range. */
export function throughputWith ({ unitWork, throughput, speed }: Pick<ChooseRangeInit, 'unitWork' | 'throughput' | 'speed'>, range: UnitRange): Float64Array {
  const after = throughput.slice()
  addThroughput(after, range, speed / rangeWork(unitWork, range))
  return after
}

/** Ranges that are no part of another one. */
function longestRanges (capacity: readonly UnitRange[]): UnitRange[] {
  let end = 0
  return capacity.filter(({ from, to }) => {
    const longer = to > from && to > end
    end = Math.max(end, to)
    return longer
  })
}

/** Above 0 where the first of two sorted lists is the better one: the weakest that differ decide. */
export function compareWeakest (a: Float64Array, b: Float64Array): number {
  for (let i = 0; i < a.length; i++) {
    const difference = a[i] - b[i]
    if (Math.abs(difference) > TIE * Math.max(a[i], b[i])) return difference
  }
  return 0
}
