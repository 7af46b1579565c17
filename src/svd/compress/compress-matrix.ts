import { dequantise, encodeBlocks } from '../../model/tensor/index.ts'
import type { TensorType } from '../../model/index.ts'
import { frobeniusError, weightedError } from '../factor-errors.ts'
import { shrinkGram } from '../gram.ts'
import { lowRankProduct, subtract } from '../matrix.ts'
import { plainFactors, whitenedFactors } from '../whitened-factors.ts'
import type { Factors, Matrix } from '../types.ts'
import { ALTERNATIONS } from './constants.ts'
import { LEFT_TYPE, RIGHT_TYPE } from './modes.ts'
import type { Order } from './types.ts'

/** A matrix, and what it is applied to. Arrays may be shared memory. */
export interface MatrixProblem {
  rows: number
  columns: number
  /** row-major */
  weights: Float32Array
  /** columns × columns: G = X·Xᵀ */
  gram: Float64Array
  /** share of the diagonal in what factors are fitted to, 0 … 1 */
  shrinkage: number
}

/** How to store it. */
export interface MatrixRecipe {
  /** element types to choose from by the weighted error; empty for a low-rank product alone */
  bases: readonly TensorType[]
  rank: number
  whitened: boolean
}

export interface CompressedMatrix {
  base: { type: TensorType, bytes: Uint8Array } | null
  lowRank: { left: Uint8Array, right: Uint8Array } | null
  order: Order | null
  errors: { weighted: number, frobenius: number }
  /** what the stored bytes mean, row-major */
  decoded: Float32Array
}

interface Attempt {
  base: { type: TensorType, bytes: Uint8Array, values: Matrix } | null
  factors: { left: Uint8Array, right: Uint8Array, values: Matrix } | null
  order: Order | null
  decoded: Matrix
  /** ‖(W − W′)·X‖ */
  error: number
}

/**
 * Encodes a matrix. With a base and factors, both orders are tried: the
 * factors of what the base leaves (QERA, arXiv 2410.06040, equation 8), and
 * first the factors of the matrix itself, then the base of what they leave,
 * and in turns factors and base again (as CALDERA alternates, arXiv
 * 2405.18886, algorithm 1); the smallest weighted error wins. Where a mode has
 * several element types, the first order decides between them.
 */
export function compressMatrix (problem: MatrixProblem, recipe: MatrixRecipe): CompressedMatrix {
  const { rows, columns } = problem
  const weights: Matrix = { rows, columns, data: Float64Array.from(problem.weights) }
  const gram: Matrix = { rows: columns, columns, data: problem.gram }
  const fitted = problem.shrinkage === 0 ? gram : shrinkGram(gram, problem.shrinkage)
  const factorise = (matrix: Matrix) => encodeFactors(recipe.whitened
    ? whitenedFactors(matrix, fitted, { rank: recipe.rank })
    : plainFactors(matrix, { rank: recipe.rank }))
  const attempt = (base: Attempt['base'], factors: Attempt['factors'], order: Order | null): Attempt => {
    const decoded = sum(base?.values, factors?.values)
    return { base, factors, order, decoded, error: weightedError(subtract(weights, decoded), gram) }
  }

  const attempts: Attempt[] = []
  if (recipe.bases.length === 0) attempts.push(attempt(null, factorise(weights), null))
  for (const type of recipe.bases) {
    const base = encodeBase(type, weights, gram)
    attempts.push(recipe.rank === 0
      ? attempt(base, null, null)
      : attempt(base, factorise(subtract(weights, base.values)), 'residual'))
  }
  const { base } = smallest(attempts)
  if (base !== null && recipe.rank > 0) {
    let factors = factorise(weights)
    for (let round = 0; round < ALTERNATIONS; round++) {
      const rest = encodeBase(base.type, subtract(weights, factors.values), gram)
      factors = factorise(subtract(weights, rest.values))
      attempts.push(attempt(rest, factors, 'low rank first'))
    }
  }
  const best = smallest(attempts)
  return {
    base: best.base === null ? null : { type: best.base.type, bytes: best.base.bytes },
    lowRank: best.factors === null ? null : { left: best.factors.left, right: best.factors.right },
    order: best.order,
    errors: {
      weighted: ratio(best.error, weightedError(weights, gram)),
      frobenius: ratio(frobeniusError(subtract(weights, best.decoded)), frobeniusError(weights))
    },
    decoded: Float32Array.from(best.decoded.data)
  }
}

function smallest (attempts: Attempt[]): Attempt {
  return attempts.reduce((best, other) => other.error < best.error ? other : best)
}

/** A matrix of zeros is stored exactly, whatever its mode. */
export function ratio (error: number, size: number): number {
  return size === 0 ? 0 : error / size
}

/** @param gram of what the matrix is applied to: its diagonal says how much each column counts */
export function encodeBase (type: TensorType, matrix: Matrix, gram?: Matrix): { type: TensorType, bytes: Uint8Array, values: Matrix } {
  const importance = gram && Float64Array.from({ length: gram.columns }, (_, i) => gram.data[i * (gram.columns + 1)])
  const bytes = encodeBlocks(type, Float32Array.from(matrix.data), { importance })
  return { type, bytes, values: decodeMatrix(type, bytes, matrix.rows, matrix.columns) }
}

function encodeFactors (factors: Factors): { left: Uint8Array, right: Uint8Array, values: Matrix } {
  const left = encodeBase(LEFT_TYPE, factors.left)
  const right = encodeBase(RIGHT_TYPE, factors.right)
  return { left: left.bytes, right: right.bytes, values: lowRankProduct({ ...factors, left: left.values, right: right.values }) }
}

function decodeMatrix (type: TensorType, bytes: Uint8Array, rows: number, columns: number): Matrix {
  return { rows, columns, data: Float64Array.from(dequantise(type, bytes)) }
}

function sum (a: Matrix | undefined, b: Matrix | undefined): Matrix {
  if (a === undefined || b === undefined) return (a ?? b)!
  return { ...a, data: a.data.map((value, i) => value + b.data[i]) }
}
