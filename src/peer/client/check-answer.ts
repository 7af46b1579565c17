import type { RowResult } from '../../engine/index.ts'
import type { Frame, OutputRequest } from '../wire/index.ts'

/** Whether a frame answers the chunk in shape: positions, rows, and the hidden state where that is due. */
export function answerProblem (frame: Frame, chunk: { position: number, rows: number }, hiddenSize: number | undefined): string | undefined {
  if (frame.position !== chunk.position || frame.rows !== chunk.rows) return `its answer is for rows ${frame.position}+${frame.rows}, asked were ${chunk.position}+${chunk.rows}`
  if (hiddenSize === undefined) return frame.hidden === undefined ? undefined : 'its answer is hidden state, results were due'
  return frame.hidden?.length === chunk.rows * hiddenSize ? undefined : 'its answer holds no hidden state of the right size'
}

/** Whether the results are exactly those asked for. */
export function resultsProblem (results: readonly RowResult[], asked: readonly OutputRequest[], vocabularySize: number): string | undefined {
  if (results.length !== asked.length) return `its answer has results for ${results.length} rows, asked were ${asked.length}`
  for (const [index, { row, output }] of asked.entries()) {
    const result = results[index]
    if (result.row !== row) return `its answer has a result for row ${result.row}, asked was ${row}`
    if (output.kind === 'logits') {
      if (result.logits?.length !== vocabularySize) return 'its answer does not hold all logits'
      continue
    }
    const count = output.kind === 'top' ? Math.min(output.count, vocabularySize) : output.ids.length
    if (result.ids?.length !== count || (output.kind === 'score') !== (result.argmax !== undefined)) return 'its answer holds results of another kind'
    if (result.ids.some(id => id >= vocabularySize) || (result.argmax ?? 0) >= vocabularySize) return 'its answer holds ids beyond the vocabulary'
    if (output.kind === 'score' && output.ids.some((id, at) => result.ids![at] !== id)) return 'its answer scores other ids'
  }
  return undefined
}
