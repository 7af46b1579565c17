// Element-wise kernels of docs/numerics.md. Lengths are multiples of 16; pointers are aligned to 16 bytes.

import { exp } from './exp'

/** 2^-100: blocks smaller than this count as zero, so that limit ÷ amax stays finite. */
// @ts-ignore: decorator
@inline
const TINY: f32 = reinterpret<f32>(0x0d800000)

/**
 * The larger of floats that are not negative, as integers: their order is the same, NaN is above all, and it is one
 * instruction where f32x4.max is eight.
 */
// @ts-ignore: decorator
@inline
export function larger (a: v128, b: v128): v128 {
  return i32x4.max_u(a, b)
}

/** The largest of four floats that are not negative. */
// @ts-ignore: decorator
@inline
export function largestLane (v: v128): f32 {
  const a = larger(v, v128.shuffle<i32>(v, v, 2, 3, 0, 1))
  return f32x4.extract_lane(larger(a, v128.shuffle<i32>(a, a, 1, 0, 3, 2)), 0)
}

/** d_j = (c_j + c_{j+4}) + (c_{j+8} + c_{j+12}); (d_0 + d_1) + (d_2 + d_3). */
// @ts-ignore: decorator
@inline
function combine (c0: v128, c1: v128, c2: v128, c3: v128): f32 {
  return addLanes(f32x4.add(f32x4.add(c0, c1), f32x4.add(c2, c3)))
}

/** (d_0 + d_1) + (d_2 + d_3) */
// @ts-ignore: decorator
@inline
export function addLanes (d: v128): f32 {
  return (f32x4.extract_lane(d, 0) + f32x4.extract_lane(d, 1)) + (f32x4.extract_lane(d, 2) + f32x4.extract_lane(d, 3))
}

/** y = (x × inv) × w with inv = 1 ÷ √(laneSum(x²) ÷ n + eps). Section 4. `y` may be `x`. */
export function rmsNorm (x: usize, w: usize, y: usize, n: i32, eps: f32): void {
  let c0 = f32x4.splat(0), c1 = c0, c2 = c0, c3 = c0
  const bytes = <usize>n << 2
  for (let i: usize = 0; i < bytes; i += 64) {
    const v0 = v128.load(x + i), v1 = v128.load(x + i, 16), v2 = v128.load(x + i, 32), v3 = v128.load(x + i, 48)
    c0 = f32x4.add(c0, f32x4.mul(v0, v0)); c1 = f32x4.add(c1, f32x4.mul(v1, v1))
    c2 = f32x4.add(c2, f32x4.mul(v2, v2)); c3 = f32x4.add(c3, f32x4.mul(v3, v3))
  }
  const inverse: f32 = <f32>1 / Mathf.sqrt(combine(c0, c1, c2, c3) / <f32>n + eps)
  const v = f32x4.splat(inverse)
  for (let i: usize = 0; i < bytes; i += 16) v128.store(y + i, f32x4.mul(f32x4.mul(v128.load(x + i), v), v128.load(w + i)))
}

/**
 * Blocks of 32 to signed 8-bit codes, scale t, integer sum and S = float(sum) × t. Section 2. The codes come a second time
 * as max(code, 0) and max(−code, 0), for product8.ts, and a third time with 16 bits, for product8-wide.ts.
 */
export function quantise (x: usize, codes: usize, positive: usize, negative: usize, wide: usize, scales: usize, sums: usize, scaled: usize, blocks: i32): void {
  for (let b = 0; b < blocks; b++) {
    const v0 = v128.load(x), v1 = v128.load(x, 16), v2 = v128.load(x, 32), v3 = v128.load(x, 48)
    const v4 = v128.load(x, 64), v5 = v128.load(x, 80), v6 = v128.load(x, 96), v7 = v128.load(x, 112)
    const amax = largestLane(larger(
      larger(larger(f32x4.abs(v0), f32x4.abs(v1)), larger(f32x4.abs(v2), f32x4.abs(v3))),
      larger(larger(f32x4.abs(v4), f32x4.abs(v5)), larger(f32x4.abs(v6), f32x4.abs(v7)))))
    let inverse: f32 = 0, scale: f32 = 0
    if (!(amax < TINY)) { inverse = <f32>127 / amax; scale = amax / <f32>127 }
    const v = f32x4.splat(inverse)
    const q0 = i16x8.narrow_i32x4_s(round(f32x4.mul(v0, v)), round(f32x4.mul(v1, v)))
    const q1 = i16x8.narrow_i32x4_s(round(f32x4.mul(v2, v)), round(f32x4.mul(v3, v)))
    const q2 = i16x8.narrow_i32x4_s(round(f32x4.mul(v4, v)), round(f32x4.mul(v5, v)))
    const q3 = i16x8.narrow_i32x4_s(round(f32x4.mul(v6, v)), round(f32x4.mul(v7, v)))
    const c0 = i8x16.narrow_i16x8_s(q0, q1), c1 = i8x16.narrow_i16x8_s(q2, q3), zero = i8x16.splat(0)
    v128.store(wide, q0); v128.store(wide, q1, 16); v128.store(wide, q2, 32); v128.store(wide, q3, 48)
    v128.store(codes, c0)
    v128.store(codes, c1, 16)
    v128.store(positive, i8x16.max_s(c0, zero))
    v128.store(positive, i8x16.max_s(c1, zero), 16)
    v128.store(negative, i8x16.max_s(i8x16.neg(c0), zero))
    v128.store(negative, i8x16.max_s(i8x16.neg(c1), zero), 16)
    const lanes = i32x4.extadd_pairwise_i16x8_s(i16x8.add(i16x8.add(q0, q1), i16x8.add(q2, q3)))
    const sum = (i32x4.extract_lane(lanes, 0) + i32x4.extract_lane(lanes, 1)) + (i32x4.extract_lane(lanes, 2) + i32x4.extract_lane(lanes, 3))
    store<f32>(scales, scale)
    store<i32>(sums, sum)
    store<f32>(scaled, <f32>sum * scale)
    x += 128; codes += 32; positive += 32; negative += 32; wide += 64; scales += 4; sums += 4; scaled += 4
  }
}

/** Nearest integer, ties to even, as i32. */
// @ts-ignore: decorator
@inline
export function round (v: v128): v128 {
  return i32x4.trunc_sat_f32x4_s(f32x4.nearest(v))
}

/**
 * The same for |v| < 2^22 in two instructions: adding 1.5 × 2^23 leaves no bits for a fraction. What it makes of NaN and
 * larger numbers is arbitrary, so it is only for what cannot hide a result that is not finite.
 */
// @ts-ignore: decorator
@inline
export function roundSmall (v: v128): v128 {
  return i32x4.sub(f32x4.add(v, f32x4.splat(12582912)), i32x4.splat(0x4b400000))
}

/** RoPE of `heads` consecutive heads of one row, half-split pairs. Section 5, step 3. */
export function rotate (x: usize, cos: usize, sin: usize, heads: i32, headSize: i32): void {
  const half = <usize>headSize << 1
  for (let h = 0; h < heads; h++) {
    if ((half & 15) == 0) {
      for (let i: usize = 0; i < half; i += 16) {
        const c = v128.load(cos + i), s = v128.load(sin + i)
        const a = v128.load(x + i), b = v128.load(x + half + i)
        v128.store(x + i, f32x4.sub(f32x4.mul(a, c), f32x4.mul(b, s)))
        v128.store(x + half + i, f32x4.add(f32x4.mul(b, c), f32x4.mul(a, s)))
      }
    }
    x += half << 1
  }
}

/** gate = silu(gate) × up. Section 5, step 7. */
export function swiGlu (gate: usize, up: usize, n: i32): void {
  const bytes = <usize>n << 2
  const one = f32x4.splat(1)
  for (let i: usize = 0; i < bytes; i += 32) {
    const g = v128.load(gate + i), h = v128.load(gate + i, 16)
    const d = f32x4.add(one, exp(f32x4.neg(g))), e = f32x4.add(one, exp(f32x4.neg(h)))
    v128.store(gate + i, f32x4.mul(f32x4.div(g, d), v128.load(up + i)))
    v128.store(gate + i, f32x4.mul(f32x4.div(h, e), v128.load(up + i, 16)), 16)
  }
}

/** h = h + y */
export function addInto (h: usize, y: usize, n: i32): void {
  const bytes = <usize>n << 2
  for (let i: usize = 0; i < bytes; i += 16) v128.store(h + i, f32x4.add(v128.load(h + i), v128.load(y + i)))
}

/** 1 where all n floats are finite. */
export function isFinite (x: usize, n: i32): i32 {
  const bytes = <usize>n << 2
  const mask = i32x4.splat(0x7f800000)
  let bad = i32x4.splat(0)
  for (let i: usize = 0; i < bytes; i += 16) bad = v128.or(bad, i32x4.eq(v128.and(v128.load(x + i), mask), mask))
  return v128.any_true(bad) ? 0 : 1
}

/** Writes the largest of every 16 floats to `maxima`; 1 where all n are finite. n is a multiple of 16. */
export function largestOfSixteen (x: usize, n: i32, maxima: usize): i32 {
  const magnitude = i32x4.splat(0x7fffffff)
  let all = i32x4.splat(0)
  for (const end = x + (<usize>n << 2); x < end; x += 64) {
    const v0 = v128.load(x), v1 = v128.load(x, 16), v2 = v128.load(x, 32), v3 = v128.load(x, 48)
    // magnitudes order floats as they do integers, and what is not finite is beyond all that is
    all = i32x4.max_s(all, i32x4.max_s(
      i32x4.max_s(v128.and(v0, magnitude), v128.and(v1, magnitude)),
      i32x4.max_s(v128.and(v2, magnitude), v128.and(v3, magnitude))))
    // these compare the wrong way with NaN, which is told all the same
    const m = f32x4.pmax(f32x4.pmax(v0, v1), f32x4.pmax(v2, v3))
    const pairs = f32x4.pmax(m, v128.shuffle<i32>(m, m, 2, 3, 0, 1))
    store<f32>(maxima, f32x4.extract_lane(f32x4.pmax(pairs, v128.shuffle<i32>(pairs, pairs, 1, 0, 3, 2)), 0))
    maxima += 4
  }
  return v128.any_true(i32x4.ge_s(all, i32x4.splat(0x7f800000))) ? 0 : 1
}

/** Sum of exp(x_i − max) over n floats in eight binary64 lanes (section 8); n is a multiple of 16, padding holds -Infinity. */
export function expSum (x: usize, n: i32, max: f32): f64 {
  let c0 = f64x2.splat(0), c1 = c0, c2 = c0, c3 = c0
  const bytes = <usize>n << 2
  const m = f32x4.splat(max)
  for (let i: usize = 0; i < bytes; i += 32) {
    const e = exp(f32x4.sub(v128.load(x + i), m)), f = exp(f32x4.sub(v128.load(x + i, 16), m))
    c0 = f64x2.add(c0, f64x2.promote_low_f32x4(e)); c1 = f64x2.add(c1, f64x2.promote_low_f32x4(upper(e)))
    c2 = f64x2.add(c2, f64x2.promote_low_f32x4(f)); c3 = f64x2.add(c3, f64x2.promote_low_f32x4(upper(f)))
  }
  const d = f64x2.add(c0, c2), e = f64x2.add(c1, c3)
  return (f64x2.extract_lane(d, 0) + f64x2.extract_lane(d, 1)) + (f64x2.extract_lane(e, 0) + f64x2.extract_lane(e, 1))
}

/** Lanes 2 and 3 in the place of 0 and 1. */
// @ts-ignore: decorator
@inline
function upper (v: v128): v128 {
  return v128.shuffle<i32>(v, v, 2, 3, 2, 3)
}
