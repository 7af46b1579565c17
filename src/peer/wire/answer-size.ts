import type { OutputRequest } from './outputs.ts'

const RESULT_HEAD_BYTES = 24

/** Bytes on the wire of the results of these requests, padding left out. */
export function answerByteLength (outputs: readonly OutputRequest[], vocabularySize: number): number {
  let bytes = 0
  for (const { output } of outputs) {
    bytes += RESULT_HEAD_BYTES
    if (output.kind === 'logits') bytes += 4 * vocabularySize
    else bytes += 8 * (output.kind === 'top' ? Math.min(output.count, vocabularySize) : output.ids.length)
  }
  return bytes
}
