import { dequantise, encodeBlocks, rowsAndColumns } from '../../model/tensor/index.ts'
import type { TensorSource, TensorType } from '../../model/index.ts'
import { weightedError } from '../factor-errors.ts'
import { subtract } from '../matrix.ts'
import type { Matrix } from '../types.ts'
import { ratio } from './compress-matrix.ts'
import { TABLE_ROWS } from './constants.ts'
import { readRows } from './source-weights.ts'

export interface MeasureProblem {
  source: TensorSource
  /** what is stored, or the element type that rows are to be encoded in */
  stored: TensorSource | TensorType
  /** of what the rows are multiplied by; null where the weighted error is not wanted */
  gram: Float64Array | null
}

/** Errors of a stored matrix relative to its source, some rows at a time. */
export function measureRows ({ source, stored, gram }: MeasureProblem): { weighted: number | null, frobenius: number } {
  const { rows, columns } = rowsAndColumns(source.shape)
  const squares = { size: [0, 0], error: [0, 0] }
  const add = (to: number[], matrix: Matrix) => {
    for (const value of matrix.data) to[0] += value * value
    if (gram !== null) to[1] += weightedError(matrix, { rows: columns, columns, data: gram }) ** 2
  }
  for (let row = 0; row < rows; row += TABLE_ROWS) {
    const to = Math.min(rows, row + TABLE_ROWS)
    const values = readRows(source, row, to)
    const other = typeof stored === 'string' ? dequantise(stored, encodeBlocks(stored, values)) : readRows(stored, row, to)
    const [a, b] = [values, other].map((rowValues): Matrix => ({ rows: to - row, columns, data: Float64Array.from(rowValues) }))
    add(squares.size, a)
    add(squares.error, subtract(a, b))
  }
  const relative = (i: number) => Math.sqrt(ratio(squares.error[i], squares.size[i]))
  return { weighted: gram === null ? null : relative(1), frobenius: relative(0) }
}
