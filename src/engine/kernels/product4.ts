// Matrix products of weights of 4 bits: docs/numerics.md, section 3.
//
// Weights: rows in groups of four. A group is one stream of records, one for each block of 32 columns: 64 bytes of codes,
// four float32 scales, and the four minimums of affine formats. Chunk j of 16 bytes holds in byte 4r + i the code of row r,
// column 8j + i (low nibble) and column 8j + 4 + i (high nibble). Everything a product reads of a group is one ascending
// stream: docs/adr/0003-weights-in-memory.md.
// Activations: codes `a` [token][column], scales `t`, sums (i32) and scaled sums `S` (f32) [token][block]. Outputs:
// [token][row].
//
// Loops over the chunks of a block are written out: the compilers do not unroll them, and V8 keeps no sums in registers
// across a loop's head. `nibble` is 15: V8 builds a constant anew at every use, an argument stays in a register.
//
// Type parameters: V as in dot.ts; A is f32 for affine formats (w = scale·code + minimum), i32 for symmetric ones
// (w = scale·(code − 2^zeroShift)).

import { dot, firstDot, rowSums, highNibbles } from './dot'
import { scaleBytes, scaledSum, term } from './term'

/** Bytes of a record. */
// @ts-ignore: decorator
@inline
export function recordBytes4<A> (): usize {
  return 64 + scaleBytes<A>()
}

/** What the sums of a block start from: symmetric formats take z·sum off, 16-bit sums have no room for it. */
// @ts-ignore: decorator
@inline
function start<V, A> (sum: usize, zeroShift: i32): v128 {
  if (isFloat<A>() || sizeof<V>() == 2) return i32x4.splat(0)
  return i32x4.neg(i32x4.shl(v128.load32_splat(sum), zeroShift))
}

/** The integers of a block for four rows. */
// @ts-ignore: decorator
@inline
function finish<V, A> (sums: v128, sum: usize, zeroShift: i32): v128 {
  if (isFloat<A>() || sizeof<V>() != 2) return rowSums<V>(sums)
  return i32x4.sub(rowSums<V>(sums), i32x4.shl(v128.load32_splat(sum), zeroShift))
}

/** Adds the products of a chunk: 8 columns of four rows. */
// @ts-ignore: decorator
@inline
function addChunk<V> (v: v128, low: v128, high: v128, sums: v128, mask: v128): v128 {
  return dot<V>(high, highNibbles(v, mask), dot<V>(low, v128.and(v, mask), sums))
}

/** The same for the first chunk of a block. */
// @ts-ignore: decorator
@inline
function firstChunk<V> (v: v128, low: v128, high: v128, sums: v128, mask: v128): v128 {
  return dot<V>(high, highNibbles(v, mask), firstDot<V>(low, v128.and(v, mask), sums))
}

/** One token, one group of four rows. */
// @ts-ignore: decorator
@inline
function groupProduct<V, A> (w: usize, a: usize, t: usize, sum: usize, S: usize, y: usize, blocks: i32, zeroShift: i32, mask: v128): void {
  let f = f32x4.splat(0)
  for (let b = 0; b < blocks; b++) {
    let d = start<V, A>(sum, zeroShift)
    d = firstChunk<V>(v128.load(w), v128.load32_splat(a), v128.load32_splat(a, 4), d, mask)
    d = addChunk<V>(v128.load(w, 16), v128.load32_splat(a, 8), v128.load32_splat(a, 12), d, mask)
    d = addChunk<V>(v128.load(w, 32), v128.load32_splat(a, 16), v128.load32_splat(a, 20), d, mask)
    d = addChunk<V>(v128.load(w, 48), v128.load32_splat(a, 24), v128.load32_splat(a, 28), d, mask)
    f = f32x4.add(f, term<A>(finish<V, A>(d, sum, zeroShift), w + 64, v128.load32_splat(t), scaledSum<A>(S)))
    w += recordBytes4<A>(); a += 32; t += 4; sum += 4; S += 4
  }
  v128.store(y, f)
}

/**
 * One token, rows [from, to), as one stream of records or, where `streams` is 4, with four groups together, each from its own
 * quarter of the rows: on some processors four streams keep more of memory's answers under way than one does
 * (docs/adr/0005-four-streams.md), and they share what is read of the activations.
 */
// @ts-ignore: decorator
@inline
function vectorProduct<V, A> (w: usize, a: usize, t: usize, sum: usize, S: usize, y: usize, from: i32, to: i32, blocks: i32, streams: i32, zeroShift: i32, mask: v128): void {
  const quarter = streams == 4 ? (to - from) >> 4 : 0
  const group = <usize>blocks * recordBytes4<A>(), stream = <usize>quarter * group
  let w0 = w + <usize>(from >> 2) * group
  let w1 = w0 + stream, w2 = w1 + stream, w3 = w2 + stream
  const rest = w3 + stream
  const Q = <usize>quarter << 4
  let yp = y + (<usize>from << 2)
  for (let n = 0; n < quarter; n++) {
    let f0 = f32x4.splat(0), f1 = f0, f2 = f0, f3 = f0
    let ap = a, tp = t, sp = sum, Sp = S
    for (let b = 0; b < blocks; b++) {
      let d0 = start<V, A>(sp, zeroShift), d1 = d0, d2 = d0, d3 = d0
      let x = v128.load32_splat(ap), z = v128.load32_splat(ap, 4)
      d0 = firstChunk<V>(v128.load(w0), x, z, d0, mask); d1 = firstChunk<V>(v128.load(w1), x, z, d1, mask)
      d2 = firstChunk<V>(v128.load(w2), x, z, d2, mask); d3 = firstChunk<V>(v128.load(w3), x, z, d3, mask)
      x = v128.load32_splat(ap, 8); z = v128.load32_splat(ap, 12)
      d0 = addChunk<V>(v128.load(w0, 16), x, z, d0, mask); d1 = addChunk<V>(v128.load(w1, 16), x, z, d1, mask)
      d2 = addChunk<V>(v128.load(w2, 16), x, z, d2, mask); d3 = addChunk<V>(v128.load(w3, 16), x, z, d3, mask)
      x = v128.load32_splat(ap, 16); z = v128.load32_splat(ap, 20)
      d0 = addChunk<V>(v128.load(w0, 32), x, z, d0, mask); d1 = addChunk<V>(v128.load(w1, 32), x, z, d1, mask)
      d2 = addChunk<V>(v128.load(w2, 32), x, z, d2, mask); d3 = addChunk<V>(v128.load(w3, 32), x, z, d3, mask)
      x = v128.load32_splat(ap, 24); z = v128.load32_splat(ap, 28)
      d0 = addChunk<V>(v128.load(w0, 48), x, z, d0, mask); d1 = addChunk<V>(v128.load(w1, 48), x, z, d1, mask)
      d2 = addChunk<V>(v128.load(w2, 48), x, z, d2, mask); d3 = addChunk<V>(v128.load(w3, 48), x, z, d3, mask)
      const u = v128.load32_splat(tp), v = scaledSum<A>(Sp)
      f0 = f32x4.add(f0, term<A>(finish<V, A>(d0, sp, zeroShift), w0 + 64, u, v))
      f1 = f32x4.add(f1, term<A>(finish<V, A>(d1, sp, zeroShift), w1 + 64, u, v))
      f2 = f32x4.add(f2, term<A>(finish<V, A>(d2, sp, zeroShift), w2 + 64, u, v))
      f3 = f32x4.add(f3, term<A>(finish<V, A>(d3, sp, zeroShift), w3 + 64, u, v))
      w0 += recordBytes4<A>(); w1 += recordBytes4<A>(); w2 += recordBytes4<A>(); w3 += recordBytes4<A>()
      ap += 32; tp += 4; sp += 4; Sp += 4
    }
    v128.store(yp, f0); v128.store(yp + Q, f1); v128.store(yp + (Q << 1), f2); v128.store(yp + (Q << 1) + Q, f3)
    yp += 16
  }
  w0 = rest
  for (let n = from + (quarter << 4); n < to; n += 4) {
    groupProduct<V, A>(w0, a, t, sum, S, y + (<usize>n << 2), blocks, zeroShift, mask)
    w0 += group
  }
}

/** Tokens in tiles of four, rows [from, to) in groups of four. Weights are unpacked once a tile. */
// @ts-ignore: decorator
@inline
function tileProduct<V, A> (w: usize, a: usize, t: usize, sum: usize, S: usize, y: usize, from: i32, to: i32, blocks: i32, tokens: i32, rows: i32, zeroShift: i32, mask: v128): void {
  const group = <usize>blocks * recordBytes4<A>()
  const K = <usize>blocks << 5
  const B = <usize>blocks << 2, B2 = B << 1, B3 = B2 + B
  const R = <usize>rows << 2
  for (let n = from; n < to; n += 4) {
    for (let token = 0; token < tokens; token += 4) {
      let wp = w + <usize>(n >> 2) * group
      let f0 = f32x4.splat(0), f1 = f0, f2 = f0, f3 = f0
      let p0 = a + <usize>token * K, p1 = p0 + K, p2 = p1 + K, p3 = p2 + K
      let tp = t + <usize>token * B, sp = sum + <usize>token * B, Sp = S + <usize>token * B
      for (let b = 0; b < blocks; b++) {
        let d0 = start<V, A>(sp, zeroShift), d1 = start<V, A>(sp + B, zeroShift), d2 = start<V, A>(sp + B2, zeroShift), d3 = start<V, A>(sp + B3, zeroShift)
        let v = v128.load(wp), c = v128.and(v, mask)
        d0 = firstDot<V>(v128.load32_splat(p0), c, d0); d1 = firstDot<V>(v128.load32_splat(p1), c, d1)
        d2 = firstDot<V>(v128.load32_splat(p2), c, d2); d3 = firstDot<V>(v128.load32_splat(p3), c, d3)
        c = highNibbles(v, mask)
        d0 = dot<V>(v128.load32_splat(p0, 4), c, d0); d1 = dot<V>(v128.load32_splat(p1, 4), c, d1)
        d2 = dot<V>(v128.load32_splat(p2, 4), c, d2); d3 = dot<V>(v128.load32_splat(p3, 4), c, d3)
        v = v128.load(wp, 16); c = v128.and(v, mask)
        d0 = dot<V>(v128.load32_splat(p0, 8), c, d0); d1 = dot<V>(v128.load32_splat(p1, 8), c, d1)
        d2 = dot<V>(v128.load32_splat(p2, 8), c, d2); d3 = dot<V>(v128.load32_splat(p3, 8), c, d3)
        c = highNibbles(v, mask)
        d0 = dot<V>(v128.load32_splat(p0, 12), c, d0); d1 = dot<V>(v128.load32_splat(p1, 12), c, d1)
        d2 = dot<V>(v128.load32_splat(p2, 12), c, d2); d3 = dot<V>(v128.load32_splat(p3, 12), c, d3)
        v = v128.load(wp, 32); c = v128.and(v, mask)
        d0 = dot<V>(v128.load32_splat(p0, 16), c, d0); d1 = dot<V>(v128.load32_splat(p1, 16), c, d1)
        d2 = dot<V>(v128.load32_splat(p2, 16), c, d2); d3 = dot<V>(v128.load32_splat(p3, 16), c, d3)
        c = highNibbles(v, mask)
        d0 = dot<V>(v128.load32_splat(p0, 20), c, d0); d1 = dot<V>(v128.load32_splat(p1, 20), c, d1)
        d2 = dot<V>(v128.load32_splat(p2, 20), c, d2); d3 = dot<V>(v128.load32_splat(p3, 20), c, d3)
        v = v128.load(wp, 48); c = v128.and(v, mask)
        d0 = dot<V>(v128.load32_splat(p0, 24), c, d0); d1 = dot<V>(v128.load32_splat(p1, 24), c, d1)
        d2 = dot<V>(v128.load32_splat(p2, 24), c, d2); d3 = dot<V>(v128.load32_splat(p3, 24), c, d3)
        c = highNibbles(v, mask)
        d0 = dot<V>(v128.load32_splat(p0, 28), c, d0); d1 = dot<V>(v128.load32_splat(p1, 28), c, d1)
        d2 = dot<V>(v128.load32_splat(p2, 28), c, d2); d3 = dot<V>(v128.load32_splat(p3, 28), c, d3)
        const scales = wp + 64
        f0 = f32x4.add(f0, term<A>(finish<V, A>(d0, sp, zeroShift), scales, v128.load32_splat(tp), scaledSum<A>(Sp)))
        f1 = f32x4.add(f1, term<A>(finish<V, A>(d1, sp + B, zeroShift), scales, v128.load32_splat(tp + B), scaledSum<A>(Sp + B)))
        f2 = f32x4.add(f2, term<A>(finish<V, A>(d2, sp + B2, zeroShift), scales, v128.load32_splat(tp + B2), scaledSum<A>(Sp + B2)))
        f3 = f32x4.add(f3, term<A>(finish<V, A>(d3, sp + B3, zeroShift), scales, v128.load32_splat(tp + B3), scaledSum<A>(Sp + B3)))
        wp += recordBytes4<A>()
        p0 += 32; p1 += 32; p2 += 32; p3 += 32
        tp += 4; sp += 4; Sp += 4
      }
      const yp = y + <usize>token * R + (<usize>n << 2)
      v128.store(yp, f0); v128.store(yp + R, f1); v128.store(yp + (R << 1), f2); v128.store(yp + (R << 1) + R, f3)
    }
  }
}

/** Any number of tokens: whole tiles of four together, the rest one by one. `streams`: 1 or 4. */
// @ts-ignore: decorator
@inline
export function product4<V, A> (w: usize, a: usize, t: usize, sum: usize, S: usize, y: usize, from: i32, to: i32, blocks: i32, tokens: i32, rows: i32, streams: i32, zeroShift: i32, nibble: i32): void {
  const mask = i8x16.splat(<i8>nibble)
  const tiled = tokens & ~3
  if (tiled > 0) tileProduct<V, A>(w, a, t, sum, S, y, from, to, blocks, tiled, rows, zeroShift, mask)
  for (let token = tiled; token < tokens; token++) {
    const offset = (<usize>token * <usize>blocks) << 2
    vectorProduct<V, A>(w, a + (offset << 3), t + offset, sum + offset, S + offset, y + (<usize>token * <usize>rows << 2), from, to, blocks, streams, zeroShift, mask)
  }
}
