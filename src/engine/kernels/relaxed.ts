// Kernels for engines with relaxed SIMD: both relaxed dot products, and everything that needs none.
// A product is named by its kind of matrix and the width of its sums.

import { product } from './matmul'

export { rmsNorm, quantise, rotate, swiGlu, addInto, isFinite, expSum } from './elementwise'
export { storeKeyValue, prepareQueries, scoreTiles, exponentials, combineValues } from './attention'
export { barrier } from './barrier'
export { dequantiseSymmetric4, dequantiseAffine4, dequantiseSymmetric8, dequantiseAffine8 } from './dequantise'

export function symmetric4i32 (w: usize, a: usize, at: usize, sum: usize, scaled: usize, y: usize, from: i32, to: i32, blocks: i32, tokens: i32, rows: i32, zeroShift: i32): void {
  product<i32, u8, i32>(w, a, at, sum, scaled, y, from, to, blocks, tokens, rows, zeroShift)
}

export function affine4i32 (w: usize, a: usize, at: usize, sum: usize, scaled: usize, y: usize, from: i32, to: i32, blocks: i32, tokens: i32, rows: i32, zeroShift: i32): void {
  product<i32, u8, f32>(w, a, at, sum, scaled, y, from, to, blocks, tokens, rows, zeroShift)
}

export function symmetric8i32 (w: usize, a: usize, at: usize, sum: usize, scaled: usize, y: usize, from: i32, to: i32, blocks: i32, tokens: i32, rows: i32, zeroShift: i32): void {
  product<i32, u16, i32>(w, a, at, sum, scaled, y, from, to, blocks, tokens, rows, zeroShift)
}

export function affine8i32 (w: usize, a: usize, at: usize, sum: usize, scaled: usize, y: usize, from: i32, to: i32, blocks: i32, tokens: i32, rows: i32, zeroShift: i32): void {
  product<i32, u16, f32>(w, a, at, sum, scaled, y, from, to, blocks, tokens, rows, zeroShift)
}

export function symmetric4i16 (w: usize, a: usize, at: usize, sum: usize, scaled: usize, y: usize, from: i32, to: i32, blocks: i32, tokens: i32, rows: i32, zeroShift: i32): void {
  product<i16, u8, i32>(w, a, at, sum, scaled, y, from, to, blocks, tokens, rows, zeroShift)
}

export function affine4i16 (w: usize, a: usize, at: usize, sum: usize, scaled: usize, y: usize, from: i32, to: i32, blocks: i32, tokens: i32, rows: i32, zeroShift: i32): void {
  product<i16, u8, f32>(w, a, at, sum, scaled, y, from, to, blocks, tokens, rows, zeroShift)
}

export function symmetric8i16 (w: usize, a: usize, at: usize, sum: usize, scaled: usize, y: usize, from: i32, to: i32, blocks: i32, tokens: i32, rows: i32, zeroShift: i32): void {
  product<i16, u16, i32>(w, a, at, sum, scaled, y, from, to, blocks, tokens, rows, zeroShift)
}

export function affine8i16 (w: usize, a: usize, at: usize, sum: usize, scaled: usize, y: usize, from: i32, to: i32, blocks: i32, tokens: i32, rows: i32, zeroShift: i32): void {
  product<i16, u16, f32>(w, a, at, sum, scaled, y, from, to, blocks, tokens, rows, zeroShift)
}
