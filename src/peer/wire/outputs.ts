import type { RowOutput } from '../../engine/index.ts'
import { MAXIMUM_SCORE, MAXIMUM_TOP } from '../constants.ts'
import { FrameError } from '../errors.ts'
import { OutputKind } from './kinds.ts'

export interface OutputRequest {
  row: number
  output: RowOutput
}

export function outputsByteLength (outputs: readonly OutputRequest[]): number {
  let words = 0
  for (const { output } of outputs) words += 3 + (output.kind === 'score' ? output.ids.length : 0)
  return 4 * words
}

/** Writes into u32 words; the caller has reserved `outputsByteLength`. */
export function writeOutputs (outputs: readonly OutputRequest[], words: Uint32Array): void {
  let at = 0
  for (const { row, output } of outputs) {
    words[at++] = row
    words[at++] = OutputKind[output.kind]
    if (output.kind === 'top') {
      words[at++] = output.count
    } else if (output.kind === 'score') {
      words[at++] = output.ids.length
      words.set(output.ids, at)
      at += output.ids.length
    } else {
      words[at++] = 0
    }
  }
}

/** Rows ascending and below `rows`; counts capped before anything is reserved. */
export function readOutputs (words: Uint32Array, count: number, rows: number): OutputRequest[] {
  const outputs: OutputRequest[] = []
  let at = 0
  let previous = -1
  for (let index = 0; index < count; index++) {
    if (at + 3 > words.length) throw new FrameError('output requests', 'end too early')
    const row = words[at]
    const kind = words[at + 1]
    const size = words[at + 2]
    at += 3
    if (row <= previous || row >= rows) throw new FrameError('output request', `is for row ${row} of ${rows}, or out of order`)
    previous = row
    if (kind === OutputKind.top) {
      if (size < 1 || size > MAXIMUM_TOP) throw new FrameError('output request', `wants the ${size} best; 1 to ${MAXIMUM_TOP} are allowed`)
      outputs.push({ row, output: { kind: 'top', count: size } })
    } else if (kind === OutputKind.logits) {
      if (size !== 0) throw new FrameError('output request', 'for all logits has a count')
      outputs.push({ row, output: { kind: 'logits' } })
    } else if (kind === OutputKind.score) {
      if (size > MAXIMUM_SCORE) throw new FrameError('output request', `scores ${size} ids; ${MAXIMUM_SCORE} are allowed`)
      if (at + size > words.length) throw new FrameError('output requests', 'end too early')
      outputs.push({ row, output: { kind: 'score', ids: Array.from(words.subarray(at, at + size)) } })
      at += size
    } else {
      throw new FrameError('output request', `has unknown kind ${kind}`)
    }
  }
  if (at !== words.length) throw new FrameError('output requests', 'are longer than their count')
  return outputs
}
