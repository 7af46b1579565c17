// Matrix products of weights of 8 bits, for processors that have a dot product of four bytes in one instruction.
//
// Records as in product4.ts, but of 128 bytes of codes: chunk j of 16 bytes holds in byte 4r + i the code of row r, column
// 4j + i, as a signed byte: u − z of docs/numerics.md, section 3. The dot products want their second operand in 0..127
// (dot.ts), so activations come as max(a, 0) and max(−a, 0), and the integer of a block is the difference of two products:
// nothing has to be unpacked.

import { dotBytes } from './dot'
import { scaleBytes, scaledSum, term } from './term'

/** Bytes of a record. */
// @ts-ignore: decorator
@inline
export function recordBytes8<A> (): usize {
  return 128 + scaleBytes<A>()
}

/** One token, one group of four rows. */
// @ts-ignore: decorator
@inline
function groupProduct<A> (w: usize, positive: usize, negative: usize, t: usize, S: usize, y: usize, blocks: i32): void {
  let f = f32x4.splat(0)
  for (let b = 0; b < blocks; b++) {
    let d = i32x4.splat(0), e = d
    for (let j: usize = 0; j < 8; j++) {
      const v = v128.load(w + (j << 4))
      d = dotBytes(v, v128.load32_splat(positive + (j << 2)), d)
      e = dotBytes(v, v128.load32_splat(negative + (j << 2)), e)
    }
    f = f32x4.add(f, term<A>(i32x4.sub(d, e), w + 128, v128.load32_splat(t), scaledSum<A>(S)))
    w += recordBytes8<A>(); positive += 32; negative += 32; t += 4; S += 4
  }
  v128.store(y, f)
}

/** One token, rows [from, to), as one stream or four, as in product4.ts. */
// @ts-ignore: decorator
@inline
function vectorProduct<A> (w: usize, positive: usize, negative: usize, t: usize, S: usize, y: usize, from: i32, to: i32, blocks: i32, streams: i32): void {
  const quarter = streams == 4 ? (to - from) >> 4 : 0
  const group = <usize>blocks * recordBytes8<A>(), stream = <usize>quarter * group
  let w0 = w + <usize>(from >> 2) * group
  let w1 = w0 + stream, w2 = w1 + stream, w3 = w2 + stream
  const rest = w3 + stream
  const Q = <usize>quarter << 4
  let yp = y + (<usize>from << 2)
  for (let n = 0; n < quarter; n++) {
    let f0 = f32x4.splat(0), f1 = f0, f2 = f0, f3 = f0
    let p = positive, q = negative, tp = t, Sp = S
    for (let b = 0; b < blocks; b++) {
      let d0 = i32x4.splat(0), d1 = d0, d2 = d0, d3 = d0, e0 = d0, e1 = d0, e2 = d0, e3 = d0
      for (let j: usize = 0; j < 8; j++) {
        const x = v128.load32_splat(p + (j << 2)), z = v128.load32_splat(q + (j << 2)), c = j << 4
        let v = v128.load(w0 + c)
        d0 = dotBytes(v, x, d0); e0 = dotBytes(v, z, e0)
        v = v128.load(w1 + c)
        d1 = dotBytes(v, x, d1); e1 = dotBytes(v, z, e1)
        v = v128.load(w2 + c)
        d2 = dotBytes(v, x, d2); e2 = dotBytes(v, z, e2)
        v = v128.load(w3 + c)
        d3 = dotBytes(v, x, d3); e3 = dotBytes(v, z, e3)
      }
      const u = v128.load32_splat(tp), v = scaledSum<A>(Sp)
      f0 = f32x4.add(f0, term<A>(i32x4.sub(d0, e0), w0 + 128, u, v)); f1 = f32x4.add(f1, term<A>(i32x4.sub(d1, e1), w1 + 128, u, v))
      f2 = f32x4.add(f2, term<A>(i32x4.sub(d2, e2), w2 + 128, u, v)); f3 = f32x4.add(f3, term<A>(i32x4.sub(d3, e3), w3 + 128, u, v))
      w0 += recordBytes8<A>(); w1 += recordBytes8<A>(); w2 += recordBytes8<A>(); w3 += recordBytes8<A>()
      p += 32; q += 32; tp += 4; Sp += 4
    }
    v128.store(yp, f0); v128.store(yp + Q, f1); v128.store(yp + (Q << 1), f2); v128.store(yp + (Q << 1) + Q, f3)
    yp += 16
  }
  w0 = rest
  for (let n = from + (quarter << 4); n < to; n += 4) {
    groupProduct<A>(w0, positive, negative, t, S, y + (<usize>n << 2), blocks)
    w0 += group
  }
}

/** Tokens in tiles of two, rows [from, to) in pairs of groups: six reads for eight products, where four tokens and a group would take nine. */
// @ts-ignore: decorator
@inline
function tileProduct<A> (w: usize, positive: usize, negative: usize, t: usize, S: usize, y: usize, from: i32, to: i32, blocks: i32, tokens: i32, rows: i32): void {
  const group = <usize>blocks * recordBytes8<A>()
  const K = <usize>blocks << 5, B = <usize>blocks << 2, R = <usize>rows << 2
  for (let n = from; n < to; n += 8) {
    for (let token = 0; token < tokens; token += 2) {
      let w0 = w + <usize>(n >> 2) * group, w1 = w0 + group
      let f0 = f32x4.splat(0), f1 = f0, g0 = f0, g1 = f0
      let p0 = positive + <usize>token * K, p1 = p0 + K, q0 = negative + <usize>token * K, q1 = q0 + K
      let tp = t + <usize>token * B, Sp = S + <usize>token * B
      for (let b = 0; b < blocks; b++) {
        let d0 = i32x4.splat(0), d1 = d0, e0 = d0, e1 = d0, h0 = d0, h1 = d0, k0 = d0, k1 = d0
        for (let j: usize = 0; j < 8; j++) {
          const v = v128.load(w0 + (j << 4)), u = v128.load(w1 + (j << 4)), c = j << 2
          let x = v128.load32_splat(p0 + c), z = v128.load32_splat(q0 + c)
          d0 = dotBytes(v, x, d0); e0 = dotBytes(v, z, e0); h0 = dotBytes(u, x, h0); k0 = dotBytes(u, z, k0)
          x = v128.load32_splat(p1 + c); z = v128.load32_splat(q1 + c)
          d1 = dotBytes(v, x, d1); e1 = dotBytes(v, z, e1); h1 = dotBytes(u, x, h1); k1 = dotBytes(u, z, k1)
        }
        f0 = f32x4.add(f0, term<A>(i32x4.sub(d0, e0), w0 + 128, v128.load32_splat(tp), scaledSum<A>(Sp))); f1 = f32x4.add(f1, term<A>(i32x4.sub(d1, e1), w0 + 128, v128.load32_splat(tp + B), scaledSum<A>(Sp + B)))
        g0 = f32x4.add(g0, term<A>(i32x4.sub(h0, k0), w1 + 128, v128.load32_splat(tp), scaledSum<A>(Sp))); g1 = f32x4.add(g1, term<A>(i32x4.sub(h1, k1), w1 + 128, v128.load32_splat(tp + B), scaledSum<A>(Sp + B)))
        w0 += recordBytes8<A>(); w1 += recordBytes8<A>()
        p0 += 32; p1 += 32; q0 += 32; q1 += 32; tp += 4; Sp += 4
      }
      const yp = y + <usize>token * R + (<usize>n << 2)
      v128.store(yp, f0); v128.store(yp, g0, 16); v128.store(yp + R, f1); v128.store(yp + R, g1, 16)
    }
  }
}

/** Any number of tokens: whole tiles of two together, the rest alone. `streams`: 1 or 4. */
// @ts-ignore: decorator
@inline
export function product8<A> (w: usize, positive: usize, negative: usize, t: usize, S: usize, y: usize, from: i32, to: i32, blocks: i32, tokens: i32, rows: i32, streams: i32): void {
  const tiled = tokens & ~1
  if (tiled > 0) tileProduct<A>(w, positive, negative, t, S, y, from, to, blocks, tiled, rows)
  for (let token = tiled; token < tokens; token++) {
    const offset = (<usize>token * <usize>blocks) << 2
    vectorProduct<A>(w, positive + (offset << 3), negative + (offset << 3), t + offset, S + offset, y + (<usize>token * <usize>rows << 2), from, to, blocks, streams)
  }
}
