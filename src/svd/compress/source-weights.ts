import { dequantise, encodeBlocks, readTensor, rowsAndColumns } from '../../model/tensor/index.ts'
import type { TensorSource, TensorType } from '../../model/index.ts'
import { matrixProduct } from '../product/index.ts'

/** Float32 values of a tensor, a low-rank part included; in shared memory, so that worker threads need no copy. */
export function readWeights (source: TensorSource): Float32Array {
  const values = new Float32Array(new SharedArrayBuffer(4 * source.shape.reduce((a, b) => a * b, 1)))
  values.set(readTensor(source))
  if (source.lowRank === undefined) return values
  const { left, right } = source.lowRank
  const product = matrixProduct(readMatrix(left), readMatrix(right))
  for (let i = 0; i < values.length; i++) values[i] += product.data[i]
  return values
}

function readMatrix (source: TensorSource): { rows: number, columns: number, data: Float64Array } {
  return { ...rowsAndColumns(source.shape), data: Float64Array.from(readTensor(source)) }
}

/** Rows [from, to) of a matrix as float32, a low-rank part included. */
export function readRows (source: TensorSource, from: number, to: number): Float32Array {
  const values = readTensor(source, from, to)
  if (source.lowRank === undefined) return values
  const { left, right, rank } = source.lowRank
  const rows = { rows: to - from, columns: rank, data: Float64Array.from(readTensor(left, from, to)) }
  const product = matrixProduct(rows, readMatrix(right))
  return values.map((value, i) => value + product.data[i])
}

/**
 * Embeddings of ids, ids.length × columns; each row is read once. With a type,
 * as they are after encoding: rows are encoded one by one.
 */
export function embeddingRows (source: TensorSource, ids: Uint32Array, type?: TensorType): Float32Array {
  const { columns } = rowsAndColumns(source.shape)
  const known = new Map<number, Float32Array>()
  const out = new Float32Array(ids.length * columns)
  ids.forEach((id, i) => {
    let row = known.get(id)
    if (row === undefined) {
      row = readRows(source, id, id + 1)
      if (type !== undefined) row = dequantise(type, encodeBlocks(type, row))
      known.set(id, row)
    }
    out.set(row, i * columns)
  })
  return out
}

/** A matrix encoded some rows at a time. */
export function * encodedRows (source: TensorSource, type: TensorType, rowsAtOnce: number): Generator<Uint8Array> {
  const { rows } = rowsAndColumns(source.shape)
  for (let row = 0; row < rows; row += rowsAtOnce) {
    yield encodeBlocks(type, readRows(source, row, Math.min(rows, row + rowsAtOnce)))
  }
}
