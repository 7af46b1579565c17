import type { TensorType } from '../types.ts'
import { ELEMENT_TYPES } from './element-types.ts'
import { halfTable } from './half.ts'
import { dequantise4K, dequantise5K, dequantise6K } from './k-quants.ts'
import { powerScale, threeBits } from './own-types.ts'

/**
 * The float32 values of whole blocks, as ggml computes them: the same float32
 * operations in the same order (`dequantize_row_*` of `ggml-quants.c`).
 * Stores to a `Float32Array` round; every product below is exact in float32,
 * so that only the addition of a minimum rounds, once, as in ggml.
 *
 * @param bytes whole blocks of `type`
 * @throws RangeError where `bytes` is not a whole number of blocks; for `ZERO`, whose bytes do not tell how many there are
 */
export function dequantise (type: TensorType, bytes: Uint8Array): Float32Array {
  const block = ELEMENT_TYPES[type]
  if (block.bytes === 0) throw new RangeError(`${type} has no bytes: only its shape says how many elements there are`)
  const count = bytes.length / block.bytes
  if (!Number.isInteger(count)) throw new RangeError(`${bytes.length} bytes are not a whole number of ${type} blocks`)
  const out = new Float32Array(count * block.elements)
  if (bytes.length > 0) decoders[type](bytes, out, halfTable())
  return out
}

type Decoder = (bytes: Uint8Array, out: Float32Array, half: Float32Array) => void

const decoders: Record<TensorType, Decoder> = {
  F32: (bytes, out) => new Uint8Array(out.buffer).set(bytes),
  F16: (bytes, out, half) => {
    for (let i = 0; i < out.length; i++) out[i] = half[bytes[2 * i] | bytes[2 * i + 1] << 8]
  },
  BF16: (bytes, out) => {
    // through the bits, so that NaN payloads stay what they are
    const bits = new Uint32Array(out.buffer)
    for (let i = 0; i < out.length; i++) bits[i] = bytes[2 * i] << 16 | bytes[2 * i + 1] << 24
  },
  Q4_0: (bytes, out, half) => {
    for (let at = 0, o = 0; at < bytes.length; at += 18, o += 32) {
      const scale = half[bytes[at] | bytes[at + 1] << 8]
      for (let i = 0; i < 16; i++) {
        const pair = bytes[at + 2 + i]
        out[o + i] = scale * ((pair & 15) - 8)
        out[o + 16 + i] = scale * ((pair >> 4) - 8)
      }
    }
  },
  Q4_1: (bytes, out, half) => {
    for (let at = 0, o = 0; at < bytes.length; at += 20, o += 32) {
      const scale = half[bytes[at] | bytes[at + 1] << 8]
      const minimum = half[bytes[at + 2] | bytes[at + 3] << 8]
      for (let i = 0; i < 16; i++) {
        const pair = bytes[at + 4 + i]
        out[o + i] = scale * (pair & 15) + minimum
        out[o + 16 + i] = scale * (pair >> 4) + minimum
      }
    }
  },
  Q5_0: (bytes, out, half) => {
    for (let at = 0, o = 0; at < bytes.length; at += 22, o += 32) {
      const scale = half[bytes[at] | bytes[at + 1] << 8]
      const high = bytes[at + 2] | bytes[at + 3] << 8 | bytes[at + 4] << 16 | bytes[at + 5] << 24
      for (let i = 0; i < 16; i++) {
        const pair = bytes[at + 6 + i]
        out[o + i] = scale * ((pair & 15 | (high >>> i & 1) << 4) - 16)
        out[o + 16 + i] = scale * ((pair >> 4 | (high >>> (i + 16) & 1) << 4) - 16)
      }
    }
  },
  Q5_1: (bytes, out, half) => {
    for (let at = 0, o = 0; at < bytes.length; at += 24, o += 32) {
      const scale = half[bytes[at] | bytes[at + 1] << 8]
      const minimum = half[bytes[at + 2] | bytes[at + 3] << 8]
      const high = bytes[at + 4] | bytes[at + 5] << 8 | bytes[at + 6] << 16 | bytes[at + 7] << 24
      for (let i = 0; i < 16; i++) {
        const pair = bytes[at + 8 + i]
        out[o + i] = scale * (pair & 15 | (high >>> i & 1) << 4) + minimum
        out[o + 16 + i] = scale * (pair >> 4 | (high >>> (i + 16) & 1) << 4) + minimum
      }
    }
  },
  Q8_0: (bytes, out, half) => {
    for (let at = 0, o = 0; at < bytes.length; at += 34, o += 32) {
      const scale = half[bytes[at] | bytes[at + 1] << 8]
      for (let i = 0; i < 32; i++) out[o + i] = scale * (bytes[at + 2 + i] << 24 >> 24)
    }
  },
  Q4_K: dequantise4K,
  Q5_K: dequantise5K,
  Q6_K: dequantise6K,
  Q3_32: (bytes, out, half) => {
    for (let at = 0, o = 0; at < bytes.length; at += 14, o += 32) {
      const scale = half[bytes[at] | bytes[at + 1] << 8]
      const zero = 8 - (bytes[at] & 1)
      for (let i = 0; i < 32; i++) out[o + i] = scale * (2 * threeBits(bytes, at + 2, i) - zero)
    }
  },
  Q8_8: (bytes, out) => {
    for (let at = 0, o = 0; at < bytes.length; at += 9, o += 8) {
      const scale = powerScale(bytes[at])
      for (let i = 0; i < 8; i++) out[o + i] = scale * (bytes[at + 1 + i] << 24 >> 24)
    }
  },
  ZERO: () => {}
}
