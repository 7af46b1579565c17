/**
 * The elementary operations of profile `exact-1`, one by one as
 * docs/numerics.md writes them. A `number` holds a float (binary32) here;
 * `fround` after every single operation rounds as binary32 arithmetic does:
 * binary64 has more than twice its digits, so rounding twice changes nothing.
 */
const fround = Math.fround

/** 1.5 · 2⁵²: adding and subtracting it rounds to an integer, ties to even, for |x| < 2⁵¹. */
const ROUND = 6755399441055744

/** Nearest integer, ties to even. */
export function rint (x: number): number {
  return (x + ROUND) - ROUND
}

/** amax below this counts as zero: 2⁻¹⁰⁰ */
const SMALLEST = 7.888609052210118e-31

/** limit of codes for activations, keys and values */
export const LIMIT_8 = 127
/** limit of codes for queries and attention weights */
export const LIMIT_15 = 16383

/**
 * Section 2: quantises `size` floats of x from `from` on.
 *
 * @param codes receives the codes, at the same places as the floats
 * @returns the scale t
 */
export function quantise (x: Float32Array, from: number, size: number, limit: number, codes: Int8Array | Int16Array): number {
  let largest = 0
  for (let i = from; i < from + size; i++) {
    // Math.max gives NaN where one is NaN
    largest = Math.max(largest, Math.abs(x[i]))
  }
  if (!(largest >= SMALLEST && largest < Infinity)) {
    codes.fill(0, from, from + size)
    return largest < SMALLEST ? 0 : NaN
  }
  const inverse = fround(limit / largest)
  for (let i = from; i < from + size; i++) codes[i] = rint(fround(x[i] * inverse))
  return fround(largest / limit)
}

const LOG2_E = 1.44269502162933349609375
const LN2_HIGH = 0.693359375
const LN2_LOW = fround(-2.12194440e-4)
const COEFFICIENTS = [1.9875691500e-4, 1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1].map(fround)

const float = new Float32Array(1)
const bits = new Int32Array(float.buffer)

/** 2ⁿ for −126 ≤ n ≤ 127; NaN stays NaN */
function powerOfTwo (n: number): number {
  bits[0] = (n + 127) << 23
  return n === n ? float[0] : NaN // eslint-disable-line no-self-compare
}

/** Section 4: e^x in floats. */
export function exp (x: number): number {
  if (x < -87) return 0
  x = Math.min(x, 88)
  const n = rint(fround(x * LOG2_E))
  let r = fround(x - fround(n * LN2_HIGH))
  r = fround(r - fround(n * LN2_LOW))
  let p = COEFFICIENTS[0]
  for (let i = 1; i < 6; i++) p = fround(fround(p * r) + COEFFICIENTS[i])
  let y = fround(p * fround(r * r))
  y = fround(y + r)
  y = fround(y + 1)
  return fround(y * powerOfTwo(n))
}

/** Section 4: x ÷ (1 + exp(−x)). */
export function silu (x: number): number {
  return fround(x / fround(1 + exp(-x)))
}

/** Section 4: the tree that ends a sum over sixteen accumulators. */
export function combineLanes (c: Float32Array): number {
  const d = (j: number) => fround(fround(c[j] + c[j + 4]) + fround(c[j + 8] + c[j + 12]))
  return fround(fround(d(0) + d(1)) + fround(d(2) + d(3)))
}

const lanes = new Float32Array(16)

/** Section 4: RMSNorm of `size` floats of x from `from` on, into `out` at the same places; size is a multiple of 16. */
export function rmsNorm (x: Float32Array, from: number, size: number, weight: Float32Array, epsilon: number, out: Float32Array): void {
  lanes.fill(0)
  for (let i = 0; i < size; i++) lanes[i & 15] += fround(x[from + i] * x[from + i])
  const mean = fround(combineLanes(lanes) / size)
  const inverse = fround(1 / fround(Math.sqrt(fround(mean + epsilon))))
  for (let i = 0; i < size; i++) out[from + i] = fround(x[from + i] * inverse) * weight[i]
}
