/** Loops over stretches of arrays; four sums side by side keep the processor's adders busy. */

/** Σ a[atA + i]·b[atB + i] over `count` elements. */
export function dot (a: Float64Array, atA: number, b: Float64Array, atB: number, count: number): number {
  let s0 = 0; let s1 = 0; let s2 = 0; let s3 = 0
  let i = 0
  for (; i + 3 < count; i += 4) {
    s0 += a[atA + i] * b[atB + i]
    s1 += a[atA + i + 1] * b[atB + i + 1]
    s2 += a[atA + i + 2] * b[atB + i + 2]
    s3 += a[atA + i + 3] * b[atB + i + 3]
  }
  for (; i < count; i++) s0 += a[atA + i] * b[atB + i]
  return (s0 + s1) + (s2 + s3)
}

/** y[atY + i] += factor·x[atX + i] over `count` elements. */
export function addScaled (y: Float64Array, atY: number, factor: number, x: Float64Array, atX: number, count: number): void {
  for (let i = 0; i < count; i++) y[atY + i] += factor * x[atX + i]
}

/** Euclidean length of a stretch, without overflow of its squares. */
export function length (x: Float64Array, at: number, count: number): number {
  let largest = 0
  for (let i = at; i < at + count; i++) {
    const size = Math.abs(x[i])
    // NaN must not be lost by a comparison
    if (!(size <= largest)) largest = size
  }
  if (largest === 0 || !Number.isFinite(largest)) return largest
  let sum = 0
  for (let i = at; i < at + count; i++) sum += (x[i] / largest) ** 2
  return largest * Math.sqrt(sum)
}

export function scale (x: Float64Array, at: number, count: number, factor: number): void {
  for (let i = at; i < at + count; i++) x[i] *= factor
}
