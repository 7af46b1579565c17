import type { TensorType } from '../../model/index.ts'
import { weightedError } from '../factor-errors.ts'
import { shrinkGram } from '../gram.ts'
import { lowRankProduct, subtract } from '../matrix.ts'
import { whitenedFactors } from '../whitened-factors.ts'
import type { Matrix } from '../types.ts'
import { encodeBase } from './compress-matrix.ts'
import { SAMPLED_ROWS, SHRINKAGE_RANK, SHRINKAGES } from './constants.ts'
import { mostRank } from './modes.ts'
import { sampleRows } from './sample-rows.ts'

export interface ShrinkageProblem {
  rows: number
  columns: number
  /** row-major */
  weights: Float32Array
  gram: Float64Array
  heldOutGram: Float64Array
  /** base of the residual that is compared on; null compares on the matrix itself */
  base: TensorType | null
  /** at most this many ranks are fitted */
  rank?: number
}

/**
 * How far G is to be shrunk towards its diagonal: the share at which factors
 * fitted to the calibration text leave the smallest error on held-out text
 * (linear shrinkage after Ledoit and Wolf, 2004, with the diagonal as target
 * and the share chosen by validation). A sample of rows decides: how much of G
 * is chance does not depend on the matrix.
 */
export function chooseShrinkage (problem: ShrinkageProblem): { amount: number, errors: Array<{ amount: number, error: number }> } {
  const { rows, columns, base } = problem
  const weights = sampleRows({ rows, columns, data: Float64Array.from(problem.weights) }, SAMPLED_ROWS)
  const rank = Math.min(problem.rank ?? SHRINKAGE_RANK, SHRINKAGE_RANK, mostRank(weights.rows, columns))
  const gram: Matrix = { rows: columns, columns, data: problem.gram }
  const heldOut: Matrix = { rows: columns, columns, data: problem.heldOutGram }
  const target = base === null ? weights : subtract(weights, encodeBase(base, weights, gram).values)
  if (rank === 0) return { amount: 0, errors: [] }
  const errors = SHRINKAGES.map(amount => {
    const factors = whitenedFactors(target, shrinkGram(gram, amount), { rank })
    return { amount, error: weightedError(subtract(target, lowRankProduct(factors)), heldOut) }
  })
  return { amount: errors.reduce((best, other) => other.error < best.error ? other : best).amount, errors }
}
