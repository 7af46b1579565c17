import type { TensorType } from '../types.ts'

/** Elements and bytes of one block of each type (1 element for plain floats). Layouts: `ggml-common.h` of ggml; own types: docs/numerics.md, section 1. */
export const ELEMENT_TYPES: Readonly<Record<TensorType, { elements: number, bytes: number }>> = {
  F32: { elements: 1, bytes: 4 },
  F16: { elements: 1, bytes: 2 },
  BF16: { elements: 1, bytes: 2 },
  Q4_0: { elements: 32, bytes: 18 },
  Q4_1: { elements: 32, bytes: 20 },
  Q5_0: { elements: 32, bytes: 22 },
  Q5_1: { elements: 32, bytes: 24 },
  Q8_0: { elements: 32, bytes: 34 },
  Q4_K: { elements: 256, bytes: 144 },
  Q5_K: { elements: 256, bytes: 176 },
  Q6_K: { elements: 256, bytes: 210 },
  Q3_32: { elements: 32, bytes: 14 },
  Q8_8: { elements: 8, bytes: 9 },
  ZERO: { elements: 32, bytes: 0 }
}

/** Bytes of `elements` elements, or undefined where they do not fill whole blocks. */
export function tensorByteLength (type: TensorType, elements: number): number | undefined {
  const block = ELEMENT_TYPES[type]
  return elements % block.elements === 0 ? elements / block.elements * block.bytes : undefined
}

/** Rows and columns of a tensor; a vector is one row. */
export function rowsAndColumns (shape: readonly number[]): { rows: number, columns: number } {
  const columns = shape[shape.length - 1] ?? 1
  const rows = shape.length > 1 ? shape.slice(0, -1).reduce((product, size) => product * size, 1) : 1
  return { rows, columns }
}
