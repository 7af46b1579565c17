/**
 * The storage types that packages have and ggml has not (docs/numerics.md,
 * section 1).
 *
 * Q3_32, 32 weights in 14 bytes: d f16, then 3-bit codes u, code i in bits
 * 3i … 3i + 2 of 96, lowest bits first. w = d · (2u + c − 8), where c is the
 * lowest bit of d's pattern: it chooses between the levels d · {−8, −6 … 6}
 * and d · {−7, −5 … 7}. Levels about zero that are chosen for each block take
 * 4 % off the error of normally distributed weights (0.1555 to 0.161 of their
 * size); a float16 minimum takes 11 % off and costs half a bit a weight, which
 * as a share of a fourth bit is worth twice that.
 *
 * Q8_8, 8 weights in 9 bytes: exponent e u8, then signed codes. w = 2^(e−127)
 * times the code, 0 where e = 0; e = 255 is refused. A power of two costs half
 * a bit of accuracy on average and saves a byte of ten; with 8 weights to a
 * block the error is that of Q8_0.
 */

/** Code `i` (0…31) of a block of Q3_32 whose codes begin at `at`. */
export function threeBits (bytes: Uint8Array, at: number, i: number): number {
  const bit = 3 * i
  const byte = at + (bit >> 3)
  const shift = bit & 7
  // a code that ends a byte must not look at the next, which may be the end of the array
  return (bytes[byte] | (shift > 5 ? bytes[byte + 1] << 8 : 0)) >> shift & 7
}

const float = new Float32Array(1)
const word = new Uint32Array(float.buffer)

/** Scale of a block of Q8_8: the float32 whose exponent bits are `exponent` and all others 0. */
export function powerScale (exponent: number): number {
  word[0] = exponent << 23
  return float[0]
}
