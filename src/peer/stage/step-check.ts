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
  /** number of this stage, and of all stages of the route */
  stage: number
  stages: number
  /** positions the session holds once the steps before this one have run */
  length: number
  capacity: number
}

/** What no honest sender sends, whatever it was asked for; or undefined. Shapes are checked here once, for all engines. */
export function stepBreach (frame: Frame, rules: Pick<StepRules, 'architecture' | 'takesTokens' | 'stage' | 'stages'>): string | undefined {
  const { architecture, stage, stages } = rules
  const { rows, spans, until, tokens, hidden } = frame
  // the frame that goes on must not break the rules of the next stream, which others share
  if (spans.length >= stages) return `${spans.length} spans on a route of ${stages} stages`
  if (until !== 0 && (until < stage || until > stages)) return `a replay until stage ${until}, at stage ${stage} of ${stages}`
  if (rules.takesTokens) return tokens === undefined ? 'hidden state, but this stage starts with the embedding and takes token ids' : undefined
  if (hidden === undefined) return 'token ids, but this stage takes hidden state'
  if (hidden.length !== rows * architecture.hiddenSize) return `hidden state of ${hidden.length / rows} elements a row, the model has ${architecture.hiddenSize}`
  return isFinite(hidden) ? undefined : 'hidden state that is not finite'
}

/** Any element that is not finite leaves its mark in the sum; the loop stays free of branches. */
function isFinite (values: Float32Array): boolean {
  let sum = 0
  for (let index = 0; index < values.length; index++) sum += values[index] * 0
  return sum === 0
}

/** Why a step is refused that has the right form, or undefined. */
export function stepProblem (frame: Frame, rules: Pick<StepRules, 'architecture' | 'rowsPerStep' | 'length' | 'capacity'>): string | undefined {
  const { architecture, rowsPerStep, length, capacity } = rules
  const { rows, position } = frame
  if (rows > rowsPerStep) return `${rows} rows; this stage takes ${rowsPerStep} a step`
  if (position > length) return `first position ${position} leaves a gap, the session holds ${length}`
  if (position + rows > capacity) return `positions up to ${position + rows}, the session has room for ${capacity}`
  for (const id of frame.tokens ?? []) {
    if (id >= architecture.vocabularySize) return `token id ${id}, the vocabulary has ${architecture.vocabularySize}`
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
