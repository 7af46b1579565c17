// Rows of a matrix as floats, for embeddings. Layout as in matmul.ts.

import { recordBytes } from './matmul'

// @ts-ignore: decorator
@inline
function dequantise<P, A> (w: usize, y: usize, row: i32, blocks: i32, zeroShift: i32): void {
  const record = recordBytes<P, A>()
  const r = <usize>(row & 3) << 2
  const scales = <usize>(64 * sizeof<P>()) + r
  const zero = isFloat<A>() ? 0 : 1 << zeroShift
  let at = w + <usize>(row >> 2) * <usize>blocks * record
  for (let b = 0; b < blocks; b++) {
    const scale = load<f32>(at + scales)
    for (let column: usize = 0; column < 32; column++) {
      const pair = at + ((column >> 3) << 4) + r + (column & 3)
      const shift = <i32>(column & 4)
      let code = (<i32>load<u8>(pair) >> shift) & 15
      if (sizeof<P>() == 2) code |= ((<i32>load<u8>(pair, 64) >> shift) & 15) << 4
      let value: f32 = <f32>(code - zero) * scale
      if (isFloat<A>()) value = value + load<f32>(at + scales, 16)
      store<f32>(y + (column << 2), value)
    }
    at += record; y += 128
  }
}

export function dequantiseSymmetric4 (w: usize, y: usize, row: i32, blocks: i32, zeroShift: i32): void {
  dequantise<u8, i32>(w, y, row, blocks, zeroShift)
}

export function dequantiseAffine4 (w: usize, y: usize, row: i32, blocks: i32, zeroShift: i32): void {
  dequantise<u8, f32>(w, y, row, blocks, zeroShift)
}

export function dequantiseSymmetric8 (w: usize, y: usize, row: i32, blocks: i32, zeroShift: i32): void {
  dequantise<u16, i32>(w, y, row, blocks, zeroShift)
}

export function dequantiseAffine8 (w: usize, y: usize, row: i32, blocks: i32, zeroShift: i32): void {
  dequantise<u16, f32>(w, y, row, blocks, zeroShift)
}
