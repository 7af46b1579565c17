import { NonFiniteWeightError } from '../errors.ts'

/** Elements of a left factor that share a scale, along the rank. */
const BLOCK = 8
const BLOCK_BYTES = 9

/** Rows of a left factor in canonical form, in blocks of 8 consecutive ranks: w = 2^(exponent − 127) · code, 0 where the exponent is 0. */
export interface LeftFactorBlocks {
  rows: number
  rank: number
  /** signed, row-major: rows × rank */
  codes: Int8Array
  /** row-major: rows × rank / 8; 0 … 254 */
  exponents: Uint8Array
}

/**
 * Takes rows of type Q8_8 apart.
 *
 * @param bytes `rows` × `rank` weights
 * @throws RangeError where the rank is not whole blocks or the byte length does not fit
 * @throws NonFiniteWeightError for an exponent of 255
 */
export function decodeLeftFactor (bytes: Uint8Array, rows: number, rank: number, name = 'left factor'): LeftFactorBlocks {
  if (rank <= 0 || rank % BLOCK !== 0) throw new RangeError(`${name}: rank ${rank} is not a multiple of ${BLOCK}`)
  const blocks = rows * rank / BLOCK
  if (blocks * BLOCK_BYTES !== bytes.length) throw new RangeError(`${name}: ${bytes.length} bytes are not ${rows} × ${rank} weights of type Q8_8`)
  const codes = new Int8Array(rows * rank)
  const exponents = new Uint8Array(blocks)
  for (let b = 0, at = 0; b < blocks; b++, at += BLOCK_BYTES) {
    if (bytes[at] === 255) throw new NonFiniteWeightError(name, `the scale of block ${b} is not finite`)
    exponents[b] = bytes[at]
    codes.set(bytes.subarray(at + 1, at + BLOCK_BYTES), b * BLOCK)
  }
  return { rows, rank, codes, exponents }
}
