// The KV cache and attention of docs/numerics.md, sections 5 (step 4) and 7.
//
// A tile holds 32 positions of the keys, or of the values, of one KV head: signed bytes, then float32 scales.
//   key tile     [headSize/2 pairs of elements][32 positions][2]             scales [headSize/block][32 positions]
//   value tile   [headSize/16][16 pairs of positions][16 elements][2]        scales [headSize/block][32 positions]
// so that both products run over pairs, which i32x4.dot_i16x8_s multiplies and adds, four sums at a time, in the order
// of the bytes. Key tiles of consecutive positions follow one another as far as a page goes, and so do value tiles.

import { addLanes, larger, largestLane, round, roundSmall } from './elementwise'
import { exp } from './exp'

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
    for (let h: usize = 0; h < <usize>heads; h++) {
      const codes = queries + h * queryBytes(headSize), at = scores + h * scoreBytes + (<usize>t << 7)
      scoreTile(tile, codes, codes + (<usize>headSize << 1), headSize, block, at)
      if (t << 5 < first || (t << 5) + 31 > position) hide(at, t << 5, first, position)
    }
  }
}

/** Scores of head `h` become exp(score − maximum); their sum takes the place of its query. */
export function exponentials (queries: usize, h: i32, headSize: i32, firstTile: i32, lastTile: i32, scores: usize, scoreBytes: usize): void {
  const from = scores + <usize>h * scoreBytes + (<usize>firstTile << 7), end = from + (<usize>(lastTile - firstTile + 1) << 7)
  let maximum = f32x4.splat(-Infinity)
  // this form of maximum passes over NaN, whose exponential is NaN all the same
  for (let p = from; p < end; p += 16) maximum = f32x4.pmax(maximum, v128.load(p))
  const a = f32x4.pmax(maximum, v128.shuffle<i32>(maximum, maximum, 2, 3, 0, 1))
  const M = f32x4.splat(f32x4.extract_lane(f32x4.pmax(a, v128.shuffle<i32>(a, a, 1, 0, 3, 2)), 0))
  let L = f32x4.splat(0)
  for (let p = from; p < end; p += 16) {
    const e = exp(f32x4.sub(v128.load(p), M))
    v128.store(p, e)
    L = f32x4.add(L, e)
  }
  store<f32>(queries + <usize>h * queryBytes(headSize), addLanes(L))
}

/**
 * Weighted values of the elements [from, to) of a head, whole blocks, for all heads of the group.
 * @param scratch 256 bytes: attention weights and their codes
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
    for (let h: usize = 0; h < <usize>heads; h++) {
      addValues(tile, scores + h * scoreBytes + (<usize>t << 7), headSize, block, from, to, edge, scratch, out + h * headBytes)
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

/** Scores of the 32 positions of a tile. */
// @ts-ignore: decorator
@inline
function scoreTile (tile: usize, codes: usize, scales: usize, headSize: i32, block: i32, at: usize): void {
  let keyScales = tile + (<usize>headSize << 5)
  let k = tile
  for (let from = 0; from < headSize; from += block) {
    let a0 = i32x4.splat(0), a1 = a0, a2 = a0, a3 = a0, a4 = a0, a5 = a0, a6 = a0, a7 = a0
    const end = k + (<usize>block << 5)
    for (; k < end; k += 64) {
      const x = v128.load32_splat(codes)
      a0 = i32x4.add(a0, i32x4.dot_i16x8_s(v128.load8x8_s(k), x))
      a1 = i32x4.add(a1, i32x4.dot_i16x8_s(v128.load8x8_s(k, 8), x))
      a2 = i32x4.add(a2, i32x4.dot_i16x8_s(v128.load8x8_s(k, 16), x))
      a3 = i32x4.add(a3, i32x4.dot_i16x8_s(v128.load8x8_s(k, 24), x))
      a4 = i32x4.add(a4, i32x4.dot_i16x8_s(v128.load8x8_s(k, 32), x))
      a5 = i32x4.add(a5, i32x4.dot_i16x8_s(v128.load8x8_s(k, 40), x))
      a6 = i32x4.add(a6, i32x4.dot_i16x8_s(v128.load8x8_s(k, 48), x))
      a7 = i32x4.add(a7, i32x4.dot_i16x8_s(v128.load8x8_s(k, 56), x))
      codes += 4
    }
    const t = v128.load32_splat(scales)
    const start = from == 0
    scaleScores(at, a0, t, keyScales, start); scaleScores(at + 16, a1, t, keyScales + 16, start)
    scaleScores(at + 32, a2, t, keyScales + 32, start); scaleScores(at + 48, a3, t, keyScales + 48, start)
    scaleScores(at + 64, a4, t, keyScales + 64, start); scaleScores(at + 80, a5, t, keyScales + 80, start)
    scaleScores(at + 96, a6, t, keyScales + 96, start); scaleScores(at + 112, a7, t, keyScales + 112, start)
    scales += 4
    keyScales += 128
  }
}

// @ts-ignore: decorator
@inline
function scaleScores (at: usize, sums: v128, t: v128, keyScales: usize, start: bool): void {
  const before = start ? f32x4.splat(0) : v128.load(at)
  v128.store(at, f32x4.add(before, f32x4.mul(f32x4.convert_i32x4_s(sums), f32x4.mul(t, v128.load(keyScales)))))
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
 * out += weights · values over the 32 positions of a tile, elements [first, end); `e` holds their exponentials. Where `edge`, some positions
 * may never have been written: their weight is +0 whatever the tile holds there.
 */
// @ts-ignore: decorator
@inline
function addValues (tile: usize, e: usize, headSize: i32, block: i32, first: i32, end: i32, edge: bool, scratch: usize, out: usize): void {
  const codes = scratch + 128
  let valueScales = tile + (<usize>headSize << 5) + (<usize>(first / block) << 7)
  const zero = f32x4.splat(0)
  for (let from = first; from < end; from += block) {
    let m = zero
    for (let g: usize = 0; g < 128; g += 16) {
      const v = v128.load(e + g)
      let w = f32x4.mul(v, v128.load(valueScales + g))
      if (edge) w = v128.andnot(w, f32x4.eq(v, zero))
      v128.store(scratch + g, w)
      m = larger(m, w)
    }
    const amax = largestLane(m)
    if (!(amax < TINY)) {
      const inverse = f32x4.splat(<f32>16383 / amax), r = f32x4.splat(amax / <f32>16383)
      for (let g: usize = 0; g < 128; g += 32) {
        v128.store(codes + (g >> 1), i16x8.narrow_i32x4_s(
          roundSmall(f32x4.mul(v128.load(scratch + g), inverse)),
          roundSmall(f32x4.mul(v128.load(scratch + g, 16), inverse))))
      }
      for (let d = from; d < from + block; d += 16) {
        let a0 = i32x4.splat(0), a1 = a0, a2 = a0, a3 = a0
        let v = tile + (<usize>d << 5)
        for (let pair: usize = 0; pair < 64; pair += 4) {
          const x = v128.load32_splat(codes + pair)
          a0 = i32x4.add(a0, i32x4.dot_i16x8_s(v128.load8x8_s(v), x))
          a1 = i32x4.add(a1, i32x4.dot_i16x8_s(v128.load8x8_s(v, 8), x))
          a2 = i32x4.add(a2, i32x4.dot_i16x8_s(v128.load8x8_s(v, 16), x))
          a3 = i32x4.add(a3, i32x4.dot_i16x8_s(v128.load8x8_s(v, 24), x))
          v += 32
        }
        const o = out + (<usize>d << 2)
        v128.store(o, f32x4.add(v128.load(o), f32x4.mul(f32x4.convert_i32x4_s(a0), r)))
        v128.store(o, f32x4.add(v128.load(o, 16), f32x4.mul(f32x4.convert_i32x4_s(a1), r)), 16)
        v128.store(o, f32x4.add(v128.load(o, 32), f32x4.mul(f32x4.convert_i32x4_s(a2), r)), 32)
        v128.store(o, f32x4.add(v128.load(o, 48), f32x4.mul(f32x4.convert_i32x4_s(a3), r)), 48)
      }
    }
    valueScales += 128
  }
}
