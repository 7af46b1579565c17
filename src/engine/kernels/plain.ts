// Kernels for engines without relaxed SIMD. Same bits, fewer instructions to choose from.

import { product } from './matmul'

export { rmsNorm, quantise, rotate, swiGlu, addInto, isFinite, expSum } from './elementwise'
export { storeKeyValue, prepareQueries, scoreTiles, exponentials, combineValues } from './attention'
export { barrier } from './barrier'
export { dequantiseSymmetric4, dequantiseAffine4, dequantiseSymmetric8, dequantiseAffine8 } from './dequantise'

export function symmetric4plain (w: usize, a: usize, at: usize, sum: usize, scaled: usize, y: usize, from: i32, to: i32, blocks: i32, tokens: i32, rows: i32, zeroShift: i32): void {
  product<i8, u8, i32>(w, a, at, sum, scaled, y, from, to, blocks, tokens, rows, zeroShift)
}

export function affine4plain (w: usize, a: usize, at: usize, sum: usize, scaled: usize, y: usize, from: i32, to: i32, blocks: i32, tokens: i32, rows: i32, zeroShift: i32): void {
  product<i8, u8, f32>(w, a, at, sum, scaled, y, from, to, blocks, tokens, rows, zeroShift)
}

export function symmetric8plain (w: usize, a: usize, at: usize, sum: usize, scaled: usize, y: usize, from: i32, to: i32, blocks: i32, tokens: i32, rows: i32, zeroShift: i32): void {
  product<i8, u16, i32>(w, a, at, sum, scaled, y, from, to, blocks, tokens, rows, zeroShift)
}

export function affine8plain (w: usize, a: usize, at: usize, sum: usize, scaled: usize, y: usize, from: i32, to: i32, blocks: i32, tokens: i32, rows: i32, zeroShift: i32): void {
  product<i8, u16, f32>(w, a, at, sum, scaled, y, from, to, blocks, tokens, rows, zeroShift)
}
