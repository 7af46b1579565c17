import { decodeBlocks, readTensorRows, rowsAndColumns } from '../../model/index.ts'
import type { TensorSource } from '../../model/index.ts'
import { LIMIT_8, quantise } from './float.ts'

const fround = Math.fround

/** Weights along the columns that share a scale. */
const BLOCK = 32

/** Rows that are decoded at once, to keep the memory of decoding small. */
const DECODED_ROWS = 1024

/** A matrix of section 1. Codes are kept with the zero taken off: u − z fits a signed byte in every format. */
export interface OracleMatrix {
  rows: number
  columns: number
  codes: Int8Array
  scales: Float32Array
  minimums: Float32Array | null
}

/** Rows of an input, quantised in blocks of 32. */
export interface QuantisedRows {
  count: number
  codes: Int8Array
  /** t of every block */
  scales: Float32Array
  /** S of every block: float(Σ a) × t */
  sums: Float32Array
}

export function loadMatrix (source: TensorSource): OracleMatrix {
  const { rows, columns } = rowsAndColumns(source.shape)
  const codes = new Int8Array(rows * columns)
  const scales = new Float32Array(rows * columns / BLOCK)
  let minimums: Float32Array | null = null
  for (let from = 0; from < rows; from += DECODED_ROWS) {
    const to = Math.min(rows, from + DECODED_ROWS)
    const blocks = decodeBlocks(source.type, readTensorRows(source, from, to), to - from, columns, source.name)
    for (let i = 0; i < blocks.codes.length; i++) codes[from * columns + i] = blocks.codes[i] - blocks.zero
    scales.set(blocks.scales, from * columns / BLOCK)
    if (blocks.minimums !== null) {
      minimums ??= new Float32Array(scales.length)
      minimums.set(blocks.minimums, from * columns / BLOCK)
    }
  }
  return { rows, columns, codes, scales, minimums }
}

/** Section 5, embed: one row, dequantised. */
export function dequantiseRow (matrix: OracleMatrix, row: number, out: Float32Array, offset: number): void {
  const { columns, codes, scales, minimums } = matrix
  for (let i = 0; i < columns; i++) {
    const block = (row * columns + i) >> 5
    const value = fround(codes[row * columns + i] * scales[block])
    out[offset + i] = minimums === null ? value : value + minimums[block]
  }
}

export function quantiseRows (x: Float32Array, count: number): QuantisedRows {
  const codes = new Int8Array(x.length)
  const scales = new Float32Array(x.length / BLOCK)
  const sums = new Float32Array(scales.length)
  for (let b = 0; b < scales.length; b++) {
    scales[b] = quantise(x, b * BLOCK, BLOCK, LIMIT_8, codes)
    let sum = 0
    for (let i = b * BLOCK; i < (b + 1) * BLOCK; i++) sum += codes[i]
    sums[b] = sum * scales[b]
  }
  return { count, codes, scales, sums }
}

/**
 * Section 3: the product of every input row with the matrix.
 *
 * @returns count × matrix.rows
 */
export function multiply (matrix: OracleMatrix, x: QuantisedRows, bias?: Float32Array): Float32Array {
  const { rows, columns, codes, scales, minimums } = matrix
  const blocks = columns / BLOCK
  const out = new Float32Array(x.count * rows)
  for (let n = 0; n < rows; n++) {
    for (let r = 0; r < x.count; r++) {
      let sum = 0
      for (let b = 0; b < blocks; b++) {
        const weightBlock = n * blocks + b
        const inputBlock = r * blocks + b
        const dot = dot32(codes, weightBlock * BLOCK, x.codes, inputBlock * BLOCK)
        // |dot| < 2²⁴, so that its float is exact
        let p = fround(dot * fround(scales[weightBlock] * x.scales[inputBlock]))
        if (minimums !== null) p = fround(p + fround(minimums[weightBlock] * x.sums[inputBlock]))
        sum = fround(sum + p)
      }
      out[r * rows + n] = bias === undefined ? sum : sum + bias[n]
    }
  }
  return out
}

function dot32 (u: Int8Array, at: number, a: Int8Array, from: number): number {
  let sum = 0
  for (let i = 0; i < BLOCK; i += 4) {
    sum = (sum + Math.imul(u[at + i], a[from + i]) + Math.imul(u[at + i + 1], a[from + i + 1]) +
      Math.imul(u[at + i + 2], a[from + i + 2]) + Math.imul(u[at + i + 3], a[from + i + 3])) | 0
  }
  return sum
}
