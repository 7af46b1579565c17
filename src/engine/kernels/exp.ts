// exp of docs/numerics.md, section 4, four lanes at a time.

// @ts-ignore: decorator
@inline
export function exp (input: v128): v128 {
  // the form of minimum that is one instruction; NaN stays
  const x = f32x4.pmin(input, f32x4.splat(88))
  // 1.5 × 2^23 added rounds to the nearest integer, which is then in the low bits as well
  const shifted = f32x4.add(f32x4.mul(x, f32x4.splat(1.44269502162933349609375)), f32x4.splat(12582912))
  const n = f32x4.sub(shifted, f32x4.splat(12582912))
  let r = f32x4.sub(x, f32x4.mul(n, f32x4.splat(0.693359375)))
  r = f32x4.sub(r, f32x4.mul(n, f32x4.splat(-2.12194440e-4)))
  let p = f32x4.splat(1.9875691500e-4)
  p = f32x4.add(f32x4.mul(p, r), f32x4.splat(1.3981999507e-3))
  p = f32x4.add(f32x4.mul(p, r), f32x4.splat(8.3334519073e-3))
  p = f32x4.add(f32x4.mul(p, r), f32x4.splat(4.1665795894e-2))
  p = f32x4.add(f32x4.mul(p, r), f32x4.splat(1.6666665459e-1))
  p = f32x4.add(f32x4.mul(p, r), f32x4.splat(5.0000001201e-1))
  let y = f32x4.mul(p, f32x4.mul(r, r))
  y = f32x4.add(f32x4.add(y, r), f32x4.splat(1))
  const power = i32x4.shl(i32x4.add(shifted, i32x4.splat(127)), 23)
  // below -87 the power of two has no normal float; the comparison is false for NaN, which stays NaN
  return v128.andnot(f32x4.mul(y, power), f32x4.lt(input, f32x4.splat(-87)))
}
