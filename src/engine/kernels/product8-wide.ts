// Matrix products of weights of 8 bits for processors without a dot product of four bytes, where relaxed_dot_i8x16_i7x16_add_s
// is five instructions: the same records as in product8.ts, multiplied as 16-bit integers, which need no relaxed instruction
// and take any sign. Activations are codes of 16 bits [token][column].

import { recordBytes8 } from './product8'
import { scaledSum, term } from './term'

/** Adds products of two rows: four columns of each, in pairs, in the order of the bytes. */
// @ts-ignore: decorator
@inline
function madd (v: v128, x: v128, sums: v128): v128 {
  return i32x4.add(sums, i32x4.dot_i16x8_s(v, x))
}

/** The sums of four rows, from the pairs of sums of the first two and of the last two. */
// @ts-ignore: decorator
@inline
function fourRows (first: v128, last: v128): v128 {
  return i32x4.add(v128.shuffle<i32>(first, last, 0, 2, 4, 6), v128.shuffle<i32>(first, last, 1, 3, 5, 7))
}

/** One token, one group of four rows. */
// @ts-ignore: decorator
@inline
function groupProduct<A> (w: usize, a: usize, t: usize, S: usize, y: usize, blocks: i32): void {
  let f = f32x4.splat(0)
  for (let b = 0; b < blocks; b++) {
    let d = i32x4.splat(0), e = d
    for (let j: usize = 0; j < 8; j++) {
      const x = v128.load64_splat(a + (j << 3)), c = w + (j << 4)
      d = madd(v128.load8x8_s(c), x, d); e = madd(v128.load8x8_s(c, 8), x, e)
    }
    f = f32x4.add(f, term<A>(fourRows(d, e), w + 128, v128.load32_splat(t), scaledSum<A>(S)))
    w += recordBytes8<A>(); a += 64; t += 4; S += 4
  }
  v128.store(y, f)
}

/** One token, rows [from, to), as one stream or four, as in product4.ts. */
// @ts-ignore: decorator
@inline
function vectorProduct<A> (w: usize, a: usize, t: usize, S: usize, y: usize, from: i32, to: i32, blocks: i32, streams: i32): void {
  const quarter = streams == 4 ? (to - from) >> 4 : 0
  const group = <usize>blocks * recordBytes8<A>(), stream = <usize>quarter * group
  let w0 = w + <usize>(from >> 2) * group
  let w1 = w0 + stream, w2 = w1 + stream, w3 = w2 + stream
  const rest = w3 + stream
  const Q = <usize>quarter << 4
  let yp = y + (<usize>from << 2)
  for (let n = 0; n < quarter; n++) {
    let f0 = f32x4.splat(0), f1 = f0, f2 = f0, f3 = f0
    let ap = a, tp = t, Sp = S
    for (let b = 0; b < blocks; b++) {
      let d0 = i32x4.splat(0), d1 = d0, d2 = d0, d3 = d0, e0 = d0, e1 = d0, e2 = d0, e3 = d0
      for (let j: usize = 0; j < 8; j++) {
        const x = v128.load64_splat(ap + (j << 3)), c = j << 4
        d0 = madd(v128.load8x8_s(w0 + c), x, d0); e0 = madd(v128.load8x8_s(w0 + c, 8), x, e0)
        d1 = madd(v128.load8x8_s(w1 + c), x, d1); e1 = madd(v128.load8x8_s(w1 + c, 8), x, e1)
        d2 = madd(v128.load8x8_s(w2 + c), x, d2); e2 = madd(v128.load8x8_s(w2 + c, 8), x, e2)
        d3 = madd(v128.load8x8_s(w3 + c), x, d3); e3 = madd(v128.load8x8_s(w3 + c, 8), x, e3)
      }
      const u = v128.load32_splat(tp), v = scaledSum<A>(Sp)
      f0 = f32x4.add(f0, term<A>(fourRows(d0, e0), w0 + 128, u, v)); f1 = f32x4.add(f1, term<A>(fourRows(d1, e1), w1 + 128, u, v))
      f2 = f32x4.add(f2, term<A>(fourRows(d2, e2), w2 + 128, u, v)); f3 = f32x4.add(f3, term<A>(fourRows(d3, e3), w3 + 128, u, v))
      w0 += recordBytes8<A>(); w1 += recordBytes8<A>(); w2 += recordBytes8<A>(); w3 += recordBytes8<A>()
      ap += 64; tp += 4; Sp += 4
    }
    v128.store(yp, f0); v128.store(yp + Q, f1); v128.store(yp + (Q << 1), f2); v128.store(yp + (Q << 1) + Q, f3)
    yp += 16
  }
  w0 = rest
  for (let n = from + (quarter << 4); n < to; n += 4) {
    groupProduct<A>(w0, a, t, S, y + (<usize>n << 2), blocks)
    w0 += group
  }
}

/** Tokens in tiles of four, rows [from, to) in groups of four: weights are widened once a tile. */
// @ts-ignore: decorator
@inline
function tileProduct<A> (w: usize, a: usize, t: usize, S: usize, y: usize, from: i32, to: i32, blocks: i32, tokens: i32, rows: i32): void {
  const group = <usize>blocks * recordBytes8<A>()
  const K = <usize>blocks << 6, B = <usize>blocks << 2, R = <usize>rows << 2
  for (let n = from; n < to; n += 4) {
    for (let token = 0; token < tokens; token += 4) {
      let wp = w + <usize>(n >> 2) * group
      let f0 = f32x4.splat(0), f1 = f0, f2 = f0, f3 = f0
      let p0 = a + <usize>token * K, p1 = p0 + K, p2 = p1 + K, p3 = p2 + K
      let tp = t + <usize>token * B, Sp = S + <usize>token * B
      for (let b = 0; b < blocks; b++) {
        let d0 = i32x4.splat(0), d1 = d0, d2 = d0, d3 = d0, e0 = d0, e1 = d0, e2 = d0, e3 = d0
        for (let j: usize = 0; j < 8; j++) {
          const u = v128.load8x8_s(wp + (j << 4)), v = v128.load8x8_s(wp + (j << 4), 8), c = j << 3
          let x = v128.load64_splat(p0 + c)
          d0 = madd(u, x, d0); e0 = madd(v, x, e0)
          x = v128.load64_splat(p1 + c)
          d1 = madd(u, x, d1); e1 = madd(v, x, e1)
          x = v128.load64_splat(p2 + c)
          d2 = madd(u, x, d2); e2 = madd(v, x, e2)
          x = v128.load64_splat(p3 + c)
          d3 = madd(u, x, d3); e3 = madd(v, x, e3)
        }
        const scales = wp + 128
        f0 = f32x4.add(f0, term<A>(fourRows(d0, e0), scales, v128.load32_splat(tp), scaledSum<A>(Sp))); f1 = f32x4.add(f1, term<A>(fourRows(d1, e1), scales, v128.load32_splat(tp + B), scaledSum<A>(Sp + B)))
        f2 = f32x4.add(f2, term<A>(fourRows(d2, e2), scales, v128.load32_splat(tp + (B << 1)), scaledSum<A>(Sp + (B << 1))))
        f3 = f32x4.add(f3, term<A>(fourRows(d3, e3), scales, v128.load32_splat(tp + (B << 1) + B), scaledSum<A>(Sp + (B << 1) + B)))
        wp += recordBytes8<A>()
        p0 += 64; p1 += 64; p2 += 64; p3 += 64; tp += 4; Sp += 4
      }
      const yp = y + <usize>token * R + (<usize>n << 2)
      v128.store(yp, f0); v128.store(yp + R, f1); v128.store(yp + (R << 1), f2); v128.store(yp + (R << 1) + R, f3)
    }
  }
}

/** Any number of tokens: whole tiles of four together, the rest one by one. `streams`: 1 or 4. */
// @ts-ignore: decorator
@inline
export function product8Wide<A> (w: usize, a: usize, t: usize, S: usize, y: usize, from: i32, to: i32, blocks: i32, tokens: i32, rows: i32, streams: i32): void {
  const tiled = tokens & ~3
  if (tiled > 0) tileProduct<A>(w, a, t, S, y, from, to, blocks, tiled, rows)
  for (let token = tiled; token < tokens; token++) {
    const offset = (<usize>token * <usize>blocks) << 2
    vectorProduct<A>(w, a + (offset << 4), t + offset, S + offset, y + (<usize>token * <usize>rows << 2), from, to, blocks, streams)
  }
}
