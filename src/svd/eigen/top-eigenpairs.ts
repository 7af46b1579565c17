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
  let largest = 0
  for (const value of matrix.data) {
    if (!Number.isFinite(value)) throw new DecompositionError('the matrix is not finite')
    largest = Math.max(largest, Math.abs(value))
  }
  // elements of at most 1, so that squares neither overflow nor vanish
  const scaled = { ...matrix, data: matrix.data.slice() }
  if (largest > 0) for (let i = 0; i < scaled.data.length; i++) scaled.data[i] /= largest
  const reduced = tridiagonalise(scaled, onProgress)
  const values = tridiagonalValues(reduced.diagonal, reduced.offDiagonal).slice(0, count)
  const vectors = tridiagonalVectors(reduced.diagonal, reduced.offDiagonal, values)
  return { values: values.map(value => value * largest), vectors: applyReflections(reduced, vectors) }
}
