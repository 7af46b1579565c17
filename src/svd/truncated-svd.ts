import { Matrix as LibraryMatrix, SVD } from 'ml-matrix'
import { MAX_RECONSTRUCTION_ERROR } from './constants.ts'
import { DecompositionError } from './errors.ts'
import { checkMatrix, checkRank, firstColumns, firstRows, reconstruct, squaredNorm, subtract, transpose } from './matrix.ts'
import type { FactorOptions, Matrix, TruncatedSvd } from './types.ts'

/**
 * The singular value decomposition of a matrix by ml-matrix, cut off at a
 * rank: U·S·Vᵀ is the best approximation of that rank in the Frobenius norm
 * (Eckart and Young, 1936). Takes seconds from 500 × 500 on; whitenedFactors
 * and randomisedSvd are much faster.
 *
 * @throws DecompositionError where a value is not finite, or the product of the parts is not the matrix
 */
export function truncatedSvd (matrix: Matrix, { rank, onProgress }: FactorOptions): TruncatedSvd {
  checkMatrix('matrix', matrix)
  checkRank(matrix, rank)
  const energy = squaredNorm(matrix)
  if (!Number.isFinite(energy)) throw new DecompositionError('the matrix is not finite')
  const wide = matrix.rows < matrix.columns
  // the library's conventions differ for wide matrices: it only ever gets tall ones
  const { left, values, right } = tallSvd(wide ? transpose(matrix) : matrix)
  const whole = wide ? { left: transpose(right), values, right: transpose(left) } : { left, values, right }
  const error = Math.sqrt(squaredNorm(subtract(reconstruct(whole), matrix)))
  if (!(error <= MAX_RECONSTRUCTION_ERROR * Math.sqrt(energy))) {
    throw new DecompositionError(`U·S·Vᵀ differs from the matrix by ${error} of ${Math.sqrt(energy)}`)
  }
  onProgress?.(1)
  return { left: firstColumns(whole.left, rank), values: values.slice(0, rank), right: firstRows(whole.right, rank), energy }
}

/** U: rows × columns, S, and Vᵀ: columns × columns. */
function tallSvd ({ rows, columns, data }: Matrix): Omit<TruncatedSvd, 'energy'> {
  const svd = new SVD(LibraryMatrix.from1DArray(rows, columns, data), { autoTranspose: false })
  return {
    left: fromLibrary(svd.leftSingularVectors),
    values: Float64Array.from(svd.diagonal),
    right: transpose(fromLibrary(svd.rightSingularVectors))
  }
}

function fromLibrary (matrix: LibraryMatrix): Matrix {
  return { rows: matrix.rows, columns: matrix.columns, data: Float64Array.from(matrix.to1DArray()) }
}
