// Products of float matrices for calibration and decompositions: not part of any numerics profile, yet the same bits on
// every processor (no fused multiply-add, one order of additions), so that a package can be made again.
//
// Both operands are packed into panels: PANEL_ROWS rows of A, PANEL_COLUMNS columns of B, interleaved along the inner
// dimension and padded with zeros. Tiles are 4 × 8 float32 or 4 × 4 float64: 8 accumulators, which leaves registers for
// the operands. The module holds no data of its own: all memory is the caller's.

export { symmetricUpdate } from './symmetric-update'

/** Panels of `width` rows of a float32 matrix whose element (r, k) is at source + r × rowStride + k × innerStride, in elements. */
export function pack32 (source: usize, rows: i32, inner: i32, rowStride: i32, innerStride: i32, width: i32, target: usize): void {
  const stride = <usize>innerStride << 2, step = <usize>width << 2
  for (let panel = 0; panel < rows; panel += width) {
    const filled = min(width, rows - panel)
    for (let r = 0; r < width; r++) {
      let from = source + (<usize>(panel + r) * <usize>rowStride << 2)
      let to = target + (<usize>r << 2)
      for (let k = 0; k < inner; k++, from += stride, to += step) store<f32>(to, r < filled ? load<f32>(from) : 0)
    }
    target += step * <usize>inner
  }
}

/** C = A·B in float32. `c` has whole tiles: rows a multiple of 4, `stride` elements apart, columns a multiple of 8. */
export function product32 (a: usize, b: usize, c: usize, rows: i32, columns: i32, inner: i32, stride: i32): void {
  const s = <usize>stride << 2
  for (let j = 0; j < columns; j += 8) {
    const panel = b + (<usize>j * <usize>inner << 2)
    for (let i = 0; i < rows; i += 4) {
      let x = a + (<usize>i * <usize>inner << 2), w = panel
      let s0 = f32x4.splat(0), s1 = s0, s2 = s0, s3 = s0, t0 = s0, t1 = s0, t2 = s0, t3 = s0
      for (let k = 0; k < inner; k++) {
        const w0 = v128.load(w), w1 = v128.load(w, 16)
        const x0 = v128.load32_splat(x), x1 = v128.load32_splat(x, 4), x2 = v128.load32_splat(x, 8), x3 = v128.load32_splat(x, 12)
        s0 = f32x4.add(s0, f32x4.mul(x0, w0)); t0 = f32x4.add(t0, f32x4.mul(x0, w1))
        s1 = f32x4.add(s1, f32x4.mul(x1, w0)); t1 = f32x4.add(t1, f32x4.mul(x1, w1))
        s2 = f32x4.add(s2, f32x4.mul(x2, w0)); t2 = f32x4.add(t2, f32x4.mul(x2, w1))
        s3 = f32x4.add(s3, f32x4.mul(x3, w0)); t3 = f32x4.add(t3, f32x4.mul(x3, w1))
        x += 16; w += 32
      }
      let y = c + <usize>i * s + (<usize>j << 2)
      v128.store(y, s0); v128.store(y, t0, 16); y += s
      v128.store(y, s1); v128.store(y, t1, 16); y += s
      v128.store(y, s2); v128.store(y, t2, 16); y += s
      v128.store(y, s3); v128.store(y, t3, 16)
    }
  }
}

/** C += A·B in float64, tiles of 4 × 4: rows and columns are multiples of 4. */
export function product64 (a: usize, b: usize, c: usize, rows: i32, columns: i32, inner: i32, stride: i32): void {
  const s = <usize>stride << 3
  for (let j = 0; j < columns; j += 4) {
    const panel = b + (<usize>j * <usize>inner << 3)
    for (let i = 0; i < rows; i += 4) {
      let x = a + (<usize>i * <usize>inner << 3), w = panel
      let s0 = f64x2.splat(0), s1 = s0, s2 = s0, s3 = s0, t0 = s0, t1 = s0, t2 = s0, t3 = s0
      for (let k = 0; k < inner; k++) {
        const w0 = v128.load(w), w1 = v128.load(w, 16)
        const x0 = v128.load64_splat(x), x1 = v128.load64_splat(x, 8), x2 = v128.load64_splat(x, 16), x3 = v128.load64_splat(x, 24)
        s0 = f64x2.add(s0, f64x2.mul(x0, w0)); t0 = f64x2.add(t0, f64x2.mul(x0, w1))
        s1 = f64x2.add(s1, f64x2.mul(x1, w0)); t1 = f64x2.add(t1, f64x2.mul(x1, w1))
        s2 = f64x2.add(s2, f64x2.mul(x2, w0)); t2 = f64x2.add(t2, f64x2.mul(x2, w1))
        s3 = f64x2.add(s3, f64x2.mul(x3, w0)); t3 = f64x2.add(t3, f64x2.mul(x3, w1))
        x += 32; w += 32
      }
      const y = c + <usize>i * s + (<usize>j << 3)
      addTo(y, s0, t0); addTo(y + s, s1, t1); addTo(y + (s << 1), s2, t2); addTo(y + (s << 1) + s, s3, t3)
    }
  }
}

// @ts-ignore: decorator
@inline
function addTo (at: usize, low: v128, high: v128): void {
  v128.store(at, f64x2.add(v128.load(at), low))
  v128.store(at, f64x2.add(v128.load(at, 16), high), 16)
}

// @ts-ignore: decorator
@inline
function addPromoted (at: usize, s: v128, t: v128): void {
  addTo(at, f64x2.promote_low_f32x4(s), f64x2.promote_low_f32x4(v128.shuffle<i32>(s, s, 2, 3, 0, 1)))
  addTo(at + 32, f64x2.promote_low_f32x4(t), f64x2.promote_low_f32x4(v128.shuffle<i32>(t, t, 2, 3, 0, 1)))
}

/**
 * G += Xᵀ·X, the tiles that reach the diagonal or lie above it. `a` and `b` are Xᵀ and X in panels; float32 sums over
 * `inner` rows of X are added to float64. Of the panels of four rows it takes every `threads`-th, from `thread` on.
 */
export function gram (a: usize, b: usize, g: usize, size: i32, inner: i32, stride: i32, thread: i32, threads: i32): void {
  const s = <usize>stride << 3
  for (let j = 0; j < size; j += 8) {
    const panel = b + (<usize>j * <usize>inner << 2)
    for (let i = thread << 2; i < min(j + 8, size); i += threads << 2) {
      let x = a + (<usize>i * <usize>inner << 2), w = panel
      let s0 = f32x4.splat(0), s1 = s0, s2 = s0, s3 = s0, t0 = s0, t1 = s0, t2 = s0, t3 = s0
      for (let k = 0; k < inner; k++) {
        const w0 = v128.load(w), w1 = v128.load(w, 16)
        const x0 = v128.load32_splat(x), x1 = v128.load32_splat(x, 4), x2 = v128.load32_splat(x, 8), x3 = v128.load32_splat(x, 12)
        s0 = f32x4.add(s0, f32x4.mul(x0, w0)); t0 = f32x4.add(t0, f32x4.mul(x0, w1))
        s1 = f32x4.add(s1, f32x4.mul(x1, w0)); t1 = f32x4.add(t1, f32x4.mul(x1, w1))
        s2 = f32x4.add(s2, f32x4.mul(x2, w0)); t2 = f32x4.add(t2, f32x4.mul(x2, w1))
        s3 = f32x4.add(s3, f32x4.mul(x3, w0)); t3 = f32x4.add(t3, f32x4.mul(x3, w1))
        x += 16; w += 32
      }
      const y = g + <usize>i * s + (<usize>j << 3)
      addPromoted(y, s0, t0); addPromoted(y + s, s1, t1); addPromoted(y + (s << 1), s2, t2); addPromoted(y + (s << 1) + s, s3, t3)
    }
  }
}

/** exp of four lanes: x = n·ln 2 + r, a polynomial of degree 7 in r (docs/numerics.md, section 4), times 2ⁿ. */
// @ts-ignore: decorator
@inline
function exp (input: v128): v128 {
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
  const y = f32x4.add(f32x4.add(f32x4.mul(p, f32x4.mul(r, r)), r), f32x4.splat(1))
  const power = i32x4.shl(i32x4.add(shifted, i32x4.splat(127)), 23)
  // below -87 the power of two has no normal float; NaN stays NaN
  return v128.andnot(f32x4.mul(y, power), f32x4.lt(input, f32x4.splat(-87)))
}

/** gate = gate ÷ (1 + exp(-gate)) × up over `count` elements, a multiple of 4. */
export function gatedSilu (gate: usize, up: usize, count: i32): void {
  const one = f32x4.splat(1)
  for (let end = gate + (<usize>count << 2); gate < end; gate += 16, up += 16) {
    const x = v128.load(gate)
    v128.store(gate, f32x4.mul(f32x4.div(x, f32x4.add(one, exp(f32x4.neg(x)))), v128.load(up)))
  }
}

/**
 * Causal softmax of a square of scores in place: row i keeps columns first(i) … i with first(i) = max(0, i - window + 1),
 * scaled by `scale` beforehand; all others become 0. `stride` is a multiple of 4.
 */
export function causalSoftmax (scores: usize, rows: i32, stride: i32, window: i32, scale: f32): void {
  const factor = f32x4.splat(scale)
  const lanes = i32x4(0, 1, 2, 3)
  for (let i = 0; i < rows; i++) {
    const row = scores + (<usize>i * <usize>stride << 2)
    const first = max(0, i - window + 1)
    let most = f32x4.splat(-f32.MAX_VALUE)
    for (let j = first & ~3; j <= i; j += 4) {
      most = f32x4.pmax(most, v128.bitselect(f32x4.mul(v128.load(row + (<usize>j << 2)), factor), most, inside(j, first, i, lanes)))
    }
    const largest = f32x4.splat(max(
      max(f32x4.extract_lane(most, 0), f32x4.extract_lane(most, 1)), max(f32x4.extract_lane(most, 2), f32x4.extract_lane(most, 3))))
    let sum = f32x4.splat(0)
    for (let j = 0; j < stride; j += 4) {
      const at = row + (<usize>j << 2)
      if (j + 4 <= first || j > i) {
        v128.store(at, f32x4.splat(0))
        continue
      }
      const weight = v128.and(exp(f32x4.sub(f32x4.mul(v128.load(at), factor), largest)), inside(j, first, i, lanes))
      v128.store(at, weight)
      sum = f32x4.add(sum, weight)
    }
    const inverse = f32x4.splat(<f32>1 / ((f32x4.extract_lane(sum, 0) + f32x4.extract_lane(sum, 1)) + (f32x4.extract_lane(sum, 2) + f32x4.extract_lane(sum, 3))))
    for (let j = first & ~3; j <= i; j += 4) {
      const at = row + (<usize>j << 2)
      v128.store(at, f32x4.mul(v128.load(at), inverse))
    }
  }
}

/** All ones in the lanes whose column is in first … last. */
// @ts-ignore: decorator
@inline
function inside (column: i32, first: i32, last: i32, lanes: v128): v128 {
  const at = i32x4.add(i32x4.splat(column), lanes)
  return v128.and(i32x4.ge_s(at, i32x4.splat(first)), i32x4.le_s(at, i32x4.splat(last)))
}
