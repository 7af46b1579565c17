import { decodeLeftFactor, readTensorRows, rowsAndColumns } from '../../model/tensor/index.ts'
import type { LowRankSource, TensorSource } from '../../model/index.ts'
import { LIMIT_15, quantise } from './float.ts'
import { loadMatrix, multiply } from './oracle-matrix.ts'
import type { OracleMatrix, QuantisedRows } from './oracle-matrix.ts'

const fround = Math.fround

/** Ranks that share a scale. */
const BLOCK = 8

/** What the outputs of a matrix are made of: weights, or none for a matrix of zeros, and perhaps a low-rank correction. */
export interface OracleMap {
  rows: number
  weights: OracleMatrix | null
  lowRank: OracleLowRank | null
}

/** Factors of section 10. */
interface OracleLowRank {
  rank: number
  right: OracleMatrix
  codes: Int8Array
  /** s of every block of the left factor */
  scales: Float32Array
}

export function loadMap (source: TensorSource): OracleMap {
  return {
    rows: rowsAndColumns(source.shape).rows,
    weights: source.type === 'ZERO' ? null : loadMatrix(source),
    lowRank: source.lowRank === undefined ? null : loadLowRank(source.lowRank)
  }
}

/**
 * Sections 3 and 10: the product of every input row with a matrix and its
 * correction.
 *
 * @returns count × map.rows
 */
export function applyMap ({ rows, weights, lowRank }: OracleMap, x: QuantisedRows, bias?: Float32Array): Float32Array {
  const out = weights === null ? new Float32Array(x.count * rows) : multiply(weights, x)
  if (lowRank !== null) addLowRank(lowRank, x, out)
  // a store to a Float32Array rounds once, as one float addition does
  if (bias !== undefined) for (let i = 0; i < out.length; i++) out[i] += bias[i % rows]
  return out
}

function loadLowRank ({ rank, left, right }: LowRankSource): OracleLowRank {
  const [rows] = left.shape
  const { codes, exponents } = decodeLeftFactor(readTensorRows(left, 0, rows), rows, rank, left.name)
  const scales = Float32Array.from(exponents, exponent => exponent === 0 ? 0 : 2 ** (exponent - 127))
  return { rank, right: loadMatrix(right), codes, scales }
}

/** Section 10: adds L·(R·x) to the outputs of a product, count × rows. */
function addLowRank ({ rank, right, codes, scales }: OracleLowRank, x: QuantisedRows, out: Float32Array): void {
  const rows = out.length / x.count
  const blocks = rank / BLOCK
  const z = multiply(right, x)
  const inner = new Int16Array(z.length)
  for (let r = 0; r < x.count; r++) {
    for (let b = 0; b < blocks; b++) {
      const from = r * rank + b * BLOCK
      const t = quantise(z, from, BLOCK, LIMIT_15, inner)
      // blocks ascend for every output
      for (let n = 0; n < rows; n++) {
        let sum = 0
        for (let i = 0; i < BLOCK; i++) sum += codes[n * rank + b * BLOCK + i] * inner[from + i]
        out[r * rows + n] += fround(sum * fround(scales[n * blocks + b] * t))
      }
    }
  }
}
