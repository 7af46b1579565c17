import { BLOCK_COLUMNS } from '../constants.ts'
import { NonFiniteWeightError } from '../errors.ts'
import type { TensorType } from '../types.ts'
import { dequantise } from './dequantise.ts'
import { ELEMENT_TYPES } from './element-types.ts'
import { halfTable, smallestHalfAtLeast } from './half.ts'
import { packedMinimum, packedScale } from './k-quants.ts'
import { threeBits } from './own-types.ts'

/** Weight formats of profile `exact-1` (docs/numerics.md, section 1). */
export type WeightFormat = 'q3' | 'q4s' | 'q4' | 'q4k' | 'q5s' | 'q5' | 'q5k' | 'q8'

/** Types that weights come in, as opposed to left factors (`decodeLeftFactor`) and to no weights at all. */
export type WeightType = Exclude<TensorType, 'Q8_8' | 'ZERO'>

/**
 * Rows of a matrix in canonical form, in blocks of 32 consecutive columns.
 * Symmetric formats: w = scale · (code − zero). Affine ones: w = scale · code + minimum.
 */
export interface WeightBlocks {
  format: WeightFormat
  rows: number
  columns: number
  /** one unsigned code a weight, row-major: rows × columns */
  codes: Uint8Array
  /** 8 for q3 and q4s, 16 for q5s, 128 for q8, 0 for affine formats */
  zero: number
  /** row-major: rows × columns / 32 */
  scales: Float32Array
  /** affine formats only: rows × columns / 32 */
  minimums: Float32Array | null
}

const FORMATS: Readonly<Record<WeightType, WeightFormat>> = {
  Q3_32: 'q3',
  Q4_0: 'q4s',
  Q4_1: 'q4',
  Q5_0: 'q5s',
  Q5_1: 'q5',
  Q8_0: 'q8',
  Q4_K: 'q4k',
  Q5_K: 'q5k',
  Q6_K: 'q8',
  F16: 'q8',
  BF16: 'q8',
  F32: 'q8'
}

/** Code that stands for weight 0 of symmetric formats, 0 for affine ones. */
const ZEROS: Readonly<Record<WeightFormat, number>> = { q3: 8, q4s: 8, q4: 0, q4k: 0, q5s: 16, q5: 0, q5k: 0, q8: 128 }

export function isWeightType (type: TensorType): type is WeightType {
  return Object.hasOwn(FORMATS, type)
}

/**
 * The format that weights of a source type have in the engine.
 *
 * @throws RangeError for types that are no weights
 */
export function weightFormat (type: TensorType): WeightFormat {
  if (!isWeightType(type)) throw new RangeError(`${type} is not a type of weights`)
  return FORMATS[type]
}

/**
 * Converts whole rows to the canonical form. Rows do not depend on each other,
 * so a matrix may be converted in chunks of rows. Lossless for the block types
 * of ggml; Q6_K and plain floats are requantised to `q8` (see `requantise`).
 *
 * @param bytes `rows` × `columns` weights of `type`, rows in canonical order
 * @param name tensor name for error messages
 * @throws RangeError where columns are not whole blocks or the byte length does not fit
 * @throws NonFiniteWeightError for NaN, infinities, or floats beyond the range of `q8`
 */
export function decodeBlocks (
  type: TensorType, bytes: Uint8Array, rows: number, columns: number, name = 'tensor'
): WeightBlocks {
  const format = weightFormat(type)
  const source = ELEMENT_TYPES[type]
  if (columns <= 0 || columns % BLOCK_COLUMNS !== 0) {
    throw new RangeError(`${name}: ${columns} columns are not a multiple of ${BLOCK_COLUMNS}, as profile exact-1 requires`)
  }
  if (columns % source.elements !== 0) {
    throw new RangeError(`${name}: ${columns} columns are not whole ${type} blocks of ${source.elements}`)
  }
  if (rows * columns / source.elements * source.bytes !== bytes.length) {
    throw new RangeError(`${name}: ${bytes.length} bytes are not ${rows} × ${columns} weights of type ${type}`)
  }
  const affine = ZEROS[format] === 0
  const blocks: WeightBlocks = {
    format,
    rows,
    columns,
    codes: new Uint8Array(rows * columns),
    zero: ZEROS[format],
    scales: new Float32Array(rows * columns / BLOCK_COLUMNS),
    minimums: affine ? new Float32Array(rows * columns / BLOCK_COLUMNS) : null
  }
  decoders[type as WeightType](bytes, blocks, name)
  checkFinite(blocks.scales, name, 'scale')
  if (blocks.minimums !== null) checkFinite(blocks.minimums, name, 'minimum')
  return blocks
}

type Decoder = (bytes: Uint8Array, blocks: WeightBlocks, name: string) => void

const decoders: Readonly<Record<WeightType, Decoder>> = {
  Q3_32: (bytes, { codes, scales }) => {
    const half = halfTable()
    for (let at = 0, o = 0, b = 0; at < bytes.length; at += 14, o += 32, b++) {
      scales[b] = half[bytes[at] | bytes[at + 1] << 8]
      const lowest = bytes[at] & 1
      for (let i = 0; i < 32; i++) codes[o + i] = 2 * threeBits(bytes, at + 2, i) + lowest
    }
  },
  Q4_0: (bytes, { codes, scales }) => {
    const half = halfTable()
    for (let at = 0, o = 0, b = 0; at < bytes.length; at += 18, o += 32, b++) {
      scales[b] = half[bytes[at] | bytes[at + 1] << 8]
      splitNibbles(bytes, at + 2, codes, o)
    }
  },
  Q4_1: (bytes, { codes, scales, minimums }) => {
    const half = halfTable()
    for (let at = 0, o = 0, b = 0; at < bytes.length; at += 20, o += 32, b++) {
      scales[b] = half[bytes[at] | bytes[at + 1] << 8]
      minimums![b] = half[bytes[at + 2] | bytes[at + 3] << 8]
      splitNibbles(bytes, at + 4, codes, o)
    }
  },
  Q5_0: (bytes, { codes, scales }) => {
    const half = halfTable()
    for (let at = 0, o = 0, b = 0; at < bytes.length; at += 22, o += 32, b++) {
      scales[b] = half[bytes[at] | bytes[at + 1] << 8]
      splitNibbles(bytes, at + 6, codes, o)
      addFifthBits(bytes, at + 2, codes, o)
    }
  },
  Q5_1: (bytes, { codes, scales, minimums }) => {
    const half = halfTable()
    for (let at = 0, o = 0, b = 0; at < bytes.length; at += 24, o += 32, b++) {
      scales[b] = half[bytes[at] | bytes[at + 1] << 8]
      minimums![b] = half[bytes[at + 2] | bytes[at + 3] << 8]
      splitNibbles(bytes, at + 8, codes, o)
      addFifthBits(bytes, at + 4, codes, o)
    }
  },
  Q8_0: (bytes, { codes, scales }) => {
    const half = halfTable()
    for (let at = 0, o = 0, b = 0; at < bytes.length; at += 34, o += 32, b++) {
      scales[b] = half[bytes[at] | bytes[at + 1] << 8]
      // s8 + 128 is the sign bit turned over
      for (let i = 0; i < 32; i++) codes[o + i] = bytes[at + 2 + i] ^ 128
    }
  },
  Q4_K: (bytes, { codes, scales, minimums }) => {
    const half = halfTable()
    for (let at = 0, o = 0, b = 0; at < bytes.length; at += 144) {
      const d = half[bytes[at] | bytes[at + 1] << 8]
      const dmin = half[bytes[at + 2] | bytes[at + 3] << 8]
      for (let j = 0; j < 8; j++, b++, o += 32) {
        scales[b] = d * packedScale(bytes, at + 4, j)
        minimums![b] = -(dmin * packedMinimum(bytes, at + 4, j))
        const nibbles = at + 16 + (j >> 1) * 32
        const shift = (j & 1) * 4
        for (let i = 0; i < 32; i++) codes[o + i] = bytes[nibbles + i] >> shift & 15
      }
    }
  },
  Q5_K: (bytes, { codes, scales, minimums }) => {
    const half = halfTable()
    for (let at = 0, o = 0, b = 0; at < bytes.length; at += 176) {
      const d = half[bytes[at] | bytes[at + 1] << 8]
      const dmin = half[bytes[at + 2] | bytes[at + 3] << 8]
      for (let j = 0; j < 8; j++, b++, o += 32) {
        scales[b] = d * packedScale(bytes, at + 4, j)
        minimums![b] = -(dmin * packedMinimum(bytes, at + 4, j))
        const nibbles = at + 48 + (j >> 1) * 32
        const shift = (j & 1) * 4
        for (let i = 0; i < 32; i++) {
          codes[o + i] = bytes[nibbles + i] >> shift & 15 | (bytes[at + 16 + i] >> j & 1) << 4
        }
      }
    }
  },
  Q6_K: (bytes, blocks, name) => requantise(dequantise('Q6_K', bytes), blocks, name),
  F16: (bytes, blocks, name) => requantise(dequantise('F16', bytes), blocks, name),
  BF16: (bytes, blocks, name) => requantise(dequantise('BF16', bytes), blocks, name),
  F32: (bytes, blocks, name) => requantise(dequantise('F32', bytes), blocks, name)
}

/** Low nibbles of 16 bytes are weights 0…15 of a block, high nibbles 16…31. */
function splitNibbles (bytes: Uint8Array, at: number, codes: Uint8Array, o: number): void {
  for (let i = 0; i < 16; i++) {
    const pair = bytes[at + i]
    codes[o + i] = pair & 15
    codes[o + 16 + i] = pair >> 4
  }
}

function addFifthBits (bytes: Uint8Array, at: number, codes: Uint8Array, o: number): void {
  const high = bytes[at] | bytes[at + 1] << 8 | bytes[at + 2] << 16 | bytes[at + 3] << 24
  for (let i = 0; i < 32; i++) codes[o + i] |= (high >>> i & 1) << 4
}

/** 1.5 · 2^52: adding and taking it off rounds a small binary64 to the nearest integer, ties to even. */
const ROUND = 6_755_399_441_055_744

/**
 * Rules `exact-1/1`, in binary64 on exact values (those of Q6_K are exact
 * products that float32 holds): per block, scale = the smallest float16 not
 * below max|w| ÷ 127, code = 128 + clamp(rint(w ÷ scale), −127, 127).
 * |w − scale · (code − 128)| ≤ scale ÷ 2.
 */
function requantise (values: Float32Array, { codes, scales }: WeightBlocks, name: string): void {
  for (let o = 0, b = 0; o < values.length; o += 32, b++) {
    let largest = 0
    let probe = 0
    for (let i = o; i < o + 32; i++) {
      const size = Math.abs(values[i])
      if (size > largest) largest = size
      probe += size - size // NaN where size is NaN or infinite
    }
    if (probe !== 0) throw new NonFiniteWeightError(name, `a weight of block ${b} is not finite`)
    if (largest === 0) {
      codes.fill(128, o, o + 32)
      continue
    }
    const scale = smallestHalfAtLeast(largest / 127)
    if (scale === Infinity) {
      throw new NonFiniteWeightError(name, `block ${b} needs a scale above 65504 (largest weight ${largest})`)
    }
    scales[b] = scale
    for (let i = o; i < o + 32; i++) {
      const code = values[i] / scale + ROUND - ROUND
      codes[i] = 128 + Math.max(-127, Math.min(127, code))
    }
  }
}

function checkFinite (values: Float32Array, name: string, what: string): void {
  for (let b = 0; b < values.length; b++) {
    if (values[b] - values[b] !== 0) throw new NonFiniteWeightError(name, `the ${what} of block ${b} is ${values[b]}`)
  }
}
