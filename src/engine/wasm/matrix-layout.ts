import { weightFormat } from '../../model/tensor/index.ts'
import { UnsupportedModelError } from '../errors.ts'
import type { TensorSource, WeightBlocks, WeightFormat } from '../../model/index.ts'
import type { LeftLayout } from './low-rank-layout.ts'

/** How a matrix lies in kernel memory (see kernels/product4.ts and product8.ts). */
export interface MatrixLayout {
  rows: number
  /** a multiple of 16 */
  paddedRows: number
  columns: number
  blocks: number
  kind: ProductKind
  /** of a code in memory */
  bits: 4 | 8
  /** symmetric formats: logarithm of the code that stands for 0 */
  zeroShift: number
  /** byte offset of the first record */
  offset: number
  /** a matrix of zeros, which takes no memory */
  zero?: true
  /** left factor of a low-rank correction */
  left?: LeftLayout
}

/** Names of the kernels' products: signs, and bits of a code in memory. */
export type ProductKind = 'symmetric4' | 'affine4' | 'symmetric8' | 'affine8'

interface RecordShape {
  bits: 4 | 8
  affine: boolean
}

const SHAPES: Readonly<Record<ProductKind, RecordShape>> = {
  symmetric4: { bits: 4, affine: false },
  affine4: { bits: 4, affine: true },
  symmetric8: { bits: 8, affine: false },
  affine8: { bits: 8, affine: true }
}

const KINDS: Readonly<Record<WeightFormat, { kind: ProductKind, zeroShift: number }>> = {
  // 3-bit codes take the room of 4-bit ones in memory; bytes stored and sent are what they save
  q3: { kind: 'symmetric4', zeroShift: 3 },
  q4s: { kind: 'symmetric4', zeroShift: 3 },
  q4: { kind: 'affine4', zeroShift: 0 },
  q4k: { kind: 'affine4', zeroShift: 0 },
  q5s: { kind: 'symmetric8', zeroShift: 4 },
  q5: { kind: 'affine8', zeroShift: 0 },
  q5k: { kind: 'affine8', zeroShift: 0 },
  q8: { kind: 'symmetric8', zeroShift: 7 }
}

/** Bytes of four rows of one block. */
function recordBytes ({ bits, affine }: RecordShape): number {
  return 16 * bits + (affine ? 32 : 16)
}

/** Reserves room for a matrix with `reserve`, which takes bytes and gives an aligned offset. */
export function layOutMatrix (source: TensorSource, reserve: (bytes: number) => number): MatrixLayout {
  const [rows, columns] = source.shape
  if (source.shape.length !== 2 || columns % 32 !== 0) {
    throw new UnsupportedModelError(source.name ?? 'matrix', `shape ${source.shape.join(' × ')}: columns must be a multiple of 32`)
  }
  const paddedRows = Math.ceil(rows / 16) * 16
  const blocks = columns / 32
  // an offset that no matrix with weights has
  if (source.type === 'ZERO') return { rows, paddedRows, columns, blocks, kind: 'symmetric4', bits: 4, zeroShift: 0, offset: 0, zero: true }
  const { kind, zeroShift } = KINDS[weightFormat(source.type)]
  return { rows, paddedRows, columns, blocks, kind, bits: SHAPES[kind].bits, zeroShift, offset: reserve(paddedRows / 4 * blocks * recordBytes(SHAPES[kind])) }
}

/** Writes rows [fromRow, fromRow + source.rows) of a matrix into kernel memory. */
export function packRows (layout: MatrixLayout, fromRow: number, source: WeightBlocks, memory: ArrayBufferLike): void {
  const { blocks, columns } = layout
  const shape = SHAPES[layout.kind]
  const record = recordBytes(shape)
  const bytes = new Uint8Array(memory)
  const floats = new Float32Array(memory)
  const zero = shape.affine ? 0 : 1 << layout.zeroShift
  const codes = source.codes
  for (let row = 0; row < source.rows; row++) {
    const target = fromRow + row
    const lane = target & 3
    let start = layout.offset + (target >> 2) * blocks * record
    let from = row * columns
    for (let b = 0; b < blocks; b++, start += record, from += 32) {
      const at = start + lane * 4
      if (shape.bits === 4) {
        for (let i = 0; i < 16; i++) {
          const column = from + ((i >> 2) << 3) + (i & 3)
          bytes[at + ((i >> 2) << 4) + (i & 3)] = codes[column] | codes[column + 4] << 4
        }
      } else {
        // as signed bytes
        for (let i = 0; i < 32; i++) bytes[at + ((i >> 2) << 4) + (i & 3)] = codes[from + i] - zero
      }
      const scale = (start + 16 * shape.bits) / 4 + lane
      floats[scale] = source.scales[row * blocks + b]
      if (shape.affine) floats[scale + 4] = source.minimums![row * blocks + b]
    }
  }
}
