/**
 * Counter-based random numbers: Philox4x32-10 of Salmon, Moraes, Dror and
 * Shaw, "Parallel Random Numbers: As Easy as 1, 2, 3", SC 2011. A number is a
 * pure function of seed and position, so a text can be cut, resumed or moved
 * to other peers at any token and draws the same numbers.
 */

const MULTIPLIER_0 = 0xd2511f53
const MULTIPLIER_1 = 0xcd9e8d57
const WEYL_0 = 0x9e3779b9
const WEYL_1 = 0xbb67ae85
const ROUNDS = 10

/** high 32 bits of the product of two unsigned 32-bit integers, from 16-bit halves */
function multiplyHigh (a: number, b: number): number {
  const aLow = a & 0xffff
  const aHigh = a >>> 16
  const bLow = b & 0xffff
  const bHigh = b >>> 16
  // each sum stays below 2^34, exact in binary64; >>> would wrap, so divide
  const middle = aHigh * bLow + Math.floor((aLow * bLow) / 0x10000)
  const cross = aLow * bHigh + (middle % 0x10000)
  return (aHigh * bHigh + Math.floor(middle / 0x10000) + Math.floor(cross / 0x10000)) >>> 0
}

/** One block: four 32-bit integers from a counter of four and a key of two. */
export function philox4x32 (counter: readonly number[], key: readonly number[]): [number, number, number, number] {
  let [c0, c1, c2, c3] = counter
  let [k0, k1] = key
  for (let round = 0; round < ROUNDS; round++) {
    const high0 = multiplyHigh(MULTIPLIER_0, c0)
    const low0 = Math.imul(MULTIPLIER_0, c0) >>> 0
    const high1 = multiplyHigh(MULTIPLIER_1, c2)
    const low1 = Math.imul(MULTIPLIER_1, c2) >>> 0
    c0 = (high1 ^ c1 ^ k0) >>> 0
    c1 = low1
    c2 = (high0 ^ c3 ^ k1) >>> 0
    c3 = low0
    k0 = (k0 + WEYL_0) >>> 0
    k1 = (k1 + WEYL_1) >>> 0
  }
  return [c0, c1, c2, c3]
}

/**
 * The uniform number in [0, 1) that draws the token at `position` (its index in
 * the sequence), 53 bits. Key: low and high word of the seed; counter: low and
 * high word of the position, 0, 0.
 */
export function uniformAt (seed: number, position: number): number {
  const word = 2 ** 32
  const [a, b] = philox4x32(
    [position >>> 0, Math.floor(position / word), 0, 0],
    [seed >>> 0, Math.floor(seed / word)])
  return ((a >>> 5) * 2 ** 26 + (b >>> 6)) / 2 ** 53
}
