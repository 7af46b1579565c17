// The inner loop of reducing a symmetric float64 matrix to tridiagonal form: the same bits on every processor.

/**
 * A -= v·wᵀ + w·vᵀ and p += A·u on the leading `count` rows of A, of whose lower triangle alone is read and written.
 * Rows are `stride` elements apart. Two rows at a time, so that v, w, u and p are loaded half as often.
 */
export function symmetricUpdate (a: usize, stride: i32, count: i32, v: usize, w: usize, u: usize, p: usize): void {
  const s = <usize>stride << 3
  let r: i32 = 0
  for (; r + 1 < count; r += 2) {
    const at = <usize>r << 3
    const row0 = a + <usize>r * s, row1 = row0 + s
    const v0 = load<f64>(v + at), v1 = load<f64>(v + at, 8)
    const w0 = load<f64>(w + at), w1 = load<f64>(w + at, 8)
    const u0 = load<f64>(u + at), u1 = load<f64>(u + at, 8)
    const vv0 = f64x2.splat(v0), vv1 = f64x2.splat(v1)
    const ww0 = f64x2.splat(w0), ww1 = f64x2.splat(w1)
    const uu0 = f64x2.splat(u0), uu1 = f64x2.splat(u1)
    let sum0 = f64x2.splat(0), sum1 = sum0
    for (let c: usize = 0; c < at; c += 16) {
      const vc = v128.load(v + c), wc = v128.load(w + c), uc = v128.load(u + c)
      const x0 = f64x2.sub(f64x2.sub(v128.load(row0 + c), f64x2.mul(vv0, wc)), f64x2.mul(ww0, vc))
      const x1 = f64x2.sub(f64x2.sub(v128.load(row1 + c), f64x2.mul(vv1, wc)), f64x2.mul(ww1, vc))
      v128.store(row0 + c, x0)
      v128.store(row1 + c, x1)
      sum0 = f64x2.add(sum0, f64x2.mul(x0, uc))
      sum1 = f64x2.add(sum1, f64x2.mul(x1, uc))
      v128.store(p + c, f64x2.add(f64x2.add(v128.load(p + c), f64x2.mul(x0, uu0)), f64x2.mul(x1, uu1)))
    }
    // the corner of the two rows
    const a00 = load<f64>(row0 + at) - v0 * w0 - w0 * v0
    const a10 = load<f64>(row1 + at) - v1 * w0 - w1 * v0
    const a11 = load<f64>(row1 + at, 8) - v1 * w1 - w1 * v1
    store<f64>(row0 + at, a00)
    store<f64>(row1 + at, a10)
    store<f64>(row1 + at, a11, 8)
    store<f64>(p + at, load<f64>(p + at) + lanes(sum0) + a00 * u0 + a10 * u1)
    store<f64>(p + at, load<f64>(p + at, 8) + lanes(sum1) + a10 * u0 + a11 * u1, 8)
  }
  if (r < count) {
    const at = <usize>r << 3
    const row = a + <usize>r * s
    const v0 = load<f64>(v + at), w0 = load<f64>(w + at), u0 = load<f64>(u + at)
    let sum: f64 = 0
    for (let c: usize = 0; c < at; c += 8) {
      const x = load<f64>(row + c) - v0 * load<f64>(w + c) - w0 * load<f64>(v + c)
      store<f64>(row + c, x)
      sum += x * load<f64>(u + c)
      store<f64>(p + c, load<f64>(p + c) + x * u0)
    }
    const x = load<f64>(row + at) - v0 * w0 - w0 * v0
    store<f64>(row + at, x)
    store<f64>(p + at, load<f64>(p + at) + sum + x * u0)
  }
}

// @ts-ignore: decorator
@inline
function lanes (sum: v128): f64 {
  return f64x2.extract_lane(sum, 0) + f64x2.extract_lane(sum, 1)
}
