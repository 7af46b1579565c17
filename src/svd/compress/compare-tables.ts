import { dequantise, encodeBlocks, rowsAndColumns } from '../../model/tensor/index.ts'
import type { TensorSource, TensorType } from '../../model/index.ts'
import { matrixProduct } from '../product/index.ts'
import { TABLE_ROWS } from './constants.ts'
import { readRows } from './source-weights.ts'

export interface TableProblem {
  source: TensorSource
  types: readonly TensorType[]
  /** what the table is multiplied by as an output projection, positions × columns; null where it is only looked up */
  inputs: Float32Array | null
}

export interface TableComparison {
  type: TensorType
  /** ‖W − W′‖² ÷ ‖W‖² */
  frobenius: number
  /** mean over the inputs of the divergence of softmax(W′·x) from softmax(W·x), in nats; 0 without inputs */
  divergence: number
}

/** What element types do to an embedding or an output projection, a few rows at a time. */
export function compareTable ({ source, types, inputs }: TableProblem): TableComparison[] {
  const { rows, columns } = rowsAndColumns(source.shape)
  const positions = inputs === null ? 0 : inputs.length / columns
  const x = { rows: positions, columns, data: Float64Array.from(inputs ?? []) }
  // logits of the source and, after it, of each type
  const logits = [null, ...types].map(() => new Float32Array(positions * rows))
  let size = 0
  const errors = types.map(() => 0)
  for (let row = 0; row < rows; row += TABLE_ROWS) {
    const to = Math.min(rows, row + TABLE_ROWS)
    const values = readRows(source, row, to)
    const variants = [values, ...types.map(type => dequantise(type, encodeBlocks(type, values)))]
    for (const value of values) size += value * value
    types.forEach((_, i) => values.forEach((value, at) => { errors[i] += (value - variants[i + 1][at]) ** 2 }))
    if (positions === 0) continue
    variants.forEach((variant, i) => {
      const product = matrixProduct(x, { rows: to - row, columns, data: Float64Array.from(variant) }, { transposeB: true })
      for (let position = 0; position < positions; position++) {
        logits[i].set(product.data.subarray(position * (to - row), (position + 1) * (to - row)), position * rows + row)
      }
    })
  }
  return types.map((type, i) => ({
    type,
    frobenius: size === 0 ? 0 : errors[i] / size,
    divergence: positions === 0 ? 0 : divergence(logits[0], logits[i + 1], rows)
  }))
}

/** Mean over rows of Σ p·log(p ÷ q), in nats. */
function divergence (first: Float32Array, second: Float32Array, size: number): number {
  let sum = 0
  for (let at = 0; at < first.length; at += size) {
    const [a, b] = [first, second].map(logits => logSumExp(logits, at, size))
    for (let i = at; i < at + size; i++) sum += Math.exp(first[i] - a) * ((first[i] - a) - (second[i] - b))
  }
  return sum / (first.length / size)
}

function logSumExp (logits: Float32Array, at: number, size: number): number {
  let most = -Infinity
  for (let i = at; i < at + size; i++) most = Math.max(most, logits[i])
  let sum = 0
  for (let i = at; i < at + size; i++) sum += Math.exp(logits[i] - most)
  return most + Math.log(sum)
}
