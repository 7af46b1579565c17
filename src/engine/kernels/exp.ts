// exp of docs/numerics.md, section 4, four lanes at a time.

// Constants come from memory: V8 builds one that is written down anew at each use, three instructions where a load is one.
const FLOATS: usize = memory.data<f32>([
  88, 88, 88, 88,
  1.44269502162933349609375, 1.44269502162933349609375, 1.44269502162933349609375, 1.44269502162933349609375,
  12582912, 12582912, 12582912, 12582912,
  0.693359375, 0.693359375, 0.693359375, 0.693359375,
  -2.12194440e-4, -2.12194440e-4, -2.12194440e-4, -2.12194440e-4,
  1.9875691500e-4, 1.9875691500e-4, 1.9875691500e-4, 1.9875691500e-4,
  1.3981999507e-3, 1.3981999507e-3, 1.3981999507e-3, 1.3981999507e-3,
  8.3334519073e-3, 8.3334519073e-3, 8.3334519073e-3, 8.3334519073e-3,
  4.1665795894e-2, 4.1665795894e-2, 4.1665795894e-2, 4.1665795894e-2,
  1.6666665459e-1, 1.6666665459e-1, 1.6666665459e-1, 1.6666665459e-1,
  5.0000001201e-1, 5.0000001201e-1, 5.0000001201e-1, 5.0000001201e-1,
  1, 1, 1, 1,
  -87, -87, -87, -87
], 16)
const EXPONENT_BIAS: usize = memory.data<i32>([127, 127, 127, 127], 16)

// @ts-ignore: decorator
@inline
export function exp (input: v128): v128 {
  // the form of minimum that is one instruction; NaN stays
  const x = f32x4.pmin(input, v128.load(FLOATS))
  // 1.5 × 2^23 added rounds to the nearest integer, which is then in the low bits as well
  const large = v128.load(FLOATS, 32)
  const shifted = f32x4.add(f32x4.mul(x, v128.load(FLOATS, 16)), large)
  const n = f32x4.sub(shifted, large)
  let r = f32x4.sub(x, f32x4.mul(n, v128.load(FLOATS, 48)))
  r = f32x4.sub(r, f32x4.mul(n, v128.load(FLOATS, 64)))
  let p = v128.load(FLOATS, 80)
  p = f32x4.add(f32x4.mul(p, r), v128.load(FLOATS, 96))
  p = f32x4.add(f32x4.mul(p, r), v128.load(FLOATS, 112))
  p = f32x4.add(f32x4.mul(p, r), v128.load(FLOATS, 128))
  p = f32x4.add(f32x4.mul(p, r), v128.load(FLOATS, 144))
  p = f32x4.add(f32x4.mul(p, r), v128.load(FLOATS, 160))
  let y = f32x4.mul(p, f32x4.mul(r, r))
  y = f32x4.add(f32x4.add(y, r), v128.load(FLOATS, 176))
  const power = i32x4.shl(i32x4.add(shifted, v128.load(EXPONENT_BIAS)), 23)
  // below -87 the power of two has no normal float; the comparison is false for NaN, which stays NaN
  return v128.andnot(f32x4.mul(y, power), f32x4.lt(input, v128.load(FLOATS, 192)))
}
