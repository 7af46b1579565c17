import { MAXIMUM_SCORE, MAXIMUM_TOP } from '../constants.ts'
import { CapacityError, InvalidRequestError } from '../errors.ts'
import type { StepRequest } from '../types.ts'

/** Gives the first position of a step on a session that holds `length`; throws where the request cannot be right. */
export function checkStep ({ tokens, position, outputs = [] }: StepRequest, length: number, capacity: number, vocabularySize: number): number {
  const first = position ?? length
  if (!(tokens.length >= 1)) throw new InvalidRequestError('a step needs at least one token')
  if (!Number.isInteger(first) || first < 0 || first > length) throw new InvalidRequestError(`first position ${first}: the session holds ${length}`)
  if (first + tokens.length > capacity) throw new CapacityError(first + tokens.length, capacity)
  for (const id of tokens) if (id >= vocabularySize) throw new InvalidRequestError(`token id ${id}: the vocabulary has ${vocabularySize}`)
  let previous = -1
  for (const { row, output } of outputs) {
    if (!Number.isInteger(row) || row <= previous || row >= tokens.length) throw new InvalidRequestError(`output of row ${row}: rows ascend, and the step has ${tokens.length}`)
    previous = row
    if (output.kind === 'top' && !(Number.isInteger(output.count) && output.count >= 1 && output.count <= MAXIMUM_TOP)) throw new InvalidRequestError(`the ${output.count} best logits: 1 to ${MAXIMUM_TOP} can be asked for, or all`)
    if (output.kind === 'score' && output.ids.length > MAXIMUM_SCORE) throw new InvalidRequestError(`scores of ${output.ids.length} ids: up to ${MAXIMUM_SCORE} can be asked for, or all logits`)
    if (output.kind === 'score' && output.ids.some(id => !(id >= 0 && id < vocabularySize))) throw new InvalidRequestError(`scores of ids beyond the vocabulary of ${vocabularySize}`)
  }
  return first
}
