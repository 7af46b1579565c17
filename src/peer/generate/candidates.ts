import type { RowOutput, RowResult } from '../../engine/index.ts'
import { VOCABULARY_LIMIT } from './constants.ts'
import { InvalidRowResultError } from './errors.ts'

/**
 * The best logits of a row, best first, equal logits by lowest id; every
 * logit that is not listed is at most the last one listed. Complete where
 * there are as many as `vocabularySize`.
 */
export interface Candidates {
  vocabularySize: number
  ids: ArrayLike<number>
  logits: ArrayLike<number>
  /** natural logarithm of the sum of exp over all logits */
  logSumExp?: number
}

/**
 * What the last stage answered to `output`, checked: number, range, order and
 * finiteness. Throws InvalidRowResultError.
 */
export function candidatesFromRow (row: RowResult, output: RowOutput, vocabularySize: number): Candidates {
  if (output.kind === 'logits') {
    if (row.logits === undefined || row.logits.length !== vocabularySize) {
      throw new InvalidRowResultError('logits', `expected ${vocabularySize} values, got ${row.logits?.length ?? 'none'}`)
    }
    return sortLogits(row.logits)
  }
  if (output.kind !== 'top') throw new InvalidRowResultError('kind', `${output.kind} is not a list of the best logits`)
  const { ids, values, logSumExp } = row
  const count = Math.min(output.count, vocabularySize)
  if (ids?.length !== count || values?.length !== count) {
    throw new InvalidRowResultError('ids', `expected ${count} ids and values, got ${ids?.length ?? 'no'} and ${values?.length ?? 'no'}`)
  }
  if (logSumExp === undefined || !Number.isFinite(logSumExp)) {
    throw new InvalidRowResultError('logSumExp', `${logSumExp ?? 'missing'}`)
  }
  const distinct = new Set<number>()
  for (let i = 0; i < count; i++) {
    if (ids[i] >= vocabularySize || distinct.has(ids[i])) throw new InvalidRowResultError('ids', `id ${ids[i]} at ${i} is out of range or there twice`)
    distinct.add(ids[i])
    if (!Number.isFinite(values[i])) throw new InvalidRowResultError('values', `${values[i]} at ${i}`)
    if (i > 0 && !(values[i] < values[i - 1] || (values[i] === values[i - 1] && ids[i] > ids[i - 1]))) {
      throw new InvalidRowResultError('values', `not in order at ${i}`)
    }
  }
  return { vocabularySize, ids, logits: values, logSumExp }
}

/**
 * All logits, sorted. The bits of a logit, made to order like integers, and the
 * id are packed into one binary64, because typed arrays sort natively without a
 * comparison function, ten times faster.
 */
export function sortLogits (logits: Float32Array): Candidates {
  const count = logits.length
  if (count > VOCABULARY_LIMIT) throw new InvalidRowResultError('logits', `${count} values, more than ${VOCABULARY_LIMIT}`)
  const values = new Float32Array(count)
  // −0 and +0 are equal logits; adding +0 makes them one
  for (let i = 0; i < count; i++) values[i] = logits[i] + 0
  const bits = new Uint32Array(values.buffer)
  const keys = new Float64Array(count)
  for (let i = 0; i < count; i++) {
    if (!Number.isFinite(values[i])) throw new InvalidRowResultError('logits', `${values[i]} for id ${i}`)
    // descending: negative floats grow with their bits, positive ones shrink
    const descending = bits[i] >= 0x80000000 ? bits[i] : 0x7fffffff - bits[i]
    keys[i] = descending * VOCABULARY_LIMIT + i
  }
  keys.sort()
  const ids = new Uint32Array(count)
  const sorted = new Float32Array(count)
  for (let i = 0; i < count; i++) {
    ids[i] = keys[i] - Math.floor(keys[i] / VOCABULARY_LIMIT) * VOCABULARY_LIMIT
    sorted[i] = values[ids[i]]
  }
  return { vocabularySize: count, ids, logits: sorted }
}
