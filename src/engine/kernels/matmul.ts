// Matrix products of docs/numerics.md, section 3.
//
// Weights: rows in groups of four. A group is one stream of records, one for each block of 32 columns: a plane of 64
// bytes of codes, a second one where codes have more than four bits, four float32 scales, and the four minimums of
// affine formats. In a plane, chunk j of 16 bytes holds in byte 4r + i the code of row r, column 8j + i (low nibble) and
// column 8j + 4 + i (high nibble); the second plane has the codes' high bits. Everything a product reads of a matrix is
// one ascending stream, group after group: docs/adr/0003-weights-in-memory.md.
// Activations: codes [token][column], scales, sums (i32) and scaled sums (f32) [token][block]. Outputs: [token][row].
//
// Type parameters: V as in dot.ts; P is u8 for one plane, u16 for two; A is f32 for affine formats (w = scale·code +
// minimum), i32 for symmetric ones (w = scale·(code − 2^zeroShift)).

import { dot, rowSums, lowNibbles, highNibbles } from './dot'

/** Bytes of a record. */
// @ts-ignore: decorator
@inline
export function recordBytes<P, A> (): usize {
  return 64 * sizeof<P>() + (isFloat<A>() ? 32 : 16)
}

/** What a block adds to the accumulator: (float(I) × (s × t)) [+ m × S]. */
// @ts-ignore: decorator
@inline
function term<A> (sums: v128, scale: v128, minimum: v128, at: usize, sumAt: usize, scaledAt: usize, zeroShift: i32): v128 {
  const t = v128.load32_splat(at)
  if (isFloat<A>()) {
    return f32x4.add(
      f32x4.mul(f32x4.convert_i32x4_s(sums), f32x4.mul(scale, t)),
      f32x4.mul(minimum, v128.load32_splat(scaledAt)))
  }
  return f32x4.mul(
    f32x4.convert_i32x4_s(i32x4.sub(sums, i32x4.shl(v128.load32_splat(sumAt), zeroShift))),
    f32x4.mul(scale, t))
}

/** Row sums of one plane of one block for one token. */
// @ts-ignore: decorator
@inline
function plane<V> (w: usize, a: usize): v128 {
  let v = v128.load(w)
  let d = dot<V>(v128.load32_splat(a), lowNibbles(v), i32x4.splat(0))
  d = dot<V>(v128.load32_splat(a, 4), highNibbles(v), d)
  v = v128.load(w, 16)
  d = dot<V>(v128.load32_splat(a, 8), lowNibbles(v), d)
  d = dot<V>(v128.load32_splat(a, 12), highNibbles(v), d)
  v = v128.load(w, 32)
  d = dot<V>(v128.load32_splat(a, 16), lowNibbles(v), d)
  d = dot<V>(v128.load32_splat(a, 20), highNibbles(v), d)
  v = v128.load(w, 48)
  d = dot<V>(v128.load32_splat(a, 24), lowNibbles(v), d)
  d = dot<V>(v128.load32_splat(a, 28), highNibbles(v), d)
  return rowSums<V>(d)
}

/** Integer row sums of one block for one token. */
// @ts-ignore: decorator
@inline
function block<V, P> (w: usize, a: usize): v128 {
  if (sizeof<P>() == 1) return plane<V>(w, a)
  return i32x4.add(plane<V>(w, a), i32x4.shl(plane<V>(w + 64, a), 4))
}

/** One token, rows [from, to). */
// @ts-ignore: decorator
@inline
function vectorProduct<V, P, A> (w: usize, a: usize, at: usize, sum: usize, scaled: usize, y: usize, from: i32, to: i32, blocks: i32, zeroShift: i32): void {
  const record = recordBytes<P, A>(), scales = 64 * sizeof<P>()
  let wp = w + <usize>(from >> 2) * <usize>blocks * record
  for (let n = from; n < to; n += 4) {
    let acc = f32x4.splat(0)
    let ap = a, tp = at, sp = sum, Sp = scaled
    for (let b = 0; b < blocks; b++) {
      const I = block<V, P>(wp, ap)
      const scale = v128.load(wp + scales)
      const m = isFloat<A>() ? v128.load(wp + scales, 16) : scale
      acc = f32x4.add(acc, term<A>(I, scale, m, tp, sp, Sp, zeroShift))
      wp += record; ap += 32; tp += 4; sp += 4; Sp += 4
    }
    v128.store(y + (<usize>n << 2), acc)
  }
}

/** Tokens in tiles of four, rows [from, to) in groups of four. Weights are unpacked once a tile. */
// @ts-ignore: decorator
@inline
function tileProduct<V, P, A> (w: usize, a: usize, at: usize, sum: usize, scaled: usize, y: usize, from: i32, to: i32, blocks: i32, tokens: i32, rows: i32, zeroShift: i32): void {
  const record = recordBytes<P, A>(), stride = <usize>blocks * record
  const scales = 64 * sizeof<P>()
  const K = <usize>blocks << 5, K2 = K << 1, K3 = K2 + K
  const B = <usize>blocks << 2, B2 = B << 1, B3 = B2 + B
  const R = <usize>rows << 2
  for (let n = from; n < to; n += 4) {
    for (let token = 0; token < tokens; token += 4) {
      let wp = w + <usize>(n >> 2) * stride
      let f0 = f32x4.splat(0), f1 = f0, f2 = f0, f3 = f0
      let ap = a + <usize>token * K
      let tp = at + <usize>token * B, sp = sum + <usize>token * B, Sp = scaled + <usize>token * B
      for (let b = 0; b < blocks; b++) {
        let d0 = i32x4.splat(0), d1 = d0, d2 = d0, d3 = d0
        let h0 = d0, h1 = d0, h2 = d0, h3 = d0
        for (let j: usize = 0; j < 4; j++) {
          const p = ap + (j << 3)
          const x0 = v128.load32_splat(p), x1 = v128.load32_splat(p + K), x2 = v128.load32_splat(p + K2), x3 = v128.load32_splat(p + K3)
          const v = v128.load(wp + (j << 4))
          const low = lowNibbles(v), high = highNibbles(v)
          d0 = dot<V>(x0, low, d0); d1 = dot<V>(x1, low, d1); d2 = dot<V>(x2, low, d2); d3 = dot<V>(x3, low, d3)
          const z0 = v128.load32_splat(p, 4), z1 = v128.load32_splat(p + K, 4), z2 = v128.load32_splat(p + K2, 4), z3 = v128.load32_splat(p + K3, 4)
          d0 = dot<V>(z0, high, d0); d1 = dot<V>(z1, high, d1); d2 = dot<V>(z2, high, d2); d3 = dot<V>(z3, high, d3)
          if (sizeof<P>() == 2) {
            const u = v128.load(wp + (j << 4), 64)
            const lowU = lowNibbles(u), highU = highNibbles(u)
            h0 = dot<V>(x0, lowU, h0); h1 = dot<V>(x1, lowU, h1); h2 = dot<V>(x2, lowU, h2); h3 = dot<V>(x3, lowU, h3)
            h0 = dot<V>(z0, highU, h0); h1 = dot<V>(z1, highU, h1); h2 = dot<V>(z2, highU, h2); h3 = dot<V>(z3, highU, h3)
          }
        }
        d0 = rowSums<V>(d0); d1 = rowSums<V>(d1); d2 = rowSums<V>(d2); d3 = rowSums<V>(d3)
        if (sizeof<P>() == 2) {
          d0 = i32x4.add(d0, i32x4.shl(rowSums<V>(h0), 4)); d1 = i32x4.add(d1, i32x4.shl(rowSums<V>(h1), 4))
          d2 = i32x4.add(d2, i32x4.shl(rowSums<V>(h2), 4)); d3 = i32x4.add(d3, i32x4.shl(rowSums<V>(h3), 4))
        }
        const scale = v128.load(wp + scales)
        const m = isFloat<A>() ? v128.load(wp + scales, 16) : scale
        f0 = f32x4.add(f0, term<A>(d0, scale, m, tp, sp, Sp, zeroShift))
        f1 = f32x4.add(f1, term<A>(d1, scale, m, tp + B, sp + B, Sp + B, zeroShift))
        f2 = f32x4.add(f2, term<A>(d2, scale, m, tp + B2, sp + B2, Sp + B2, zeroShift))
        f3 = f32x4.add(f3, term<A>(d3, scale, m, tp + B3, sp + B3, Sp + B3, zeroShift))
        wp += record; ap += 32; tp += 4; sp += 4; Sp += 4
      }
      const yp = y + <usize>token * R + (<usize>n << 2)
      v128.store(yp, f0); v128.store(yp + R, f1); v128.store(yp + (R << 1), f2); v128.store(yp + (R << 1) + R, f3)
    }
  }
}

/** Any number of tokens: whole tiles of four together, the rest one by one. */
// @ts-ignore: decorator
@inline
export function product<V, P, A> (w: usize, a: usize, at: usize, sum: usize, scaled: usize, y: usize, from: i32, to: i32, blocks: i32, tokens: i32, rows: i32, zeroShift: i32): void {
  const tiled = tokens & ~3
  if (tiled > 0) tileProduct<V, P, A>(w, a, at, sum, scaled, y, from, to, blocks, tiled, rows, zeroShift)
  for (let t = tiled; t < tokens; t++) {
    const offset = (<usize>t * <usize>blocks) << 2
    vectorProduct<V, P, A>(w, a + (offset << 3), at + offset, sum + offset, scaled + offset, y + (<usize>t * <usize>rows << 2), from, to, blocks, zeroShift)
  }
}
