import type { RowResult } from '../../engine/index.ts'
import { ANSWER_FRAME_BYTES } from '../constants.ts'
import { resultByteLength } from '../wire/index.ts'

/** Cuts results into the frames of one answer, at least one; a single result is never cut. */
export function splitResults (results: readonly RowResult[]): RowResult[][] {
  const frames: RowResult[][] = [[]]
  let bytes = 0
  for (const result of results) {
    const size = resultByteLength(result)
    if (bytes > 0 && bytes + size > ANSWER_FRAME_BYTES) {
      frames.push([])
      bytes = 0
    }
    frames[frames.length - 1].push(result)
    bytes += size
  }
  return frames
}
