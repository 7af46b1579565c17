import type { Architecture } from '../../model/index.ts'
import { MAXIMUM_ANSWER_BYTES } from '../constants.ts'
import { answerByteLength } from '../wire/index.ts'
import type { Frame } from '../wire/index.ts'

/** What a step is checked against before it may wait for the engine. */
export interface StepRules {
  architecture: Architecture
  /** the stage starts with the embedding: token ids come in, otherwise hidden state */
  takesTokens: boolean
  rowsPerStep: number
  /** of the route */
  stages: number
  /** positions the session holds once the steps before this one have run */
  length: number
  capacity: number
}

/** Why a step is refused, or undefined. Shapes are checked here once, for all engines. */
export function stepProblem (frame: Frame, rules: StepRules): string | undefined {
  const { architecture, rowsPerStep, length, capacity } = rules
  const { rows, position } = frame
  if (rows > rowsPerStep) return `${rows} rows; this stage takes ${rowsPerStep} a step`
  if (position > length) return `first position ${position} leaves a gap, the session holds ${length}`
  if (position + rows > capacity) return `positions up to ${position + rows}, the session has room for ${capacity}`
  // the frame that goes on must not break the rules of the next stream, which others share
  if (frame.spans.length >= rules.stages) return `${frame.spans.length} spans on a route of ${rules.stages} stages`
  if (rules.takesTokens) {
    if (frame.tokens === undefined) return 'hidden state, but this stage starts with the embedding and takes token ids'
    for (const id of frame.tokens) {
      if (id >= architecture.vocabularySize) return `token id ${id}, the vocabulary has ${architecture.vocabularySize}`
    }
  } else {
    if (frame.hidden === undefined) return 'token ids, but this stage takes hidden state'
    if (frame.hidden.length !== rows * architecture.hiddenSize) return `hidden state of ${frame.hidden.length / rows} elements a row, the model has ${architecture.hiddenSize}`
  }
  const answer = answerByteLength(frame.outputs, architecture.vocabularySize)
  if (frame.outputs.length > 1 && answer > MAXIMUM_ANSWER_BYTES) return `results of ${answer} bytes, ${MAXIMUM_ANSWER_BYTES} are allowed; ask for fewer rows at a time`
  for (const { output } of frame.outputs) {
    if (output.kind !== 'score') continue
    for (const id of output.ids) {
      if (id >= architecture.vocabularySize) return `score of token id ${id}, the vocabulary has ${architecture.vocabularySize}`
    }
  }
  return undefined
}
