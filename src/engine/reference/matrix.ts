import { readTensor, rowsAndColumns } from '../../model/index.ts'
import type { TensorSource } from '../../model/index.ts'

/** A weight matrix of `rows` outputs and `columns` inputs, row-major. */
export interface Matrix {
  rows: number
  columns: number
  values: Float32Array
  /** adds left·(right·x) to products */
  lowRank?: { left: Matrix, right: Matrix }
}

export function loadMatrix (source: TensorSource): Matrix {
  const matrix = { ...rowsAndColumns(source.shape), values: readTensor(source) }
  const { lowRank } = source
  return lowRank === undefined ? matrix : { ...matrix, lowRank: { left: loadMatrix(lowRank.left), right: loadMatrix(lowRank.right) } }
}

/**
 * x·Wᵀ (+ bias) for `count` rows of x. Every output is one sum in binary64
 * over ascending columns, rounded once, so results do not depend on `count`.
 *
 * @returns count × matrix.rows
 */
export function multiply (matrix: Matrix, x: Float32Array, count: number, bias?: Float32Array): Float32Array {
  const { rows, columns, lowRank } = matrix
  const out = new Float32Array(count * rows)
  const inputs = Float64Array.from(x)
  // four rows of weights at a time as binary64: the inner loop is then free of conversions
  const weights = new Float64Array(4 * columns)
  for (let n = 0; n < rows; n += 4) {
    const width = Math.min(4, rows - n)
    weights.set(matrix.values.subarray(n * columns, (n + width) * columns))
    for (let r = 0; r < count; r += 2) {
      // an odd last row is computed twice
      const second = r + 1 < count ? r + 1 : r
      multiplyTile(weights, inputs, columns, r * columns, second * columns)
      for (let i = 0; i < width; i++) {
        const added = bias === undefined ? 0 : bias[n + i]
        out[r * rows + n + i] = tile[i] + added
        out[second * rows + n + i] = tile[4 + i] + added
      }
    }
  }
  if (lowRank === undefined) return out
  const correction = multiply(lowRank.left, multiply(lowRank.right, x, count), count)
  return out.map((value, i) => value + correction[i])
}

const tile = new Float64Array(8)

function multiplyTile (w: Float64Array, x: Float64Array, columns: number, first: number, second: number): void {
  let a0 = 0; let a1 = 0; let a2 = 0; let a3 = 0
  let b0 = 0; let b1 = 0; let b2 = 0; let b3 = 0
  const w1 = columns
  const w2 = 2 * columns
  const w3 = 3 * columns
  for (let k = 0; k < columns; k++) {
    const x0 = x[first + k]
    const x1 = x[second + k]
    let weight = w[k]
    a0 += weight * x0
    b0 += weight * x1
    weight = w[w1 + k]
    a1 += weight * x0
    b1 += weight * x1
    weight = w[w2 + k]
    a2 += weight * x0
    b2 += weight * x1
    weight = w[w3 + k]
    a3 += weight * x0
    b3 += weight * x1
  }
  tile[0] = a0
  tile[1] = a1
  tile[2] = a2
  tile[3] = a3
  tile[4] = b0
  tile[5] = b1
  tile[6] = b2
  tile[7] = b3
}
