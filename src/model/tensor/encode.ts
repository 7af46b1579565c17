import { LARGEST_HALF } from '../constants.ts'
import { NonFiniteWeightError } from '../errors.ts'
import type { TensorType } from '../types.ts'
import { ELEMENT_TYPES } from './element-types.ts'
import { createFit, fitScale, fitScaleAndMinimum } from './fit-block.ts'
import type { BlockFit, Levels } from './fit-block.ts'
import { halfTable, nearestHalf } from './half.ts'
import { powerScale } from './own-types.ts'

export interface EncodeBlocksOptions {
  /**
   * how much the squared error of each column counts, ≥ 0: the diagonal of
   * G = X·Xᵀ of what the matrix is applied to. Its length is that of a row.
   * Default: all alike. Types with a search only, not Q8_0 and Q8_8.
   */
  importance?: ArrayLike<number>
  /** for messages */
  name?: string
}

type Encoder = (weights: Float32Array, bytes: Uint8Array, importance: (at: number) => Float64Array) => void

/**
 * Encodes weights, row-major and in whole blocks. 3-, 4- and 5-bit blocks are
 * searched for the scale, and the minimum, of the least weighted squared error
 * (see fit-block.ts); every block for itself, so rows may be encoded in parts.
 *
 * @throws RangeError for types without an encoder, for weights that are not whole blocks, for an importance of another length than a row's
 * @throws NonFiniteWeightError for NaN, infinities, and weights beyond the range of float16 (minimums and scales)
 */
export function encodeBlocks (type: TensorType, weights: Float32Array, options: EncodeBlocksOptions = {}): Uint8Array {
  const encoder = encoders[type]
  if (encoder === undefined) throw new RangeError(`${type} has no encoder`)
  const block = ELEMENT_TYPES[type]
  if (weights.length % block.elements !== 0) throw new RangeError(`${weights.length} weights are not a whole number of ${type} blocks`)
  checkWeights(weights, options.name ?? 'tensor')
  const bytes = new Uint8Array(weights.length / block.elements * block.bytes)
  encoder(weights, bytes, importanceOf(options.importance, weights.length))
  return bytes
}

const encoders: Partial<Record<TensorType, Encoder>> = {
  Q8_0: (weights, bytes) => {
    for (let from = 0, at = 0; from < weights.length; from += 32, at += 34) {
      const pattern = nearestHalf(largest(weights, from, 32) / 127)
      const scale = halfTable()[pattern]
      putHalf(bytes, at, pattern)
      for (let i = 0; i < 32; i++) bytes[at + 2 + i] = code8(weights[from + i], scale)
    }
  },
  Q8_8: (weights, bytes) => {
    for (let from = 0, at = 0; from < weights.length; from += 8, at += 9) {
      const exponent = powerExponent(largest(weights, from, 8))
      bytes[at] = exponent
      if (exponent === 0) continue
      const scale = powerScale(exponent)
      for (let i = 0; i < 8; i++) bytes[at + 1 + i] = code8(weights[from + i], scale)
    }
  },
  Q4_0: encoder({ bytes: 18, levels: [{ low: -8, step: 1, count: 16 }] }, (fit, bytes, at) => putNibbles(fit.codes, bytes, at + 2)),
  Q4_1: encoder({ bytes: 20, minimumCodes: 16 }, (fit, bytes, at) => {
    putHalf(bytes, at + 2, fit.minimum)
    putNibbles(fit.codes, bytes, at + 4)
  }),
  Q5_0: encoder({ bytes: 22, levels: [{ low: -16, step: 1, count: 32 }] }, (fit, bytes, at) => putFiveBits(fit.codes, bytes, at + 2)),
  Q5_1: encoder({ bytes: 24, minimumCodes: 32 }, (fit, bytes, at) => {
    putHalf(bytes, at + 2, fit.minimum)
    putFiveBits(fit.codes, bytes, at + 4)
  }),
  Q3_32: encoder({ bytes: 14, levels: [{ low: -8, step: 2, count: 8, lowestBit: 0 }, { low: -7, step: 2, count: 8, lowestBit: 1 }] }, (fit, bytes, at) => {
    for (let i = 0; i < 32; i++) {
      const shifted = fit.codes[i] << (3 * i & 7)
      bytes[at + 2 + (3 * i >> 3)] |= shifted
      if (shifted > 255) bytes[at + 3 + (3 * i >> 3)] |= shifted >> 8
    }
  })
}

/** An encoder that fits blocks of 32 and puts the scale first. */
function encoder (
  { bytes: blockBytes, levels = [], minimumCodes }: { bytes: number, levels?: Levels[], minimumCodes?: number },
  put: (fit: BlockFit, bytes: Uint8Array, at: number) => void
): Encoder {
  return (weights, bytes, importance) => {
    const fit = createFit()
    for (let from = 0, at = 0; from < weights.length; from += 32, at += blockBytes) {
      fit.error = Infinity
      const counts = importance(from)
      for (const choice of levels) fitScale(weights, from, counts, choice, fit)
      if (minimumCodes !== undefined) fitScaleAndMinimum(weights, from, counts, minimumCodes, fit)
      putHalf(bytes, at, fit.scale)
      put(fit, bytes, at)
    }
  }
}

/** The importance of the 32 weights from `at` on, never 0 throughout: a block that counts for nothing is fitted all the same. */
function importanceOf (importance: ArrayLike<number> | undefined, length: number): (at: number) => Float64Array {
  const counts = new Float64Array(32).fill(1)
  if (importance === undefined) return () => counts
  const columns = importance.length
  if (columns === 0 || columns % 32 !== 0 || length % columns !== 0) throw new RangeError(`an importance of ${columns} columns is not that of a row of ${length} weights`)
  const blocks = Array.from({ length: columns / 32 }, (_, b) => {
    const block = Float64Array.from({ length: 32 }, (_, i) => importance[32 * b + i])
    if (block.some(count => !(count >= 0 && count < Infinity))) throw new RangeError(`an importance of block ${b} is not a number of at least 0`)
    return block.some(count => count > 0) ? block : counts
  })
  return at => blocks[at % columns / 32]
}

function checkWeights (weights: Float32Array, name: string): void {
  for (let i = 0; i < weights.length; i++) {
    if (!(Math.abs(weights[i]) <= LARGEST_HALF)) throw new NonFiniteWeightError(name, `element ${i} is ${weights[i]}`)
  }
}

function largest (weights: Float32Array, from: number, count: number): number {
  let size = 0
  for (let i = from; i < from + count; i++) size = Math.max(size, Math.abs(weights[i]))
  return size
}

const float = new Float32Array(1)
const word = new Uint32Array(float.buffer)

/** Smallest exponent of Q8_8 at which no code is above 127; 0 where all codes are 0 or the scale would be no normal float32. */
function powerExponent (size: number): number {
  float[0] = size
  const exponent = (word[0] >>> 23) - 6
  if (exponent < 1) return 0
  // the code of the largest is 64 … 128
  return nearestInteger(size / powerScale(exponent)) > 127 ? exponent + 1 : exponent
}

/** Ties to even, as everywhere in profile exact-1. */
function nearestInteger (x: number): number {
  return x + 6_755_399_441_055_744 - 6_755_399_441_055_744
}

/** A signed code in a byte. A scale of 0 has codes of 0. */
function code8 (weight: number, scale: number): number {
  return scale === 0 ? 0 : Math.max(-127, Math.min(127, nearestInteger(weight / scale))) & 255
}

function putHalf (bytes: Uint8Array, at: number, pattern: number): void {
  bytes[at] = pattern & 255
  bytes[at + 1] = pattern >> 8
}

/** Codes 0…15 are low nibbles, 16…31 high ones. */
function putNibbles (codes: Uint8Array, bytes: Uint8Array, at: number): void {
  for (let i = 0; i < 16; i++) bytes[at + i] = (codes[i] & 15) | (codes[16 + i] & 15) << 4
}

/** Four bytes of fifth bits, then nibbles. */
function putFiveBits (codes: Uint8Array, bytes: Uint8Array, at: number): void {
  for (let i = 0; i < 32; i++) bytes[at + (i >> 3)] |= (codes[i] >> 4) << (i & 7)
  putNibbles(codes, bytes, at + 4)
}
