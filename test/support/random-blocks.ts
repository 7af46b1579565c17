import { ELEMENT_TYPES } from '../../src/model/index.ts'
import type { TensorType } from '../../src/model/index.ts'
import { randomBytes } from './random-bytes.ts'

/** Offsets of float16 fields in a block of each type; what matters is the byte after, which has the exponent. */
const HALVES: Readonly<Record<TensorType, number[]>> = {
  F32: [2],
  F16: [0],
  BF16: [0],
  Q4_0: [0],
  Q4_1: [0, 2],
  Q5_0: [0],
  Q5_1: [0, 2],
  Q8_0: [0],
  Q4_K: [0, 2],
  Q5_K: [0, 2],
  Q6_K: [208],
  Q3_32: [0],
  Q8_8: [-1],
  ZERO: []
}

/** `elements` weights of a type: random bytes whose floats are finite. */
export function randomBlocks (type: TensorType, elements: number, seed = 12345): Uint8Array {
  const block = ELEMENT_TYPES[type]
  const bytes = randomBytes(elements / block.elements * block.bytes, seed)
  for (let at = 0; at < bytes.length; at += block.bytes) {
    // one bit less in the exponent: neither infinite nor NaN
    for (const half of HALVES[type]) bytes[at + half + 1] &= 0xbf
  }
  return bytes
}
