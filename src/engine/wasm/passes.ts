import { sameRange } from '../unit-range.ts'
import type { UnitRange } from '../../model/index.ts'
import type { BatchItem } from '../types.ts'
import type { CheckedItem } from '../batch.ts'

/** Rows [from, from + count) of an item, the `index`-th of its batch. */
export interface Segment {
  index: number
  item: BatchItem
  /** units that run; the same for all segments of a pass */
  range: UnitRange
  from: number
  count: number
}

/**
 * Cuts a batch into passes of at most `maxRows` rows that run the same units.
 * Items of a range keep their order, and those of a session have one range.
 * Items of different sessions share a pass; an item that goes back in a session
 * that the pass already holds begins a new one, for both would write one
 * position.
 */
export function cutPasses (batch: CheckedItem[], maxRows: number): Segment[][] {
  const passes: Segment[][] = []
  for (const [index, { range }] of batch.entries()) {
    if (batch.findIndex(other => sameRange(other.range, range)) === index) cutRange(batch, range, maxRows, passes)
  }
  return passes
}

function cutRange (batch: CheckedItem[], range: UnitRange, maxRows: number, passes: Segment[][]): void {
  let pass: Segment[] = []
  let room = 0
  let ends = new Map<number, number>()
  for (const [index, { item, range: own, rows }] of batch.entries()) {
    if (!sameRange(own, range)) continue
    const end = ends.get(item.session)
    if (end !== undefined && end !== item.position) room = 0
    for (let from = 0; from < rows;) {
      if (room === 0) {
        passes.push(pass = [])
        ends = new Map()
        room = maxRows
      }
      const count = Math.min(room, rows - from)
      pass.push({ index, item, range, from, count })
      from += count
      room -= count
      ends.set(item.session, item.position + from)
    }
  }
}
