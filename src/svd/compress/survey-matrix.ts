import type { TensorType } from '../../model/index.ts'
import { frobeniusError, predictedError, truncateFactors, weightedError } from '../factor-errors.ts'
import { shrinkGram } from '../gram.ts'
import { subtract } from '../matrix.ts'
import { matrixProduct } from '../product/index.ts'
import { whitenedFactors } from '../whitened-factors.ts'
import type { Factors, Matrix } from '../types.ts'
import { encodeBase, ratio } from './compress-matrix.ts'
import type { MatrixProblem } from './compress-matrix.ts'
import { SAMPLED_ROWS } from './constants.ts'
import { BASE_MODES, BASE_TYPES, mostRank, storedBytes } from './modes.ts'
import { sampleRows } from './sample-rows.ts'
import type { BaseMode, MatrixChoice } from './types.ts'

export interface SurveyOptions {
  /** ranks to compare, of corrections and of low-rank products alone, ascending; those at break-even or above are left out */
  ranks: readonly number[]
  /** bases whose corrections are compared; all bases are compared without */
  corrected: readonly BaseMode[]
}

/**
 * The choices for a matrix with their bytes and the squares of their weighted
 * errors relative to the matrix, so that matrices can be compared. Those of
 * low-rank products alone come from the spectrum of the matrix. Those of
 * corrections are predicted: for one order from the spectrum of what the base
 * leaves, for the other from how much less it leaves once factors of the
 * matrix itself are taken off, which a sample of rows tells.
 */
export function surveyMatrix (problem: MatrixProblem, { ranks, corrected }: SurveyOptions): MatrixChoice[] {
  const { rows, columns } = problem
  const weights: Matrix = { rows, columns, data: Float64Array.from(problem.weights) }
  const gram: Matrix = { rows: columns, columns, data: problem.gram }
  const fitted = shrinkGram(gram, problem.shrinkage)
  const size = weightedError(weights, gram)
  const usable = ranks.filter(rank => rank <= mostRank(rows, columns))
  const choices: MatrixChoice[] = []
  const own: Factors | undefined = usable.length === 0 ? undefined : whitenedFactors(weights, fitted, { rank: usable[usable.length - 1] })
  for (const mode of BASE_MODES) {
    const errors = BASE_TYPES[mode].map((type): [TensorType, Matrix, number] => {
      const rest = subtract(weights, encodeBase(type, weights, gram).values)
      return [type, rest, weightedError(rest, gram)]
    })
    for (const [base, rest, error] of errors) {
      choices.push({ mode, base, rank: 0, bytes: storedBytes(rows, columns, base, 0), error: ratio(error, size) ** 2 })
      if (!corrected.includes(mode) || own === undefined || base !== BASE_TYPES[mode][0]) continue
      const factors = whitenedFactors(rest, fitted, { rank: usable[usable.length - 1] })
      const sample = sampleRows(weights, SAMPLED_ROWS)
      const restSize = frobeniusError(subtract(sample, encodeBase(base, sample, gram).values))
      for (const rank of usable) {
        // the spectrum belongs to the shrunk G; its share is what carries over
        const left = error * ratio(predictedError(factors, rank), Math.sqrt(factors.energy))
        // the other order: what a base leaves is noise of the same shape, only smaller
        const { left: leftRows, right } = truncateFactors(own, rank)
        const after = subtract(sample, matrixProduct(sampleRows(leftRows, SAMPLED_ROWS), right))
        const smaller = ratio(frobeniusError(subtract(after, encodeBase(base, after, gram).values)), restSize)
        choices.push({
          mode: `${mode}+svd`, base, rank, bytes: storedBytes(rows, columns, base, rank), error: (ratio(left, size) * Math.min(1, smaller)) ** 2
        })
      }
    }
  }
  if (own === undefined) return choices
  return [...choices, ...usable.map((rank): MatrixChoice =>
    ({ mode: 'svd', base: null, rank, bytes: storedBytes(rows, columns, null, rank), error: ratio(predictedError(own, rank) ** 2, own.energy) }))]
}
