import { CholeskyDecomposition, Matrix as LibraryMatrix, solve } from 'ml-matrix'
import { expect } from 'chai'
import { frobeniusError, matrixProduct, subtract, truncatedSvd } from '../../src/svd/index.ts'
import type { Matrix } from '../../src/svd/index.ts'
import { integerGenerator } from './random-bytes.ts'

/** Values spread evenly over -1 … 1. */
export function randomMatrix (rows: number, columns: number, seed: number): Matrix {
  const integer = integerGenerator(seed)
  for (let i = 0; i < 8; i++) integer(1)
  return { rows, columns, data: Float64Array.from({ length: rows * columns }, () => integer(2 ** 24) / 2 ** 23 - 1) }
}

/** Inputs to a matrix, one a column, with channels of falling size: size × tokens. */
export function randomInputs (size: number, tokens: number, seed: number): Matrix {
  const inputs = randomMatrix(size, tokens, seed)
  return { ...inputs, data: inputs.data.map((value, i) => value / (1 + Math.floor(i / tokens))) }
}

/** X·Xᵀ; singular where there are fewer tokens than rows. */
export function gramOf (inputs: Matrix): Matrix {
  return matrixProduct(inputs, inputs, { transposeB: true })
}

/** A matrix with singular values that fall like 1 ÷ i^decay. */
export function matrixWithSpectrum (rows: number, columns: number, decay: number, seed: number): Matrix {
  const rank = Math.min(rows, columns)
  const { left } = truncatedSvd(randomMatrix(rows, rank, seed), { rank })
  const { left: right } = truncatedSvd(randomMatrix(columns, rank, seed + 1), { rank })
  const scaled = { ...left, data: left.data.map((value, i) => value * (1 + i % rank) ** -decay) }
  return matrixProduct(scaled, right, { transposeB: true })
}

/**
 * The whitened approximation of rank k another way, for comparison: SVD-LLM
 * (arXiv 2403.07378), the truncated SVD of W·S times S⁻¹, with S from
 * Cholesky's decomposition of G, which has to be positive definite.
 */
export function choleskyApproximation (matrix: Matrix, gram: Matrix, rank: number): Matrix {
  const root = new CholeskyDecomposition(LibraryMatrix.from1DArray(gram.rows, gram.columns, gram.data)).lowerTriangularMatrix
  const s = { rows: gram.rows, columns: gram.columns, data: Float64Array.from(root.to1DArray()) }
  const { left, values, right } = truncatedSvd(matrixProduct(matrix, s), { rank })
  const scaled = { ...left, data: left.data.map((value, i) => value * values[i % rank]) }
  // right·S⁻¹ = (S⁻ᵀ·rightᵀ)ᵀ
  const whole = LibraryMatrix.from1DArray(right.rows, right.columns, right.data)
  const inverse = solve(root.transpose(), whole.transpose()).transpose()
  return matrixProduct(scaled, { ...right, data: Float64Array.from(inverse.to1DArray()) })
}

/** ‖a - b‖ ÷ ‖b‖ */
export function relativeDifference (a: Matrix, b: Matrix): number {
  return frobeniusError(subtract(a, b)) / frobeniusError(b)
}

/** The columns are unit vectors at right angles. */
export function expectOrthonormalColumns (matrix: Matrix): void {
  const products = matrixProduct(matrix, matrix, { transposeA: true })
  products.data.forEach((value, i) => {
    expect(Math.abs(value - (i % (products.rows + 1) === 0 ? 1 : 0))).to.be.below(1e-12)
  })
}
