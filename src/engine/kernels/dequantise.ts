// Rows of a matrix as floats, for embeddings. Layouts as in product4.ts and product8.ts.

import { recordBytes4 } from './product4'
import { recordBytes8 } from './product8'

// @ts-ignore: decorator
@inline
function value<A> (code: i32, scales: usize): f32 {
  const product: f32 = <f32>code * load<f32>(scales)
  if (isFloat<A>()) return product + load<f32>(scales, 16)
  return product
}

// @ts-ignore: decorator
@inline
function dequantise4<A> (w: usize, y: usize, row: i32, blocks: i32, zeroShift: i32): void {
  const r = <usize>(row & 3) << 2
  const zero = isFloat<A>() ? 0 : 1 << zeroShift
  let at = w + <usize>(row >> 2) * <usize>blocks * recordBytes4<A>()
  for (let b = 0; b < blocks; b++) {
    for (let column: usize = 0; column < 32; column++) {
      const code = (<i32>load<u8>(at + ((column >> 3) << 4) + r + (column & 3)) >> <i32>(column & 4)) & 15
      store<f32>(y + (column << 2), value<A>(code - zero, at + 64 + r))
    }
    at += recordBytes4<A>(); y += 128
  }
}

// @ts-ignore: decorator
@inline
function dequantise8<A> (w: usize, y: usize, row: i32, blocks: i32): void {
  const r = <usize>(row & 3) << 2
  let at = w + <usize>(row >> 2) * <usize>blocks * recordBytes8<A>()
  for (let b = 0; b < blocks; b++) {
    for (let column: usize = 0; column < 32; column++) {
      const code = <i32>load<i8>(at + ((column >> 2) << 4) + r + (column & 3))
      store<f32>(y + (column << 2), value<A>(code, at + 128 + r))
    }
    at += recordBytes8<A>(); y += 128
  }
}

export function dequantiseSymmetric4 (w: usize, y: usize, row: i32, blocks: i32, zeroShift: i32): void {
  dequantise4<i32>(w, y, row, blocks, zeroShift)
}

export function dequantiseAffine4 (w: usize, y: usize, row: i32, blocks: i32, zeroShift: i32): void {
  dequantise4<f32>(w, y, row, blocks, zeroShift)
}

export function dequantiseSymmetric8 (w: usize, y: usize, row: i32, blocks: i32): void {
  dequantise8<i32>(w, y, row, blocks)
}

export function dequantiseAffine8 (w: usize, y: usize, row: i32, blocks: i32): void {
  dequantise8<f32>(w, y, row, blocks)
}
