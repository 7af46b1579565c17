// Integer dot products of unsigned 4-bit codes with signed 8-bit activations.
//
// One step takes 16 code bytes `v` (row r of four in bytes 4r … 4r+3, each 0..15) and four activation bytes repeated
// over the register, `b`. The type parameter V chooses the instructions; the integers are the same:
//   i32  i32x4.relaxed_dot_i8x16_i7x16_add_s   one instruction where the engine has a byte dot product
//   i16  i16x8.relaxed_dot_i8x16_i7x16_s       16-bit sums, widened once a block: 8 steps × 2 × 127 × 15 = 30,480 fits
//   i8   plain SIMD, for engines without relaxed SIMD
// Relaxed dots are deterministic only while every lane of the second operand is in 0..127, which codes are.

// @ts-ignore: decorator
@inline
export function dot<V> (b: v128, v: v128, sum: v128): v128 {
  if (sizeof<V>() == 4) return i32x4.relaxed_dot_i8x16_i7x16_add_s(b, v, sum)
  if (sizeof<V>() == 2) return i16x8.add(sum, i16x8.relaxed_dot_i8x16_i7x16_s(b, v))
  const low = i32x4.dot_i16x8_s(i16x8.extend_low_i8x16_s(b), i16x8.extend_low_i8x16_s(v))
  const high = i32x4.dot_i16x8_s(i16x8.extend_high_i8x16_s(b), i16x8.extend_high_i8x16_s(v))
  return i32x4.add(sum, i32x4.add(
    v128.shuffle<i32>(low, high, 0, 2, 4, 6),
    v128.shuffle<i32>(low, high, 1, 3, 5, 7)))
}

/** The first step of a block. 16-bit sums start from nothing, which saves adding it; the others from `sum`. */
// @ts-ignore: decorator
@inline
export function firstDot<V> (b: v128, v: v128, sum: v128): v128 {
  if (sizeof<V>() == 2) return i16x8.relaxed_dot_i8x16_i7x16_s(b, v)
  return dot<V>(b, v, sum)
}

/** The sums of four rows as 32-bit integers. */
// @ts-ignore: decorator
@inline
export function rowSums<V> (sum: v128): v128 {
  if (sizeof<V>() == 2) return i32x4.extadd_pairwise_i16x8_s(sum)
  return sum
}

/** `mask`: 15 in every byte. */
// @ts-ignore: decorator
@inline
export function highNibbles (v: v128, mask: v128): v128 {
  return v128.and(i16x8.shr_u(v, 4), mask)
}

/** Adds the products of 16 signed bytes `v` and four bytes in 0..127 repeated over the register, `b`. */
// @ts-ignore: decorator
@inline
export function dotBytes (v: v128, b: v128, sum: v128): v128 {
  return i32x4.relaxed_dot_i8x16_i7x16_add_s(v, b, sum)
}
