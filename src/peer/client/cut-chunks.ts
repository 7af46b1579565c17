import { answerByteLength, outputsByteLength } from '../wire/index.ts'
import type { OutputRequest } from '../wire/index.ts'

export interface ChunkLimits {
  rows: number
  /** of the results of a chunk; a single row may have more */
  answerBytes: number
  /** of the requests of a chunk; a single row may have more */
  outputBytes: number
  vocabularySize: number
}

/** A part of a step; the rows of its outputs are counted from `start`. */
export interface ChunkCut {
  start: number
  rows: number
  outputs: OutputRequest[]
}

/** Cuts a step of `length` rows into chunks, in order, each as long as the limits allow. */
export function cutChunks (length: number, outputs: readonly OutputRequest[], limits: ChunkLimits): ChunkCut[] {
  const chunks: ChunkCut[] = []
  let next = 0
  for (let start = 0; start < length;) {
    let end = Math.min(length, start + limits.rows)
    const wanted: OutputRequest[] = []
    let answer = 0
    let request = 0
    while (next < outputs.length && outputs[next].row < end) {
      const { row, output } = outputs[next]
      answer += answerByteLength([outputs[next]], limits.vocabularySize)
      request += outputsByteLength([outputs[next]])
      if (wanted.length > 0 && (answer > limits.answerBytes || request > limits.outputBytes)) {
        end = row
        break
      }
      wanted.push({ row: row - start, output })
      next++
    }
    chunks.push({ start, rows: end - start, outputs: wanted })
    start = end
  }
  return chunks
}
