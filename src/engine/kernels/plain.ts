// Kernels for engines without relaxed SIMD. Same bits, fewer instructions to choose from.

import { product4 } from './product4'
import { product8Wide } from './product8-wide'

export { rmsNorm, quantise, rotate, swiGlu, addInto, isFinite, largestOfSixteen, expSum } from './elementwise'
export { storeKeyValue, prepareQueries, scoreTiles, exponentials, combineValues } from './attention'
export { quantiseRanks, addLowRank } from './low-rank'
export { barrier, arrive, awaitAll } from './barrier'
export { dequantiseSymmetric4, dequantiseAffine4, dequantiseSymmetric8, dequantiseAffine8 } from './dequantise'

export function symmetric4plain (w: usize, a: usize, t: usize, sum: usize, S: usize, y: usize, from: i32, to: i32, blocks: i32, tokens: i32, rows: i32, streams: i32, zeroShift: i32, nibble: i32): void {
  product4<i8, i32>(w, a, t, sum, S, y, from, to, blocks, tokens, rows, streams, zeroShift, nibble)
}

export function affine4plain (w: usize, a: usize, t: usize, sum: usize, S: usize, y: usize, from: i32, to: i32, blocks: i32, tokens: i32, rows: i32, streams: i32, zeroShift: i32, nibble: i32): void {
  product4<i8, f32>(w, a, t, sum, S, y, from, to, blocks, tokens, rows, streams, zeroShift, nibble)
}

export function symmetric8plain (w: usize, a: usize, t: usize, unused: usize, S: usize, y: usize, from: i32, to: i32, blocks: i32, tokens: i32, rows: i32, streams: i32): void {
  product8Wide<i32>(w, a, t, S, y, from, to, blocks, tokens, rows, streams)
}

export function affine8plain (w: usize, a: usize, t: usize, unused: usize, S: usize, y: usize, from: i32, to: i32, blocks: i32, tokens: i32, rows: i32, streams: i32): void {
  product8Wide<f32>(w, a, t, S, y, from, to, blocks, tokens, rows, streams)
}
