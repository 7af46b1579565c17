// The KV cache and attention of docs/numerics.md, sections 5 (step 4) and 7.
//
// A tile holds 32 positions of the keys, or of the values, of one KV head: signed bytes, then float32 scales.
//   key tile     [headSize/2 pairs of elements][32 positions][2]             scales [headSize/block][32 positions]
//   value tile   [headSize/16][16 pairs of positions][16 elements][2]        scales [headSize/block][32 positions]
// so that both products run over pairs, which i32x4.dot_i16x8_s multiplies and adds, four sums at a time, in the order
// of the bytes. Key tiles of consecutive positions follow one another as far as a page goes, and so do value tiles.

import { addLanes, larger, largestLane, round, roundSmall } from './elementwise'
import { exp } from './exp'
import { fetch } from './fetch'

// @ts-ignore: decorator
@inline
const TINY: f32 = reinterpret<f32>(0x0d800000)

/** Quantises one head of k and of v and writes it as position `slot` (0..31) of a key tile and of a value tile. */
export function storeKeyValue (k: usize, v: usize, keys: usize, values: usize, slot: i32, headSize: i32, block: i32): void {
  const s = <usize>slot
  const keyScales = keys + (<usize>headSize << 5)
  const valueScales = values + (<usize>headSize << 5)
  for (let from = 0, b: usize = 0; from < headSize; from += block, b++) {
    let amax = largest(k + (<usize>from << 2), block)
    let inverse: f32 = 0, scale: f32 = 0
    if (!(amax < TINY)) { inverse = <f32>127 / amax; scale = amax / <f32>127 }
    store<f32>(keyScales + (b << 7) + (s << 2), scale)
    for (let i = from; i < from + block; i++) {
      store<i8>(keys + (<usize>(i >> 1) << 6) + (s << 1) + <usize>(i & 1), <i8>code(load<f32>(k + (<usize>i << 2)) * inverse))
    }
    amax = largest(v + (<usize>from << 2), block)
    inverse = 0; scale = 0
    if (!(amax < TINY)) { inverse = <f32>127 / amax; scale = amax / <f32>127 }
    store<f32>(valueScales + (b << 7) + (s << 2), scale)
    for (let i = from; i < from + block; i++) {
      store<i8>(values + (<usize>(i >> 4) << 9) + ((s >> 1) << 5) + (<usize>(i & 15) << 1) + (s & 1), <i8>code(load<f32>(v + (<usize>i << 2)) * inverse))
    }
  }
}

// @ts-ignore: decorator
@inline
function code (x: f32): i32 {
  return i32x4.extract_lane(round(f32x4.splat(x)), 0)
}

// @ts-ignore: decorator
@inline
function largest (x: usize, n: i32): f32 {
  let m = f32x4.splat(0)
  for (let i: usize = 0; i < <usize>n << 2; i += 16) m = larger(m, f32x4.abs(v128.load(x + i)))
  return largestLane(m)
}

// Attention of the `heads` consecutive query heads of one row that share one KV head goes in four steps, so that
// threads can share one row where there are few: queries, scores of a range of tiles, exponentials of a head, values of
// a block of the head. A tile is used by all heads while it is in the nearest cache. `table` holds pointers to pages, one
// word for each 32 positions; `offset` is that of the layer's and KV head's key tiles, or value tiles, inside a page;
// positions [first, position] are visible. Scores of a head take 128 bytes for each 32 positions, `scoreBytes` from head to head.

/** Bytes of a head's quantised query: 16-bit codes, then the scales; later the sum of its exponentials. */
// @ts-ignore: decorator
@inline
function queryBytes (headSize: i32): usize {
  return (<usize>headSize << 1) + 64
}

/** Quantises the roped queries of `heads` heads, floats × `scale` = float(1 ÷ √headSize). */
export function prepareQueries (q: usize, heads: i32, headSize: i32, block: i32, scale: f32, queries: usize): void {
  for (let h: usize = 0; h < <usize>heads; h++) {
    const codes = queries + h * queryBytes(headSize)
    quantiseQuery(q + (h * <usize>headSize << 2), headSize, block, scale, codes, codes + (<usize>headSize << 1))
  }
}

/** Scores of the tiles [fromTile, toTile) of the row's positions. */
export function scoreTiles (queries: usize, heads: i32, table: usize, offset: usize, fromTile: i32, toTile: i32, first: i32, position: i32, headSize: i32, block: i32, scores: usize, scoreBytes: usize): void {
  for (let t = fromTile; t < toTile; t++) {
    const tile = <usize>load<u32>(table + (<usize>t << 2)) + offset
    const at = scores + (<usize>t << 7)
    for (let h = 0; h < heads; h += 4) {
      const codes = queries + <usize>h * queryBytes(headSize), to = at + <usize>h * scoreBytes
      const together = heads - h
      if (together == 1) scoreTile(1, tile, codes, headSize, block, to, scoreBytes)
      else if (together == 2) scoreTile(2, tile, codes, headSize, block, to, scoreBytes)
      else if (together == 3) scoreTile(3, tile, codes, headSize, block, to, scoreBytes)
      else scoreTile(4, tile, codes, headSize, block, to, scoreBytes)
    }
    if (t << 5 < first || (t << 5) + 31 > position) {
      for (let h: usize = 0; h < <usize>heads; h++) hide(at + h * scoreBytes, t << 5, first, position)
    }
  }
}

/** Scores of head `h` become exp(score − maximum); their sum takes the place of its query. */
export function exponentials (queries: usize, h: i32, headSize: i32, firstTile: i32, lastTile: i32, scores: usize, scoreBytes: usize): void {
  const from = scores + <usize>h * scoreBytes + (<usize>firstTile << 7), end = from + (<usize>(lastTile - firstTile + 1) << 7)
  let m0 = f32x4.splat(-Infinity), m1 = m0
  // this form of maximum passes over NaN, whose exponential is NaN all the same
  for (let p = from; p < end; p += 64) {
    m0 = f32x4.pmax(f32x4.pmax(m0, v128.load(p)), v128.load(p, 16))
    m1 = f32x4.pmax(f32x4.pmax(m1, v128.load(p, 32)), v128.load(p, 48))
  }
  const a = f32x4.pmax(m0, m1), b = f32x4.pmax(a, v128.shuffle<i32>(a, a, 2, 3, 0, 1))
  const M = f32x4.splat(f32x4.extract_lane(f32x4.pmax(b, v128.shuffle<i32>(b, b, 1, 0, 3, 2)), 0))
  let L = f32x4.splat(0)
  // four at a time: V8 builds the constants of `exp` anew in every turn
  for (let p = from; p < end; p += 64) {
    const e0 = exp(f32x4.sub(v128.load(p), M)), e1 = exp(f32x4.sub(v128.load(p, 16), M))
    const e2 = exp(f32x4.sub(v128.load(p, 32), M)), e3 = exp(f32x4.sub(v128.load(p, 48), M))
    v128.store(p, e0); v128.store(p, e1, 16); v128.store(p, e2, 32); v128.store(p, e3, 48)
    L = f32x4.add(f32x4.add(f32x4.add(f32x4.add(L, e0), e1), e2), e3)
  }
  store<f32>(queries + <usize>h * queryBytes(headSize), addLanes(L))
}

/**
 * Weighted values of the elements [from, to) of a head, whole blocks, for all heads of the group.
 * @param scratch 512 bytes: attention weights, then codes and scales of four heads
 * @param out heads × headSize floats
 */
export function combineValues (queries: usize, heads: i32, table: usize, offset: usize, first: i32, position: i32, headSize: i32, block: i32, from: i32, to: i32, scores: usize, scoreBytes: usize, scratch: usize, out: usize): void {
  const headBytes = <usize>headSize << 2
  const begin = <usize>from << 2, end = <usize>to << 2
  for (let h: usize = 0; h < <usize>heads; h++) {
    for (let i = begin; i < end; i += 16) v128.store(out + h * headBytes + i, f32x4.splat(0))
  }
  for (let t = first >> 5, last = position >> 5; t <= last; t++) {
    const tile = <usize>load<u32>(table + (<usize>t << 2)) + offset
    const edge = t << 5 < first || (t << 5) + 31 > position
    fetch(tile + (<usize>from << 5), tile + (<usize>to << 5), scratch)
    for (let h = 0; h < heads; h += 4) {
      const e = scores + <usize>h * scoreBytes + (<usize>t << 7), o = out + <usize>h * headBytes
      const together = heads - h
      if (together == 1) addValues(1, tile, e, scoreBytes, headSize, block, from, to, edge, scratch, o)
      else if (together == 2) addValues(2, tile, e, scoreBytes, headSize, block, from, to, edge, scratch, o)
      else if (together == 3) addValues(3, tile, e, scoreBytes, headSize, block, from, to, edge, scratch, o)
      else addValues(4, tile, e, scoreBytes, headSize, block, from, to, edge, scratch, o)
    }
  }
  for (let h: usize = 0; h < <usize>heads; h++) {
    const inverse = f32x4.splat(<f32>1 / load<f32>(queries + h * queryBytes(headSize)))
    const o = out + h * headBytes
    for (let i = begin; i < end; i += 16) v128.store(o + i, f32x4.mul(v128.load(o + i), inverse))
  }
}

// @ts-ignore: decorator
@inline
function quantiseQuery (q: usize, headSize: i32, block: i32, scale: f32, codes: usize, scales: usize): void {
  const c = f32x4.splat(scale)
  for (let from = 0; from < headSize; from += block) {
    let m = f32x4.splat(0)
    for (let i = from; i < from + block; i += 4) m = larger(m, f32x4.abs(f32x4.mul(v128.load(q + (<usize>i << 2)), c)))
    const amax = largestLane(m)
    let inverse: f32 = 0, t: f32 = 0
    if (!(amax < TINY)) { inverse = <f32>16383 / amax; t = amax / <f32>16383 }
    store<f32>(scales, t)
    scales += 4
    const v = f32x4.splat(inverse)
    for (let i = from; i < from + block; i += 8) {
      const x = q + (<usize>i << 2)
      v128.store(codes + (<usize>i << 1), i16x8.narrow_i32x4_s(
        round(f32x4.mul(f32x4.mul(v128.load(x), c), v)),
        round(f32x4.mul(f32x4.mul(v128.load(x, 16), c), v))))
    }
  }
}

/** Adds products of pairs of neighbours. */
// @ts-ignore: decorator
@inline
function madd (a: v128, b: v128, sums: v128): v128 {
  return i32x4.add(sums, i32x4.dot_i16x8_s(a, b))
}

/** Scores of the 32 positions of a tile for `heads` heads, 1 to 4, known when this is compiled; eight positions at a time. */
// @ts-ignore: decorator
@inline
function scoreTile (heads: i32, tile: usize, codes: usize, headSize: i32, block: i32, at: usize, scoreBytes: usize): void {
  const head = queryBytes(headSize), scales = codes + (<usize>headSize << 1)
  const blockBytes = <usize>block << 5
  for (let chunk: usize = 0; chunk < 64; chunk += 16) {
    let k = tile + chunk, q0 = codes, t = scales
    let keyScales = tile + (<usize>headSize << 5) + (chunk << 1)
    let s0 = f32x4.splat(0), s1 = s0, s2 = s0, s3 = s0, s4 = s0, s5 = s0, s6 = s0, s7 = s0
    for (let from = 0; from < headSize; from += block) {
      let a0 = i32x4.splat(0), a1 = a0, b0 = a0, b1 = a0, c0 = a0, c1 = a0, d0 = a0, d1 = a0
      for (const end = k + blockBytes; k < end; k += 256) {
        const q1 = q0 + head, q2 = q1 + head, q3 = q2 + head
        let k0 = v128.load8x8_s(k), k1 = v128.load8x8_s(k, 8), x = v128.load32_splat(q0)
        a0 = madd(k0, x, a0); a1 = madd(k1, x, a1)
        if (heads > 1) { x = v128.load32_splat(q1); b0 = madd(k0, x, b0); b1 = madd(k1, x, b1) }
        if (heads > 2) { x = v128.load32_splat(q2); c0 = madd(k0, x, c0); c1 = madd(k1, x, c1) }
        if (heads > 3) { x = v128.load32_splat(q3); d0 = madd(k0, x, d0); d1 = madd(k1, x, d1) }
        k0 = v128.load8x8_s(k, 64); k1 = v128.load8x8_s(k, 72); x = v128.load32_splat(q0, 4)
        a0 = madd(k0, x, a0); a1 = madd(k1, x, a1)
        if (heads > 1) { x = v128.load32_splat(q1, 4); b0 = madd(k0, x, b0); b1 = madd(k1, x, b1) }
        if (heads > 2) { x = v128.load32_splat(q2, 4); c0 = madd(k0, x, c0); c1 = madd(k1, x, c1) }
        if (heads > 3) { x = v128.load32_splat(q3, 4); d0 = madd(k0, x, d0); d1 = madd(k1, x, d1) }
        k0 = v128.load8x8_s(k, 128); k1 = v128.load8x8_s(k, 136); x = v128.load32_splat(q0, 8)
        a0 = madd(k0, x, a0); a1 = madd(k1, x, a1)
        if (heads > 1) { x = v128.load32_splat(q1, 8); b0 = madd(k0, x, b0); b1 = madd(k1, x, b1) }
        if (heads > 2) { x = v128.load32_splat(q2, 8); c0 = madd(k0, x, c0); c1 = madd(k1, x, c1) }
        if (heads > 3) { x = v128.load32_splat(q3, 8); d0 = madd(k0, x, d0); d1 = madd(k1, x, d1) }
        k0 = v128.load8x8_s(k, 192); k1 = v128.load8x8_s(k, 200); x = v128.load32_splat(q0, 12)
        a0 = madd(k0, x, a0); a1 = madd(k1, x, a1)
        if (heads > 1) { x = v128.load32_splat(q1, 12); b0 = madd(k0, x, b0); b1 = madd(k1, x, b1) }
        if (heads > 2) { x = v128.load32_splat(q2, 12); c0 = madd(k0, x, c0); c1 = madd(k1, x, c1) }
        if (heads > 3) { x = v128.load32_splat(q3, 12); d0 = madd(k0, x, d0); d1 = madd(k1, x, d1) }
        q0 += 16
      }
      const v0 = v128.load(keyScales), v1 = v128.load(keyScales, 16)
      s0 = scaled(a0, t, v0, s0); s1 = scaled(a1, t, v1, s1)
      if (heads > 1) { s2 = scaled(b0, t + head, v0, s2); s3 = scaled(b1, t + head, v1, s3) }
      if (heads > 2) { s4 = scaled(c0, t + 2 * head, v0, s4); s5 = scaled(c1, t + 2 * head, v1, s5) }
      if (heads > 3) { s6 = scaled(d0, t + 3 * head, v0, s6); s7 = scaled(d1, t + 3 * head, v1, s7) }
      t += 4
      keyScales += 128
    }
    const o = at + (chunk << 1)
    v128.store(o, s0); v128.store(o, s1, 16)
    if (heads > 1) { v128.store(o + scoreBytes, s2); v128.store(o + scoreBytes, s3, 16) }
    if (heads > 2) { v128.store(o + 2 * scoreBytes, s4); v128.store(o + 2 * scoreBytes, s5, 16) }
    if (heads > 3) { v128.store(o + 3 * scoreBytes, s6); v128.store(o + 3 * scoreBytes, s7, 16) }
  }
}

/** before + float(sums) × (t × key scales) */
// @ts-ignore: decorator
@inline
function scaled (sums: v128, t: usize, keyScales: v128, before: v128): v128 {
  return f32x4.add(before, f32x4.mul(f32x4.convert_i32x4_s(sums), f32x4.mul(v128.load32_splat(t), keyScales)))
}

/** Scores of positions outside [first, last] become -Infinity, whatever the tile held there. */
// @ts-ignore: decorator
@inline
function hide (at: usize, tilePosition: i32, first: i32, last: i32): void {
  for (let i = 0; i < 32; i++) {
    const j = tilePosition + i
    if (j < first || j > last) store<f32>(at + (<usize>i << 2), -Infinity)
  }
}

/**
 * out += weights · values over the 32 positions of a tile, elements [first, end), for `heads` heads, 1 to 4, known when this is
 * compiled; `e` holds their exponentials. Where `edge`, some positions may never have been written: their weight is +0
 * whatever the tile holds there. A block of weights that are all tiny has codes and a scale of 0 and adds +0, which
 * changes nothing: sums that begin at +0 are never −0.
 */
// @ts-ignore: decorator
@inline
function addValues (heads: i32, tile: usize, e: usize, scoreBytes: usize, headSize: i32, block: i32, first: i32, end: i32, edge: bool, scratch: usize, out: usize): void {
  const codes = scratch + 128, scales = scratch + 384
  const headBytes = <usize>headSize << 2
  let valueScales = tile + (<usize>headSize << 5) + (<usize>(first / block) << 7)
  for (let from = first; from < end; from += block) {
    for (let h: usize = 0; h < <usize>heads; h++) quantiseWeights(e + h * scoreBytes, valueScales, edge, scratch, codes + (h << 6), scales + (h << 2))
    for (let d = from; d < from + block; d += 8) {
      let a0 = i32x4.splat(0), a1 = a0, b0 = a0, b1 = a0, c0 = a0, c1 = a0, d0 = a0, d1 = a0
      let v = tile + (<usize>(d >> 4) << 9) + (<usize>(d & 8) << 1), c = codes
      for (const stop = c + 64; c < stop; c += 16) {
        let v0 = v128.load8x8_s(v), v1 = v128.load8x8_s(v, 8), x = v128.load32_splat(c)
        a0 = madd(v0, x, a0); a1 = madd(v1, x, a1)
        if (heads > 1) { x = v128.load32_splat(c, 64); b0 = madd(v0, x, b0); b1 = madd(v1, x, b1) }
        if (heads > 2) { x = v128.load32_splat(c, 128); c0 = madd(v0, x, c0); c1 = madd(v1, x, c1) }
        if (heads > 3) { x = v128.load32_splat(c, 192); d0 = madd(v0, x, d0); d1 = madd(v1, x, d1) }
        v0 = v128.load8x8_s(v, 32); v1 = v128.load8x8_s(v, 40); x = v128.load32_splat(c, 4)
        a0 = madd(v0, x, a0); a1 = madd(v1, x, a1)
        if (heads > 1) { x = v128.load32_splat(c, 68); b0 = madd(v0, x, b0); b1 = madd(v1, x, b1) }
        if (heads > 2) { x = v128.load32_splat(c, 132); c0 = madd(v0, x, c0); c1 = madd(v1, x, c1) }
        if (heads > 3) { x = v128.load32_splat(c, 196); d0 = madd(v0, x, d0); d1 = madd(v1, x, d1) }
        v0 = v128.load8x8_s(v, 64); v1 = v128.load8x8_s(v, 72); x = v128.load32_splat(c, 8)
        a0 = madd(v0, x, a0); a1 = madd(v1, x, a1)
        if (heads > 1) { x = v128.load32_splat(c, 72); b0 = madd(v0, x, b0); b1 = madd(v1, x, b1) }
        if (heads > 2) { x = v128.load32_splat(c, 136); c0 = madd(v0, x, c0); c1 = madd(v1, x, c1) }
        if (heads > 3) { x = v128.load32_splat(c, 200); d0 = madd(v0, x, d0); d1 = madd(v1, x, d1) }
        v0 = v128.load8x8_s(v, 96); v1 = v128.load8x8_s(v, 104); x = v128.load32_splat(c, 12)
        a0 = madd(v0, x, a0); a1 = madd(v1, x, a1)
        if (heads > 1) { x = v128.load32_splat(c, 76); b0 = madd(v0, x, b0); b1 = madd(v1, x, b1) }
        if (heads > 2) { x = v128.load32_splat(c, 140); c0 = madd(v0, x, c0); c1 = madd(v1, x, c1) }
        if (heads > 3) { x = v128.load32_splat(c, 204); d0 = madd(v0, x, d0); d1 = madd(v1, x, d1) }
        v += 128
      }
      const o = out + (<usize>d << 2)
      add(o, a0, a1, scales)
      if (heads > 1) add(o + headBytes, b0, b1, scales + 4)
      if (heads > 2) add(o + 2 * headBytes, c0, c1, scales + 8)
      if (heads > 3) add(o + 3 * headBytes, d0, d1, scales + 12)
    }
    valueScales += 128
  }
}

/** Eight elements of a head's output. */
// @ts-ignore: decorator
@inline
function add (o: usize, low: v128, high: v128, scale: usize): void {
  const r = v128.load32_splat(scale)
  v128.store(o, f32x4.add(v128.load(o), f32x4.mul(f32x4.convert_i32x4_s(low), r)))
  v128.store(o, f32x4.add(v128.load(o, 16), f32x4.mul(f32x4.convert_i32x4_s(high), r)), 16)
}

/** Weights e × value scales of 32 positions as one block of 15-bit codes and its scale. */
// @ts-ignore: decorator
@inline
function quantiseWeights (e: usize, valueScales: usize, edge: bool, weights: usize, codes: usize, scale: usize): void {
  const zero = f32x4.splat(0)
  let m = zero
  for (let g: usize = 0; g < 128; g += 16) {
    const v = v128.load(e + g)
    let w = f32x4.mul(v, v128.load(valueScales + g))
    if (edge) w = v128.andnot(w, f32x4.eq(v, zero))
    v128.store(weights + g, w)
    m = larger(m, w)
  }
  const amax = largestLane(m)
  if (amax < TINY) {
    for (let g: usize = 0; g < 64; g += 16) v128.store(codes + g, zero)
    store<f32>(scale, 0)
    return
  }
  store<f32>(scale, amax / <f32>16383)
  const inverse = f32x4.splat(<f32>16383 / amax)
  for (let g: usize = 0; g < 128; g += 32) {
    v128.store(codes + (g >> 1), i16x8.narrow_i32x4_s(
      roundSmall(f32x4.mul(v128.load(weights + g), inverse)),
      roundSmall(f32x4.mul(v128.load(weights + g, 16), inverse))))
  }
}
