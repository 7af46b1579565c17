import { dot } from './vectors.ts'
import type { Matrix } from './types.ts'

/**
 * S with S·Sᵀ = G for a symmetric positive semidefinite G, singular or not:
 * size × r with r the numerical rank. Cholesky's decomposition with complete
 * pivoting (Higham, Analysis of the Cholesky decomposition of a semi-definite
 * matrix, 1990); it stops where only rounding errors are left. Rows stay in
 * G's order, so S is triangular only up to their order.
 */
export function pivotedCholesky (gram: Matrix): Matrix {
  const size = gram.rows
  const rest = new Float64Array(size)
  for (let i = 0; i < size; i++) rest[i] = gram.data[i * (size + 1)]
  const root = new Float64Array(size * size)
  const open = Array.from({ length: size }, (_, i) => i)
  const negligible = size * Number.EPSILON * rest.reduce((most, value) => Math.max(most, value), 0)
  let rank = 0
  while (open.length > 0) {
    let best = 0
    for (let i = 1; i < open.length; i++) {
      if (rest[open[i]] > rest[open[best]]) best = i
    }
    const pivot = open[best]
    if (!(rest[pivot] > negligible)) break
    open[best] = open[open.length - 1]
    open.pop()
    const at = pivot * size
    const diagonal = Math.sqrt(rest[pivot])
    root[at + rank] = diagonal
    for (const row of open) {
      const value = (gram.data[row * size + pivot] - dot(root, row * size, root, at, rank)) / diagonal
      root[row * size + rank] = value
      rest[row] -= value * value
    }
    rank++
  }
  const data = new Float64Array(size * rank)
  for (let row = 0; row < size; row++) data.set(root.subarray(row * size, row * size + rank), row * rank)
  return { rows: size, columns: rank, data }
}
