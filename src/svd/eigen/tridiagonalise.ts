import { NEGLIGIBLE_COUPLING } from '../constants.ts'
import type { Matrix, OnProgress } from '../types.ts'
import { addScaled, dot, length } from '../vectors.ts'

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
 * @param matrix symmetric, of elements of at most 1; overwritten
 */
export function tridiagonalise (matrix: Matrix, onProgress?: OnProgress): Tridiagonal {
  const size = matrix.rows
  const a = matrix.data
  const diagonal = new Float64Array(size)
  const offDiagonal = new Float64Array(size)
  const factors = new Float64Array(size)
  let v = new Float64Array(size)
  let w = new Float64Array(size)
  let u = new Float64Array(size)
  let p = new Float64Array(size)
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
    updateAndMultiply(a, size, i, v, w, u, p)
    a.set(u.subarray(0, i), row)
    // A - u·wᵀ - w·uᵀ with w = p - (uᵀp ÷ 2)·u
    addScaled(p, 0, -dot(u, 0, p, 0, i) / 2, u, 0, i)
    ;[v, u] = [u, v]
    ;[w, p] = [p, w]
    onProgress?.(1 - (i / size) ** 3)
  }
  return { size, diagonal, offDiagonal, reflectors: a, factors }
}

/** A -= v·wᵀ + w·vᵀ and p += A·u on the leading `count` rows, of whose lower triangle alone is read and written. */
function updateAndMultiply (a: Float64Array, size: number, count: number, v: Float64Array, w: Float64Array, u: Float64Array, p: Float64Array): void {
  for (let r = 0; r < count; r++) {
    const row = a.subarray(r * size, r * size + r + 1)
    const vr = v[r]
    const wr = w[r]
    const ur = u[r]
    let sum = 0
    for (let c = 0; c < r; c++) {
      const value = row[c] - vr * w[c] - wr * v[c]
      row[c] = value
      sum += value * u[c]
      p[c] += value * ur
    }
    const value = row[r] - 2 * vr * wr
    row[r] = value
    p[r] += sum + value * ur
  }
}

/** Q·x for each row x of `vectors` (count × size), in place. */
export function applyReflections ({ size, reflectors, factors }: Tridiagonal, vectors: Matrix): void {
  for (let i = 1; i < size; i++) {
    if (factors[i] === 0) continue
    for (let row = 0; row < vectors.rows; row++) {
      const at = row * size
      addScaled(vectors.data, at, -factors[i] * dot(reflectors, i * size, vectors.data, at, i), reflectors, i * size, i)
    }
  }
}
