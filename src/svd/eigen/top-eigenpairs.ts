import { DecompositionError } from '../errors.ts'
import { checkMatrix, checkRank } from '../matrix.ts'
import type { Matrix, OnProgress } from '../types.ts'
import { tridiagonalVectors } from './tridiagonal-vectors.ts'
import { tridiagonalValues } from './tridiagonal-values.ts'
import { applyReflections, tridiagonalise } from './tridiagonalise.ts'

export interface Eigenpairs {
  /** falling */
  values: Float64Array
  /** count × size, orthonormal rows: row i belongs to value i */
  vectors: Matrix
}

/**
 * The `count` largest eigenvalues of a symmetric matrix and their vectors, to
 * rounding errors of the largest. Directly, by way of a tridiagonal matrix:
 * unlike an iteration on the matrix itself it does not depend on gaps between
 * eigenvalues, which spectra of weights hardly have, and unlike a whole
 * eigenvalue decomposition its vectors cost in proportion to `count`.
 *
 * @param matrix only its lower triangle is read
 * @throws DecompositionError where a value is not finite or nothing converges
 */
export function topEigenpairs (matrix: Matrix, count: number, onProgress?: OnProgress): Eigenpairs {
  checkMatrix('matrix', matrix)
  checkRank(matrix, count)
  for (const value of matrix.data) {
    if (!Number.isFinite(value)) throw new DecompositionError('the matrix is not finite')
  }
  const reduced = tridiagonalise(matrix, onProgress)
  const values = tridiagonalValues(reduced.diagonal, reduced.offDiagonal).subarray(0, count)
  const vectors = tridiagonalVectors(reduced.diagonal, reduced.offDiagonal, values)
  applyReflections(reduced, vectors)
  return { values, vectors }
}
