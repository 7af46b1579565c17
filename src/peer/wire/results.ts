import type { RowResult } from '../../engine/index.ts'
import { FrameError } from '../errors.ts'
import { OutputKind } from './kinds.ts'

const HEAD_BYTES = 24

function kindOf (result: RowResult): number {
  if (result.logits !== undefined) return OutputKind.logits
  return result.argmax === undefined ? OutputKind.top : OutputKind.score
}

function countOf (result: RowResult): number {
  return (result.logits ?? result.ids ?? []).length
}

/** Bytes of one result on the wire, a multiple of 8. */
export function resultByteLength (result: RowResult): number {
  const words = result.logits === undefined ? 2 * countOf(result) : countOf(result)
  return HEAD_BYTES + ((4 * words + 7) & ~7)
}

/** Writes results one after another from `offset` (a multiple of 8) of a buffer that is zero there. */
export function writeResults (results: readonly RowResult[], buffer: ArrayBuffer, offset: number): void {
  const view = new DataView(buffer)
  for (const result of results) {
    const count = countOf(result)
    view.setUint32(offset, result.row, true)
    view.setUint32(offset + 4, kindOf(result), true)
    view.setUint32(offset + 8, count, true)
    view.setUint32(offset + 12, result.argmax ?? 0, true)
    view.setFloat64(offset + 16, result.logSumExp ?? 0, true)
    const at = offset + HEAD_BYTES
    if (result.logits !== undefined) {
      new Float32Array(buffer, at, count).set(result.logits)
    } else {
      new Uint32Array(buffer, at, count).set(result.ids ?? [])
      new Float32Array(buffer, at + 4 * count, count).set(result.values ?? [])
    }
    offset += resultByteLength(result)
  }
}

/** The arrays are views of `bytes`, which is aligned to 8 and belongs to the result from now on. */
export function readResults (bytes: Uint8Array, rows: number): RowResult[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const results: RowResult[] = []
  let at = 0
  let previous = -1
  while (at < bytes.length) {
    if (at + HEAD_BYTES > bytes.length) throw new FrameError('results', 'end too early')
    const row = view.getUint32(at, true)
    const kind = view.getUint32(at + 4, true)
    const count = view.getUint32(at + 8, true)
    const argmax = view.getUint32(at + 12, true)
    const logSumExp = view.getFloat64(at + 16, true)
    if (row <= previous || row >= rows) throw new FrameError('result', `is for row ${row} of ${rows}, or out of order`)
    previous = row
    if (kind < OutputKind.top || kind > OutputKind.score) throw new FrameError('result', `has unknown kind ${kind}`)
    if (kind !== OutputKind.score && argmax !== 0) throw new FrameError('result', 'has an argmax that was not asked for')
    if (kind === OutputKind.logits && !Object.is(logSumExp, 0)) throw new FrameError('result', 'has a log-sum-exp that was not asked for')
    const words = kind === OutputKind.logits ? count : 2 * count
    const body = at + HEAD_BYTES
    if (4 * words > bytes.length - body) throw new FrameError('result', `of ${count} logits ends too early`)
    const end = body + ((4 * words + 7) & ~7)
    if (end > bytes.length) throw new FrameError('result', 'is not padded')
    if (4 * words + body !== end && view.getUint32(end - 4, true) !== 0) throw new FrameError('result', 'has padding that is not zero')
    const start = bytes.byteOffset + body
    if (kind === OutputKind.logits) {
      results.push({ row, logits: new Float32Array(bytes.buffer, start, count) })
    } else {
      const ids = new Uint32Array(bytes.buffer, start, count)
      const values = new Float32Array(bytes.buffer, start + 4 * count, count)
      results.push({ row, ids, values, logSumExp, ...(kind === OutputKind.score ? { argmax } : {}) })
    }
    at = end
  }
  return results
}
