import { MAX_INVERSE_ITERATIONS, SOLVED_RESIDUAL, START_SEED, USABLE_RESIDUAL } from '../constants.ts'
import { DecompositionError } from '../errors.ts'
import { projectOut } from '../orthonormalise.ts'
import { uniformSource } from '../random.ts'
import type { Matrix } from '../types.ts'
import { length, scale } from '../vectors.ts'
import { createTridiagonalSolver } from './tridiagonal-solver.ts'
import { tridiagonalNorm } from './tridiagonal-values.ts'

/**
 * Orthonormal eigenvectors of a symmetric tridiagonal matrix as rows, one for
 * each of the given eigenvalues (each as often as it is wanted). Inverse
 * iteration (Golub and Van Loan, section 8.4.2); every vector is kept
 * orthogonal to all before it, so that close and equal eigenvalues do no harm.
 *
 * @throws DecompositionError where a vector does not converge
 */
export function tridiagonalVectors (diagonal: Float64Array, offDiagonal: Float64Array, values: Float64Array): Matrix {
  const size = diagonal.length
  const vectors = { rows: values.length, columns: size, data: new Float64Array(values.length * size) }
  const norm = tridiagonalNorm(diagonal, offDiagonal)
  const random = uniformSource(START_SEED)
  const solver = createTridiagonalSolver(diagonal, offDiagonal, norm)
  for (let index = 0; index < values.length; index++) {
    const at = index * size
    const vector = vectors.data.subarray(at, at + size)
    for (let i = 0; i < size; i++) vector[i] = random()
    solver.shift(values[index])
    let residual = Infinity
    for (let iteration = 0; iteration < MAX_INVERSE_ITERATIONS && residual > SOLVED_RESIDUAL * norm; iteration++) {
      solver.solve(vector)
      // the second time removes what rounding left of the first
      if (!makeUnit(vectors.data, at, index, size, iteration === 0 ? 1 : 2)) throw new DecompositionError(`eigenvector ${index} of ${size} is not finite`)
      // a first solution may still be a mixture, whatever its residual says
      if (iteration > 0) residual = residualOf(diagonal, offDiagonal, values[index], vector)
    }
    if (!(residual <= USABLE_RESIDUAL * norm)) throw new DecompositionError(`eigenvector ${index} of ${size} did not converge: residual ${residual}`)
  }
  return vectors
}

/** Makes the row at `at` a unit vector orthogonal to the `count` rows before it; false where that leaves nothing. */
function makeUnit (data: Float64Array, at: number, count: number, size: number, passes: number): boolean {
  for (let pass = 0; pass < passes; pass++) {
    const before = length(data, at, size)
    if (!(before > 0) || before === Infinity) return false
    scale(data, at, size, 1 / before)
    projectOut(data, at, count, size)
  }
  const rest = length(data, at, size)
  if (!(rest > 0)) return false
  scale(data, at, size, 1 / rest)
  return true
}

/** ‖T·v - λ·v‖ */
function residualOf (d: Float64Array, e: Float64Array, value: number, v: Float64Array): number {
  let sum = 0
  for (let i = 0; i < v.length; i++) {
    let rest = (d[i] - value) * v[i]
    if (i > 0) rest += e[i] * v[i - 1]
    if (i + 1 < v.length) rest += e[i + 1] * v[i + 1]
    sum += rest * rest
  }
  return Math.sqrt(sum)
}
