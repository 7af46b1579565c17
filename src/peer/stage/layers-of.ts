import { keyValueBytesPerPosition } from '../../engine/index.ts'
import type { Architecture, UnitRange } from '../../model/index.ts'

/** Of the keys and values of a range those of a part of it: for each position the layers that the part has. */
export function layersOf (architecture: Architecture, bytes: Uint8Array, whole: UnitRange, part: UnitRange): Uint8Array {
  const from = keyValueBytesPerPosition(architecture, { from: whole.from, to: part.from })
  const size = keyValueBytesPerPosition(architecture, part)
  const stride = keyValueBytesPerPosition(architecture, whole)
  if (size === stride) return bytes
  const result = new Uint8Array(bytes.length / stride * size)
  for (let at = from, to = 0; to < result.length; at += stride, to += size) result.set(bytes.subarray(at, at + size), to)
  return result
}
