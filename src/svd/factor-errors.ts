import { DecompositionError, InvalidProblemError } from './errors.ts'
import { checkGram, checkMatrix, firstColumns, firstRows, squaredNorm } from './matrix.ts'
import { matrixProduct } from './product/index.ts'
import type { Factors, Matrix } from './types.ts'

/** Rows of G to a product: enough for speed, few enough that little is multiplied by zeros. */
const GRAM_ROWS = 192

/**
 * ‖D·X‖ where G = X·Xᵀ: the Frobenius norm of the error at the outputs, of a
 * difference D = W - W′. Equals √tr(D·G·Dᵀ).
 *
 * @param gram symmetric; only its lower triangle is read
 * @throws DecompositionError where a value is not finite
 */
export function weightedError (difference: Matrix, gram: Matrix): number {
  checkMatrix('difference', difference)
  checkGram(difference, gram)
  // G = L + Lᵀ with half of its diagonal in L: tr(D·G·Dᵀ) = 2·tr(D·L·Dᵀ), block by block of L's rows, whose zeros cost nothing
  const { rows, columns, data } = difference
  let sum = 0
  for (let from = 0; from < columns; from += GRAM_ROWS) {
    const count = Math.min(GRAM_ROWS, columns - from)
    const product = matrixProduct(firstColumns(difference, from + count), lowerRows(gram, from, count), { transposeB: true })
    for (let row = 0; row < rows; row++) {
      const at = row * columns + from
      for (let i = 0; i < count; i++) sum += product.data[row * count + i] * data[at + i]
    }
  }
  return root(2 * sum)
}

/** Rows [from, from + count) of L, up to their last column that is not zero. */
function lowerRows ({ columns, data }: Matrix, from: number, count: number): Matrix {
  const width = from + count
  const lower = new Float64Array(count * width)
  for (let i = 0; i < count; i++) {
    const row = from + i
    lower.set(data.subarray(row * columns, row * columns + row + 1), i * width)
    lower[i * width + row] /= 2
  }
  return { rows: count, columns: width, data: lower }
}

/**
 * ‖D‖: the Frobenius norm.
 *
 * @throws DecompositionError where a value is not finite
 */
export function frobeniusError (difference: Matrix): number {
  checkMatrix('difference', difference)
  return root(squaredNorm(difference))
}

/**
 * The error that factors leave at a rank, from the spectrum alone: the root of
 * the squares beyond it. Equals `weightedError` (of plain factors
 * `frobeniusError`) of what they leave, down to about 10⁻⁷ of the error at
 * rank 0, below which both are rounding.
 *
 * @param rank 0 to that of the factors, which is the default
 */
export function predictedError ({ spectrum, energy }: Pick<Factors, 'spectrum' | 'energy'>, rank = spectrum.length): number {
  checkPrefix(spectrum.length, rank, 0)
  // the small ones first: their sum must not drown
  let kept = 0
  for (let i = rank - 1; i >= 0; i--) kept += spectrum[i] ** 2
  return root(energy - kept)
}

/** The factors of a smaller rank: a prefix of columns and rows. */
export function truncateFactors ({ left, right, spectrum, energy }: Factors, rank: number): Factors {
  checkPrefix(spectrum.length, rank, 1)
  return { left: firstColumns(left, rank), right: firstRows(right, rank), spectrum: spectrum.slice(0, rank), energy }
}

function checkPrefix (most: number, rank: number, least: number): void {
  if (!Number.isInteger(rank) || rank < least || rank > most) throw new InvalidProblemError('rank', `${rank} of factors of rank ${most}`)
}

function root (square: number): number {
  if (!Number.isFinite(square)) throw new DecompositionError('an error is not finite')
  // rounding may have taken a sum of squares below zero
  return Math.sqrt(Math.max(0, square))
}
