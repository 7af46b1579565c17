import { NEGLIGIBLE_COUPLING } from '../constants.ts'
import { subtract } from '../matrix.ts'
import { matrixProduct } from '../product/index.ts'
import type { Matrix, OnProgress } from '../types.ts'
import { addScaled, dot, length } from '../vectors.ts'
import { eigenWorkspace } from './workspace.ts'

/** Reflections applied together: wide enough for fast products, small beside the vectors they are applied to. */
const BLOCK = 48

/** A symmetric matrix as Q·T·Qᵀ with T tridiagonal and Q a product of reflections I - β·u·uᵀ. */
export interface Tridiagonal {
  size: number
  diagonal: Float64Array
  /** element i couples i - 1 and i; element 0 is 0 */
  offDiagonal: Float64Array
  /** size × size; row i holds the u of reflection i in its first i elements */
  reflectors: Float64Array
  /** β of reflection i */
  factors: Float64Array
}

/**
 * Householder's reduction (Golub and Van Loan, Matrix Computations, section
 * 8.3.1), from the last row upwards, on the lower triangle only. The rank-two
 * update of a step and the matrix-vector product of the next one go over the
 * matrix in one pass, since reading it is what takes the time.
 *
 * @param matrix symmetric, of elements of at most 1; only the lower triangle is read
 */
export function tridiagonalise (matrix: Matrix, onProgress?: OnProgress): Tridiagonal {
  const size = matrix.rows
  const { kernels, arrays } = eigenWorkspace(size * size, size, size, size, size)
  const a = arrays[0]
  a.set(matrix.data)
  for (let i = 1; i < arrays.length; i++) arrays[i].fill(0)
  let [, v, w, u, p] = arrays
  const diagonal = new Float64Array(size)
  const offDiagonal = new Float64Array(size)
  const factors = new Float64Array(size)
  for (let i = size - 1; i >= 0; i--) {
    const row = i * size
    // what the step before owes to this row
    for (let j = 0; j <= i; j++) a[row + j] -= v[i] * w[j] + w[i] * v[j]
    diagonal[i] = a[row + i]
    if (i === 0) break
    const norm = length(a, row, i)
    const rest = length(a, row, i - 1)
    u.set(a.subarray(row, row + i))
    if (rest <= NEGLIGIBLE_COUPLING) {
      offDiagonal[i] = a[row + i - 1]
      u.fill(0, 0, i)
    } else {
      // away from zero, so that nothing cancels
      const target = u[i - 1] > 0 ? -norm : norm
      offDiagonal[i] = target
      u[i - 1] -= target
      // uᵀu ÷ 2 = ‖x‖² + |x_last|·‖x‖; u is scaled to length √2 so that β = 1
      const factor = 1 / Math.sqrt(norm * (norm + Math.abs(a[row + i - 1])))
      for (let j = 0; j < i; j++) u[j] *= factor
      factors[i] = 1
    }
    p.fill(0, 0, i)
    kernels.symmetricUpdate(a.byteOffset, size, i, v.byteOffset, w.byteOffset, u.byteOffset, p.byteOffset)
    a.set(u.subarray(0, i), row)
    // A - u·wᵀ - w·uᵀ with w = p - (uᵀp ÷ 2)·u
    addScaled(p, 0, -dot(u, 0, p, 0, i) / 2, u, 0, i)
    ;[v, u] = [u, v]
    ;[w, p] = [p, w]
    onProgress?.(1 - (i / size) ** 3)
  }
  return { size, diagonal, offDiagonal, reflectors: a.slice(), factors }
}

/** Q·x for each row x of `vectors` (count × size). */
export function applyReflections (tridiagonal: Tridiagonal, vectors: Matrix): Matrix {
  let result = vectors
  for (let from = 1; from < tridiagonal.size; from += BLOCK) {
    result = applyBlock(tridiagonal, from, Math.min(BLOCK, tridiagonal.size - from), result)
  }
  return result
}

/**
 * A block of reflections at once: H₁·H₂⋯ = I - Yᵀ·T·Y with their u as rows of
 * Y and an upper triangular T (Schreiber and Van Loan, A storage-efficient WY
 * representation, 1989), so that products of matrices do the work.
 */
function applyBlock ({ size, reflectors, factors }: Tridiagonal, from: number, count: number, vectors: Matrix): Matrix {
  const y = { rows: count, columns: size, data: new Float64Array(count * size) }
  for (let i = 0; i < count; i++) y.data.set(reflectors.subarray((from + i) * size, (from + i) * size + from + i), i * size)
  const overlaps = matrixProduct(y, y, { transposeB: true }).data
  const t = new Float64Array(count * count)
  for (let j = 0; j < count; j++) {
    t[j * count + j] = factors[from + j]
    for (let i = 0; i < j; i++) {
      let sum = 0
      for (let k = i; k < j; k++) sum += t[i * count + k] * overlaps[k * count + j]
      t[i * count + j] = -factors[from + j] * sum
    }
  }
  const shares = matrixProduct(matrixProduct(vectors, y, { transposeB: true }), { rows: count, columns: count, data: t })
  return subtract(vectors, matrixProduct(shares, y))
}
