import { OVERSAMPLING, OVERSAMPLING_SHARE, POWER_ITERATIONS } from './constants.ts'
import { DecompositionError, InvalidProblemError } from './errors.ts'
import { checkMatrix, checkRank, firstColumns, firstRows, squaredNorm, transpose } from './matrix.ts'
import { orthonormaliseRows } from './orthonormalise.ts'
import { matrixProduct } from './product/index.ts'
import { gaussianSource } from './random.ts'
import { truncatedSvd } from './truncated-svd.ts'
import type { Matrix, RandomisedOptions, TruncatedSvd } from './types.ts'

/**
 * An approximate truncated SVD from products with random vectors: Halko,
 * Martinsson, Tropp, Finding structure with randomness (arXiv 0909.4061),
 * algorithms 4.4 (randomised subspace iteration, orthonormal after every
 * product) and 5.1 (the SVD of Qᵀ·A). Two power iterations, and half as many
 * extra columns as the rank, leave at most 1.3 % more error than the optimum on the weights that were tried.
 *
 * @throws InvalidProblemError where there is no power iteration: without one, flat spectra lose 5 to 60 %
 */
export function randomisedSvd (matrix: Matrix, options: RandomisedOptions): TruncatedSvd {
  const { rank, seed, oversampling = Math.max(OVERSAMPLING, Math.ceil(rank * OVERSAMPLING_SHARE)), powerIterations = POWER_ITERATIONS, onProgress } = options
  checkMatrix('matrix', matrix)
  checkRank(matrix, rank)
  if (!Number.isInteger(powerIterations) || powerIterations < 1) throw new InvalidProblemError('powerIterations', `${powerIterations}, at least 1 is needed`)
  if (!Number.isInteger(oversampling) || oversampling < 0) throw new InvalidProblemError('oversampling', `${oversampling} is not a number of columns`)
  const energy = squaredNorm(matrix)
  if (!Number.isFinite(energy)) throw new DecompositionError('the matrix is not finite')

  const width = Math.min(rank + oversampling, matrix.rows, matrix.columns)
  const gaussian = gaussianSource(seed)
  const start = { rows: width, columns: matrix.columns, data: Float64Array.from({ length: width * matrix.columns }, gaussian) }
  // bases are kept as rows: Qᵀ
  let basis = matrixProduct(start, matrix, { transposeB: true })
  orthonormaliseRows(basis)
  for (let iteration = 0; iteration < powerIterations; iteration++) {
    const images = matrixProduct(basis, matrix)
    orthonormaliseRows(images)
    basis = matrixProduct(images, matrix, { transposeB: true })
    orthonormaliseRows(basis)
    onProgress?.((iteration + 1) / (powerIterations + 1))
  }
  const small = truncatedSvd(matrixProduct(basis, matrix), { rank })
  const left = firstColumns(matrixProduct(transpose(basis), small.left), rank)
  onProgress?.(1)
  return { left, values: small.values, right: firstRows(small.right, rank), energy }
}
