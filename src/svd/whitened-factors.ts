import { topEigenpairs } from './eigen/index.ts'
import { DecompositionError } from './errors.ts'
import { checkGram, checkMatrix, checkRank, subtract, trace, transpose } from './matrix.ts'
import { orthonormaliseRows } from './orthonormalise.ts'
import { pivotedCholesky } from './pivoted-cholesky.ts'
import { matrixProduct } from './product/index.ts'
import type { FactorOptions, Factors, Matrix, OnProgress } from './types.ts'

/** Shares of the time that go into products before the eigenvalues, and into the eigenvalues. */
const PRODUCTS = 0.35
const EIGENVALUES = 0.55

/**
 * The factors of rank k that minimise ‖(W - left·right)·X‖ where G = X·Xᵀ:
 * left = U, the leading eigenvectors of W·G·Wᵀ, and right = Uᵀ·W (Swift-SVD,
 * arXiv 2604.01609; the optimum of SVD-LLM, arXiv 2403.07378, without an
 * inverse, so G may be singular). Where W has more rows than columns, U comes
 * from the smaller Sᵀ·Wᵀ·W·S with S·Sᵀ = G: the left singular vectors of W·S.
 *
 * A last Rayleigh-Ritz step on U makes `spectrum` exact for the factors
 * returned: their squared error is `energy` minus its squares, whatever
 * rounding did to U before.
 *
 * @param matrix W: rows × columns
 * @param gram G: columns × columns, symmetric, positive semidefinite
 * @throws InvalidProblemError where sizes do not fit
 * @throws DecompositionError where a value is not finite
 */
export function whitenedFactors (matrix: Matrix, gram: Matrix, { rank, onProgress }: FactorOptions): Factors {
  checkMatrix('matrix', matrix)
  checkGram(matrix, gram)
  checkRank(matrix, rank)
  const { basis, energy } = matrix.rows <= matrix.columns
    ? basisOfRows(matrix, gram, rank, onProgress)
    : basisOfColumns(matrix, gram, rank, onProgress)
  return ritz(basis, matrix, gram, energy, onProgress)
}

/** The same for what a quantised base leaves, W - base (QERA, arXiv 2410.06040): W ≈ base + left·right. */
export function residualFactors (matrix: Matrix, base: Matrix, gram: Matrix, options: FactorOptions): Factors {
  return whitenedFactors(subtract(matrix, base), gram, options)
}

/**
 * For comparison only: factors that minimise ‖W - left·right‖ and take no
 * notice of activations. As a way to make a model smaller they ruin it.
 */
export function plainFactors (matrix: Matrix, { rank, onProgress }: FactorOptions): Factors {
  checkMatrix('matrix', matrix)
  checkRank(matrix, rank)
  const { basis, energy } = matrix.rows <= matrix.columns
    ? basisOfRows(matrix, undefined, rank, onProgress)
    : basisOfColumns(matrix, undefined, rank, onProgress)
  return ritz(basis, matrix, undefined, energy, onProgress)
}

interface Basis {
  /** rank × rows of W, orthonormal rows: Uᵀ */
  basis: Matrix
  /** tr(W·G·Wᵀ) */
  energy: number
}

/** Eigenvectors of W·G·Wᵀ, for matrices with at least as many columns as rows. */
function basisOfRows (matrix: Matrix, gram: Matrix | undefined, rank: number, onProgress: OnProgress | undefined): Basis {
  const weighted = gram === undefined ? matrix : matrixProduct(matrix, gram)
  const square = matrixProduct(weighted, matrix, { transposeB: true })
  onProgress?.(PRODUCTS)
  const energy = checkedEnergy(square)
  const { vectors } = topEigenpairs(square, rank, share => onProgress?.(PRODUCTS + EIGENVALUES * share))
  return { basis: vectors, energy }
}

/** Left singular vectors of Z = W·S by way of Zᵀ·Z, for matrices with more rows than columns. */
function basisOfColumns (matrix: Matrix, gram: Matrix | undefined, rank: number, onProgress: OnProgress | undefined): Basis {
  const root = gram === undefined ? undefined : pivotedCholesky(checkedGram(gram))
  // G of zeros: every basis is as good as any other
  if (root?.columns === 0) return { basis: anyBasis(rank, matrix.rows), energy: 0 }
  const z = root === undefined ? matrix : matrixProduct(matrix, root)
  const square = matrixProduct(z, z, { transposeA: true })
  onProgress?.(PRODUCTS)
  const energy = checkedEnergy(square)
  const { vectors } = topEigenpairs(square, Math.min(rank, square.rows), share => onProgress?.(PRODUCTS + EIGENVALUES * share))
  const images = matrixProduct(vectors, z, { transposeB: true })
  // directions that G does not reach are added at random: they cost nothing and change nothing
  const data = new Float64Array(rank * matrix.rows)
  data.set(images.data)
  const basis = { rows: rank, columns: matrix.rows, data }
  // in order of the singular values, so that errors of large ones are taken out of small ones
  orthonormaliseRows(basis)
  return { basis, energy }
}

/** Turns the basis within its span so that prefixes are optimal: eigenvectors of UᵀW·G·WᵀU. */
function ritz (basis: Matrix, matrix: Matrix, gram: Matrix | undefined, energy: number, onProgress: OnProgress | undefined): Factors {
  const rough = matrixProduct(basis, matrix)
  const weighted = gram === undefined ? rough : matrixProduct(rough, gram)
  const small = matrixProduct(weighted, rough, { transposeB: true })
  const { values, vectors } = topEigenpairs(small, small.rows)
  const left = transpose(matrixProduct(vectors, basis))
  const right = matrixProduct(vectors, rough)
  onProgress?.(1)
  return { left, right, spectrum: values.map(value => Math.sqrt(Math.max(0, value))), energy }
}

function checkedEnergy (square: Matrix): number {
  const energy = trace(square)
  if (!Number.isFinite(energy)) throw new DecompositionError('the matrix or its activations are not finite')
  return energy
}

/** Pivots of a broken G would silently count as zero. */
function checkedGram (gram: Matrix): Matrix {
  if (!Number.isFinite(trace(gram))) throw new DecompositionError('the activations are not finite')
  return gram
}

/** The first unit vectors. */
function anyBasis (rank: number, size: number): Matrix {
  const data = new Float64Array(rank * size)
  for (let i = 0; i < rank; i++) data[i * (size + 1)] = 1
  return { rows: rank, columns: size, data }
}
