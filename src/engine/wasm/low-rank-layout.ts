import { decodeLeftFactor, decodeBlocks, readTensorRows } from '../../model/tensor/index.ts'
import { RANK_BLOCK } from '../low-rank.ts'
import { LOAD_ROWS } from './constants.ts'
import { layOutMatrix, packRows } from './matrix-layout.ts'
import type { LeftFactorBlocks } from '../../model/tensor/index.ts'
import type { LowRankSource, TensorRole, TensorSource, UnitSource } from '../../model/index.ts'
import type { MatrixLayout } from './matrix-layout.ts'

/** How a left factor lies in kernel memory (see kernels/low-rank.ts). */
export interface LeftLayout {
  rank: number
  /** byte offset of the first record */
  offset: number
  /** place of the first of its inner sums in a row of them, and elements from one row to the next */
  column: number
  stride: number
}

/** The factors of matrices with the same input: right factors are one matrix, above each other. */
export interface FactorsLayout {
  right: MatrixLayout
  left: Partial<Record<TensorRole, LeftLayout>>
}

/** Where the inner sums of a product lie, R·x: floats, and their codes and scales. */
export interface InnerLayout {
  sums: number
  codes: number
  scales: number
}

/** Matrices that are applied to the same input, each group named by its first. */
const GROUPS: ReadonlyArray<readonly TensorRole[]> = [
  ['query', 'key', 'value'], ['attentionOutput'], ['gate', 'up'], ['down'], ['projection']
]

/** Bytes of four rows of one block of a left factor: codes, and halves of scales. */
const RECORD_BYTES = 40

/**
 * Reserves room for the factors of a unit's matrices, and notes in `matrices`
 * where the left ones are: by replacing a layout, which may be that of another
 * unit's matrix too.
 */
export function layOutFactors (
  tensors: UnitSource['tensors'], matrices: Partial<Record<TensorRole, MatrixLayout>>, reserve: (bytes: number) => number
): Partial<Record<TensorRole, FactorsLayout>> {
  const factors: Partial<Record<TensorRole, FactorsLayout>> = {}
  for (const group of GROUPS) {
    const roles = group.filter(role => matrices[role] !== undefined && tensors[role]?.lowRank !== undefined)
    if (roles.length === 0) continue
    const ranks = roles.map(role => tensors[role]!.lowRank!.rank)
    const { right: source } = tensors[roles[0]]!.lowRank!
    const right = layOutMatrix({ ...source, shape: [ranks.reduce((a, b) => a + b), source.shape[1]] }, reserve)
    const left: FactorsLayout['left'] = {}
    let column = 0
    for (const [i, role] of roles.entries()) {
      const matrix = matrices[role]!
      const offset = reserve(matrix.paddedRows / 4 * ranks[i] / RANK_BLOCK * RECORD_BYTES)
      left[role] = { rank: ranks[i], offset, column, stride: right.paddedRows }
      matrices[role] = { ...matrix, left: left[role] }
      column += ranks[i]
    }
    factors[group[0]] = { right, left }
  }
  return factors
}

/** Room for the inner sums of the widest group of some units. */
export function layOutInner (factors: FactorsLayout[], rows: number, reserve: (bytes: number) => number): InnerLayout {
  const widest = Math.max(0, ...factors.map(({ right }) => right.paddedRows))
  return { sums: reserve(rows * widest * 4), codes: reserve(rows * widest * 2), scales: reserve(rows * widest / RANK_BLOCK * 4) }
}

/** Reads the factors of a unit's matrices and writes them into kernel memory. */
export function loadFactors (factors: Partial<Record<TensorRole, FactorsLayout>>, source: UnitSource, memory: ArrayBufferLike): void {
  for (const { right, left } of Object.values(factors)) {
    for (const [role, layout] of Object.entries(left) as Array<[TensorRole, LeftLayout]>) {
      const tensor = source.tensors[role]!
      loadRight(right, layout.column, tensor.lowRank!, memory)
      loadLeft(layout, tensor, memory)
    }
  }
}

function loadRight (layout: MatrixLayout, row: number, { rank, right }: LowRankSource, memory: ArrayBufferLike): void {
  packRows(layout, row, decodeBlocks(right.type, readTensorRows(right, 0, rank), rank, layout.columns, right.name), memory)
}

function loadLeft (layout: LeftLayout, { shape: [rows], lowRank }: TensorSource, memory: ArrayBufferLike): void {
  const { left, rank } = lowRank!
  for (let row = 0; row < rows; row += LOAD_ROWS) {
    const to = Math.min(rows, row + LOAD_ROWS)
    packLeft(layout, row, decodeLeftFactor(readTensorRows(left, row, to), to - row, rank, left.name), memory)
  }
}

/** Writes rows [fromRow, fromRow + source.rows) of a left factor into kernel memory. */
export function packLeft ({ offset, rank }: LeftLayout, fromRow: number, { rows, codes, exponents }: LeftFactorBlocks, memory: ArrayBufferLike): void {
  const bytes = new Uint8Array(memory)
  const halves = new Uint16Array(memory)
  const blocks = rank / RANK_BLOCK
  for (let row = 0; row < rows; row++) {
    const lane = (fromRow + row) & 3
    let record = offset + ((fromRow + row) >> 2) * blocks * RECORD_BYTES
    for (let b = 0; b < blocks; b++, record += RECORD_BYTES) {
      for (let i = 0; i < RANK_BLOCK; i++) bytes[record + ((i >> 1) << 3) + lane * 2 + (i & 1)] = codes[row * rank + b * RANK_BLOCK + i]
      // the exponent in its place in the upper half of a float32
      halves[(record + 32) / 2 + lane] = exponents[row * blocks + b] << 7
    }
  }
}
