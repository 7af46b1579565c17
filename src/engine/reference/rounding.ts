/** How stored keys and values, or inputs of matrix products, are rounded: only for measuring what rounding costs. */
export type Rounding = 'f32' | 'f16' | 's8'

/**
 * Rounds values in place: to the nearest float16, or per block of `size`
 * values to 8-bit codes with a float32 scale max|x| ÷ 127. `f32` does nothing.
 */
export function roundInPlace (values: Float32Array, rounding: Rounding, size: number): void {
  if (rounding === 'f16') {
    for (let i = 0; i < values.length; i++) values[i] = nearestHalf(values[i])
  } else if (rounding === 's8') {
    for (let from = 0; from < values.length; from += size) roundBlock(values, from, from + size)
  }
}

function roundBlock (values: Float32Array, from: number, to: number): void {
  let largest = 0
  for (let i = from; i < to; i++) largest = Math.max(largest, Math.abs(values[i]))
  if (largest === 0) return
  const scale = Math.fround(largest / 127)
  for (let i = from; i < to; i++) values[i] = nearestInteger(values[i] / scale) * scale
}

/** 1.5 · 2⁵²: adding and subtracting it rounds to an integer, ties to even */
const ROUND = 6755399441055744

function nearestInteger (x: number): number {
  return (x + ROUND) - ROUND
}

/** The float16 nearest to x, ties to even; beyond 65,504 an infinity. */
export function nearestHalf (x: number): number {
  const size = Math.abs(x)
  if (!(size > 0) || size === Infinity) return x
  // float16 have 11 significant bits and a spacing of at least 2⁻²⁴
  const exponent = Math.max(Math.floor(Math.log2(size)), -14)
  const spacing = 2 ** (exponent - 10)
  const rounded = nearestInteger(size / spacing) * spacing
  return Math.sign(x) * (rounded > 65504 ? Infinity : rounded)
}
