import type { BatchItem } from '../types.ts'
import type { CheckedItem } from '../batch.ts'

/** Rows [from, from + count) of an item, the `index`-th of its batch. */
export interface Segment {
  index: number
  item: BatchItem
  from: number
  count: number
}

/**
 * Cuts a batch into passes of at most `maxRows` rows, in order. Items of
 * different sessions share a pass; an item that goes back in a session that
 * the pass already holds begins a new one, for both would write one position.
 */
export function cutPasses (batch: CheckedItem[], maxRows: number): Segment[][] {
  const passes: Segment[][] = []
  let pass: Segment[] = []
  let room = 0
  let ends = new Map<number, number>()
  for (const [index, { item, rows }] of batch.entries()) {
    const end = ends.get(item.session)
    if (end !== undefined && end !== item.position) room = 0
    for (let from = 0; from < rows;) {
      if (room === 0) {
        passes.push(pass = [])
        ends = new Map()
        room = maxRows
      }
      const count = Math.min(room, rows - from)
      pass.push({ index, item, from, count })
      from += count
      room -= count
      ends.set(item.session, item.position + from)
    }
  }
  return passes
}
