// Kernels for engines with relaxed SIMD: both relaxed dot products, and everything that needs none.
// A product is named by its kind of matrix and, where there is a choice, by the width of its sums.

import { product4 } from './product4'
import { product8 } from './product8'
import { product8Wide } from './product8-wide'

export { rmsNorm, quantise, rotate, swiGlu, addInto, isFinite, largestOfSixteen, expSum } from './elementwise'
export { storeKeyValue, prepareQueries, scoreTiles, exponentials, combineValues } from './attention'
export { quantiseRanks, addLowRank } from './low-rank'
export { barrier, arrive, awaitAll } from './barrier'
export { dequantiseSymmetric4, dequantiseAffine4, dequantiseSymmetric8, dequantiseAffine8 } from './dequantise'

export function symmetric4i32 (w: usize, a: usize, t: usize, sum: usize, S: usize, y: usize, from: i32, to: i32, blocks: i32, tokens: i32, rows: i32, streams: i32, zeroShift: i32, nibble: i32): void {
  product4<i32, i32>(w, a, t, sum, S, y, from, to, blocks, tokens, rows, streams, zeroShift, nibble)
}

export function affine4i32 (w: usize, a: usize, t: usize, sum: usize, S: usize, y: usize, from: i32, to: i32, blocks: i32, tokens: i32, rows: i32, streams: i32, zeroShift: i32, nibble: i32): void {
  product4<i32, f32>(w, a, t, sum, S, y, from, to, blocks, tokens, rows, streams, zeroShift, nibble)
}

export function symmetric4i16 (w: usize, a: usize, t: usize, sum: usize, S: usize, y: usize, from: i32, to: i32, blocks: i32, tokens: i32, rows: i32, streams: i32, zeroShift: i32, nibble: i32): void {
  product4<i16, i32>(w, a, t, sum, S, y, from, to, blocks, tokens, rows, streams, zeroShift, nibble)
}

export function affine4i16 (w: usize, a: usize, t: usize, sum: usize, S: usize, y: usize, from: i32, to: i32, blocks: i32, tokens: i32, rows: i32, streams: i32, zeroShift: i32, nibble: i32): void {
  product4<i16, f32>(w, a, t, sum, S, y, from, to, blocks, tokens, rows, streams, zeroShift, nibble)
}

export function symmetric8i32 (w: usize, positive: usize, t: usize, negative: usize, S: usize, y: usize, from: i32, to: i32, blocks: i32, tokens: i32, rows: i32, streams: i32): void {
  product8<i32>(w, positive, negative, t, S, y, from, to, blocks, tokens, rows, streams)
}

export function affine8i32 (w: usize, positive: usize, t: usize, negative: usize, S: usize, y: usize, from: i32, to: i32, blocks: i32, tokens: i32, rows: i32, streams: i32): void {
  product8<f32>(w, positive, negative, t, S, y, from, to, blocks, tokens, rows, streams)
}

export function symmetric8i16 (w: usize, a: usize, t: usize, unused: usize, S: usize, y: usize, from: i32, to: i32, blocks: i32, tokens: i32, rows: i32, streams: i32): void {
  product8Wide<i32>(w, a, t, S, y, from, to, blocks, tokens, rows, streams)
}

export function affine8i16 (w: usize, a: usize, t: usize, unused: usize, S: usize, y: usize, from: i32, to: i32, blocks: i32, tokens: i32, rows: i32, streams: i32): void {
  product8Wide<f32>(w, a, t, S, y, from, to, blocks, tokens, rows, streams)
}
