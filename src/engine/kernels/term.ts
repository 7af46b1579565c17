// What a block adds to the sums of four rows: docs/numerics.md, section 3.

/**
 * (float(I) × (s × t)) [+ m × S]. `scales`: address of four scales and, of affine formats, four minimums behind them;
 * t and S are those of the activations, repeated over a register: where rows share them they are read once. A is f32 for
 * affine formats, else i32.
 */
// @ts-ignore: decorator
@inline
export function term<A> (sums: v128, scales: usize, t: v128, S: v128): v128 {
  const product = f32x4.mul(f32x4.convert_i32x4_s(sums), f32x4.mul(v128.load(scales), t))
  if (isFloat<A>()) return f32x4.add(product, f32x4.mul(v128.load(scales, 16), S))
  return product
}

/** The scaled sum of an activation block; symmetric formats do without. */
// @ts-ignore: decorator
@inline
export function scaledSum<A> (S: usize): v128 {
  return isFloat<A>() ? v128.load32_splat(S) : i32x4.splat(0)
}

/** Bytes of the scales, and minimums, of a record. */
// @ts-ignore: decorator
@inline
export function scaleBytes<A> (): usize {
  return isFloat<A>() ? 32 : 16
}
