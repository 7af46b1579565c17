import { closeSync, openSync, readSync } from 'node:fs'
import { ModelFileError, NonFiniteWeightError } from '../errors.ts'
import type { TensorSource } from '../types.ts'
import { dequantise } from './dequantise.ts'
import { rowsAndColumns } from './element-types.ts'

/**
 * Reads exactly `length` bytes of a file at `offset`. Synchronous: weights are
 * loaded in worker threads.
 *
 * @throws ModelFileError where the file cannot be opened or ends too early
 */
export function readRange (path: string, offset: number, length: number, field = 'file'): Uint8Array {
  let handle: number
  try {
    handle = openSync(path, 'r')
  } catch (cause) {
    throw new ModelFileError(path, 'file', `cannot be opened: ${(cause as Error).message}`, { cause })
  }
  try {
    const bytes = new Uint8Array(length)
    let done = 0
    while (done < length) {
      const count = readSync(handle, bytes, done, length - done, offset + done)
      if (count === 0) throw new ModelFileError(path, field, `the file ends at byte ${offset + done}, ${length - done} bytes short`)
      done += count
    }
    return bytes
  } catch (cause) {
    if (cause instanceof ModelFileError) throw cause
    throw new ModelFileError(path, field, `cannot be read: ${(cause as Error).message}`, { cause })
  } finally {
    closeSync(handle)
  }
}

/** Rows of a source as they are permuted: a vector with `interleavedHeads` (a bias) has one element a row. */
function layout (source: TensorSource): { rows: number, rowBytes: number } {
  const { rows, columns } = rowsAndColumns(source.shape)
  const count = source.interleavedHeads !== undefined && source.shape.length === 1 ? columns : rows
  return { rows: count, rowBytes: source.byteLength / count }
}

/** Rows of which the file holds more than is wanted: the whole is read and cut. */
function readRowStarts (source: TensorSource, from: number, to: number, rowBytes: number, stride: number): Uint8Array {
  if (from === to) return new Uint8Array(0)
  const stored = readRange(source.path, source.offset + from * stride, (to - from - 1) * stride + rowBytes, source.name)
  const bytes = new Uint8Array((to - from) * rowBytes)
  for (let row = 0; row < to - from; row++) bytes.set(stored.subarray(row * stride, row * stride + rowBytes), row * rowBytes)
  return bytes
}

/**
 * Raw bytes of the rows `[fromRow, toRow)` in canonical order: where a GGUF
 * file stores q or k for interleaved RoPE, element 2j + h of a head in the
 * file is element h·headSize/2 + j here.
 *
 * @throws ModelFileError as readRange; RangeError for rows outside the tensor
 */
export function readTensorRows (source: TensorSource, fromRow: number, toRow: number): Uint8Array {
  const { rows, rowBytes } = layout(source)
  if (!(Number.isInteger(fromRow) && Number.isInteger(toRow) && fromRow >= 0 && fromRow <= toRow && toRow <= rows)) {
    throw new RangeError(`rows ${fromRow} to ${toRow} of a tensor of ${rows} rows`)
  }
  const read = (from: number, to: number) => source.rowBytes !== undefined
    ? readRowStarts(source, from, to, rowBytes, source.rowBytes)
    : readRange(source.path, source.offset + from * rowBytes, (to - from) * rowBytes, source.name)
  if (source.interleavedHeads === undefined) return read(fromRow, toRow)

  const headSize = rows / source.interleavedHeads
  const half = headSize / 2
  // the rows of a head come from anywhere in that head, so whole heads are read
  const firstRow = Math.floor(fromRow / headSize) * headSize
  const stored = read(firstRow, Math.ceil(toRow / headSize) * headSize)
  const bytes = new Uint8Array((toRow - fromRow) * rowBytes)
  for (let row = fromRow; row < toRow; row++) {
    const inHead = row % headSize
    const inFile = row - inHead + (inHead < half ? inHead * 2 : (inHead - half) * 2 + 1)
    const at = (inFile - firstRow) * rowBytes
    bytes.set(stored.subarray(at, at + rowBytes), (row - fromRow) * rowBytes)
  }
  return bytes
}

/** Raw bytes of a tensor, rows in canonical order. */
export function readTensorBytes (source: TensorSource): Uint8Array {
  return readTensorRows(source, 0, layout(source).rows)
}

/**
 * Float32 values of a tensor, or of its rows [fromRow, toRow), row-major, rows
 * in canonical order. A low-rank correction is not added.
 *
 * @throws ModelFileError as readRange; RangeError for rows outside the tensor; NonFiniteWeightError for NaN or infinities
 */
export function readTensor (source: TensorSource, fromRow = 0, toRow = layout(source).rows): Float32Array {
  const bytes = readTensorRows(source, fromRow, toRow)
  if (source.type === 'ZERO') return new Float32Array((toRow - fromRow) * rowsAndColumns(source.shape).columns)
  const values = dequantise(source.type, bytes)
  for (let i = 0; i < values.length; i++) {
    // x - x is 0 for every finite x
    if (values[i] - values[i] !== 0) {
      throw new NonFiniteWeightError(source.name ?? source.path, `element ${i} is ${values[i]}`)
    }
  }
  return values
}
