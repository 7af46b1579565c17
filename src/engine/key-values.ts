import { ContextLengthError, InvalidKeyValuesError } from './errors.ts'
import type { Architecture, UnitRange } from '../model/index.ts'

/** How one key, or one value, of one KV head lies in the bytes of a KV cache: docs/numerics.md, section 11. */
export interface KeyValueShape {
  heads: number
  /** signed codes, a byte each */
  headSize: number
  /** elements with a scale of their own */
  block: number
  /** scales behind the codes, four bytes each */
  blocks: number
  /** bytes of codes and scales */
  vectorBytes: number
  /** bytes of a layer for one position: for each head its key, then its value */
  layerBytes: number
}

export function keyValueShape ({ keyValueHeadCount: heads, headSize }: Architecture): KeyValueShape {
  const block = Math.min(32, headSize)
  const blocks = headSize / block
  const vectorBytes = headSize + 4 * blocks
  return { heads, headSize, block, blocks, vectorBytes, layerBytes: 2 * heads * vectorBytes }
}

/** Bytes that `readKeyValues` gives for each position of a session that runs these units. */
export function keyValueBytesPerPosition (architecture: Architecture, { from, to }: UnitRange): number {
  const layers = Math.max(0, Math.min(to, architecture.layerCount + 1) - Math.max(from, 1))
  return layers * keyValueShape(architecture).layerBytes
}

/** @throws InvalidKeyValuesError unless [from, to) are positions of a session that holds `length` of them */
export function checkKeyValueSpan (from: number, to: number, length: number): void {
  if (!(Number.isInteger(from) && from >= 0 && from <= length)) throw new InvalidKeyValuesError('from', `${from}, the session holds ${length} positions`)
  if (!(Number.isInteger(to) && to >= from && to <= length)) throw new InvalidKeyValuesError('to', `${to}, positions from ${from} on are wanted and the session holds ${length}`)
}

export interface KeyValueWrite {
  architecture: Architecture
  /** of the session */
  range: UnitRange
  /** positions that it holds */
  length: number
  from: number
  bytes: Uint8Array
  to?: number
}

/**
 * Checks bytes that come from anywhere, their number first.
 *
 * @returns where the positions end
 * @throws InvalidKeyValuesError, ContextLengthError
 */
export function checkKeyValueWrite ({ architecture, range, length, from, bytes, to }: KeyValueWrite): number {
  if (!(Number.isInteger(from) && from >= 0 && from <= length)) throw new InvalidKeyValuesError('from', `${from} does not continue a session of ${length} positions`)
  const bytesPerPosition = keyValueBytesPerPosition(architecture, range)
  if (bytesPerPosition === 0 && to === undefined) throw new InvalidKeyValuesError('to', 'is needed where the range has no layers')
  const end = to ?? from + bytes.length / bytesPerPosition
  if (!Number.isInteger(end)) throw new InvalidKeyValuesError(to === undefined ? 'bytes' : 'to', `${to ?? bytes.length} is not a whole number of positions`)
  if (end <= from) throw new InvalidKeyValuesError(to === undefined ? 'bytes' : 'to', 'no positions')
  if (end > architecture.contextLength) throw new ContextLengthError(end, architecture.contextLength)
  if (bytes.length !== (end - from) * bytesPerPosition) throw new InvalidKeyValuesError('bytes', `${bytes.length}, ${end - from} positions have ${(end - from) * bytesPerPosition}`)
  checkContent(bytes, keyValueShape(architecture))
  return end
}

/** A step stores no other codes and scales, and kernels give the bits of the profile for no others. */
function checkContent (bytes: Uint8Array, { headSize, vectorBytes }: KeyValueShape): void {
  for (let at = 0; at < bytes.length; at += vectorBytes) {
    for (let i = at; i < at + headSize; i++) {
      if (bytes[i] === 0x80) throw new InvalidKeyValuesError('bytes', `a code of -128 at byte ${i}`)
    }
    for (let i = at + headSize; i < at + vectorBytes; i += 4) {
      // the upper half of a negative float, of an infinity or of NaN
      if ((bytes[i + 3] << 8 | bytes[i + 2]) >= 0x7f80) throw new InvalidKeyValuesError('bytes', `a scale that is negative or not finite at byte ${i}`)
    }
  }
}
