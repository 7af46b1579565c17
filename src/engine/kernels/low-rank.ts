// Low-rank corrections, y = y + L·z with z = R·x: docs/numerics.md, section 10. R·x is a product of 8 bits (product8.ts).
//
// L: rows in groups of four. A group is one stream of records, one for each block of 8 ranks: 32 bytes of codes, then the
// upper halves of four float32 scales, which are powers of two and have nothing in their lower halves. Chunk j of 8 bytes
// holds in bytes 2r and 2r + 1 the codes of row r, ranks 2j and 2j + 1.
// z: codes (i16) [token][rank], scales (f32) [token][block].
//
// Products of 16 bits with sums of 32 are exact without any relaxed instruction, and take as many instructions as two
// relaxed products of bytes, one for each sign, would: so z may have 15 bits.

import { largestLane, larger, round } from './elementwise'

/** Bytes of a record. */
// @ts-ignore: decorator
@inline
const RECORD: usize = 40

/** 2^-100, as in elementwise.ts. */
// @ts-ignore: decorator
@inline
const TINY: f32 = reinterpret<f32>(0x0d800000)

/**
 * Blocks of 8 floats to signed 15-bit codes and scales, for `tokens` tokens: `z` and `codes` are `stride` elements from one
 * token to the next, `scales` an eighth of that. Sections 2 and 10.
 */
export function quantiseRanks (z: usize, codes: usize, scales: usize, blocks: i32, tokens: i32, stride: i32): void {
  for (let token = 0; token < tokens; token++) {
    for (let b: usize = 0; b < <usize>blocks; b++) {
      const v0 = v128.load(z + (b << 5)), v1 = v128.load(z + (b << 5), 16)
      const amax = largestLane(larger(f32x4.abs(v0), f32x4.abs(v1)))
      let inverse: f32 = 0, scale: f32 = 0
      if (!(amax < TINY)) { inverse = <f32>16383 / amax; scale = amax / <f32>16383 }
      const v = f32x4.splat(inverse)
      v128.store(codes + (b << 4), i16x8.narrow_i32x4_s(round(f32x4.mul(v0, v)), round(f32x4.mul(v1, v))))
      store<f32>(scales + (b << 2), scale)
    }
    z += <usize>stride << 2; codes += <usize>stride << 1; scales += <usize>stride >> 1
  }
}

/** Two ranks of four rows. */
// @ts-ignore: decorator
@inline
function pair (w: usize, z: v128): v128 {
  return i32x4.dot_i16x8_s(v128.load8x8_s(w), z)
}

/** The sum of a block of four rows, with its scales. */
// @ts-ignore: decorator
@inline
function block (w: usize, z0: v128, z1: v128, z2: v128, z3: v128, t: v128): v128 {
  const sums = i32x4.add(i32x4.add(pair(w, z0), pair(w + 8, z1)), i32x4.add(pair(w + 16, z2), pair(w + 24, z3)))
  return f32x4.mul(f32x4.convert_i32x4_s(sums), f32x4.mul(i32x4.shl(v128.load16x4_u(w + 32), 16), t))
}

/** One token, rows [from, to) in fours of groups. */
// @ts-ignore: decorator
@inline
function addVector (w: usize, codes: usize, scales: usize, y: usize, from: i32, to: i32, blocks: i32): void {
  const group = <usize>blocks * RECORD
  let w0 = w + <usize>(from >> 2) * group
  let yp = y + (<usize>from << 2)
  for (let n = from; n < to; n += 16) {
    let w1 = w0 + group, w2 = w1 + group, w3 = w2 + group
    const next = w3 + group
    let f0 = v128.load(yp), f1 = v128.load(yp, 16), f2 = v128.load(yp, 32), f3 = v128.load(yp, 48)
    let c = codes, s = scales
    for (let b = 0; b < blocks; b++) {
      const z0 = v128.load32_splat(c), z1 = v128.load32_splat(c, 4), z2 = v128.load32_splat(c, 8), z3 = v128.load32_splat(c, 12)
      const t = v128.load32_splat(s)
      f0 = f32x4.add(f0, block(w0, z0, z1, z2, z3, t))
      f1 = f32x4.add(f1, block(w1, z0, z1, z2, z3, t))
      f2 = f32x4.add(f2, block(w2, z0, z1, z2, z3, t))
      f3 = f32x4.add(f3, block(w3, z0, z1, z2, z3, t))
      w0 += RECORD; w1 += RECORD; w2 += RECORD; w3 += RECORD
      c += 16; s += 4
    }
    v128.store(yp, f0); v128.store(yp, f1, 16); v128.store(yp, f2, 32); v128.store(yp, f3, 48)
    w0 = next
    yp += 64
  }
}

/** Tokens in pairs, which share what is unpacked of a group. */
// @ts-ignore: decorator
@inline
function addTile (w: usize, codes: usize, scales: usize, y: usize, from: i32, to: i32, blocks: i32, tokens: i32, rows: usize, stride: usize): void {
  const group = <usize>blocks * RECORD
  for (let n = from; n < to; n += 8) {
    const w0 = w + <usize>(n >> 2) * group
    for (let token = 0; token < tokens; token += 2) {
      const yp = y + <usize>token * rows + (<usize>n << 2)
      let f0 = v128.load(yp), f1 = v128.load(yp, 16), g0 = v128.load(yp + rows), g1 = v128.load(yp + rows, 16)
      let p = w0, c = codes + (<usize>token * stride << 1), s = scales + (<usize>token * stride >> 1)
      for (let b = 0; b < blocks; b++) {
        const q = p + group, e = c + (stride << 1)
        let z = v128.load32_splat(c), x = v128.load32_splat(e)
        let u = v128.load8x8_s(p), v = v128.load8x8_s(q)
        let d0 = i32x4.dot_i16x8_s(u, z), d1 = i32x4.dot_i16x8_s(v, z), e0 = i32x4.dot_i16x8_s(u, x), e1 = i32x4.dot_i16x8_s(v, x)
        for (let j: usize = 8; j < 32; j += 8) {
          z = v128.load32_splat(c + (j >> 1)); x = v128.load32_splat(e + (j >> 1))
          u = v128.load8x8_s(p + j); v = v128.load8x8_s(q + j)
          d0 = i32x4.add(d0, i32x4.dot_i16x8_s(u, z)); d1 = i32x4.add(d1, i32x4.dot_i16x8_s(v, z))
          e0 = i32x4.add(e0, i32x4.dot_i16x8_s(u, x)); e1 = i32x4.add(e1, i32x4.dot_i16x8_s(v, x))
        }
        const t = v128.load32_splat(s), r = v128.load32_splat(s + (stride >> 1))
        const s0 = i32x4.shl(v128.load16x4_u(p, 32), 16), s1 = i32x4.shl(v128.load16x4_u(q, 32), 16)
        f0 = f32x4.add(f0, f32x4.mul(f32x4.convert_i32x4_s(d0), f32x4.mul(s0, t)))
        f1 = f32x4.add(f1, f32x4.mul(f32x4.convert_i32x4_s(d1), f32x4.mul(s1, t)))
        g0 = f32x4.add(g0, f32x4.mul(f32x4.convert_i32x4_s(e0), f32x4.mul(s0, r)))
        g1 = f32x4.add(g1, f32x4.mul(f32x4.convert_i32x4_s(e1), f32x4.mul(s1, r)))
        p += RECORD; c += 16; s += 4
      }
      v128.store(yp, f0); v128.store(yp, f1, 16); v128.store(yp + rows, g0); v128.store(yp + rows, g1, 16)
    }
  }
}

/**
 * Adds L·z to the rows [from, to) of `y` for `tokens` tokens. `from` is a multiple of 16; rows up to the next one from `to` are
 * written too. `rows`: from one token of `y` to the next; `stride`: of z, in elements.
 */
export function addLowRank (w: usize, codes: usize, scales: usize, y: usize, from: i32, to: i32, blocks: i32, tokens: i32, rows: i32, stride: i32): void {
  const tiled = tokens & ~1
  const end = (to + 15) & ~15
  if (tiled > 0) addTile(w, codes, scales, y, from, end, blocks, tiled, <usize>rows << 2, <usize>stride)
  if (tiled < tokens) {
    const at = <usize>tiled * <usize>stride
    addVector(w, codes + (at << 1), scales + (at >> 1), y + (<usize>tiled * <usize>rows << 2), from, end, blocks)
  }
}
