import { decodeBlocks, readTensor, readTensorRows } from '../../model/tensor/index.ts'
import { LOAD_ROWS } from './constants.ts'
import { loadFactors } from './low-rank-layout.ts'
import { packRows } from './matrix-layout.ts'
import type { TensorRole, TensorSource, UnitSource } from '../../model/index.ts'
import type { ArenaLayout, UnitLayout } from './arena-layout.ts'
import type { MatrixLayout } from './matrix-layout.ts'

/** Reads the tensors of a unit and writes them into the memory of its arena; only the tensors it needs are read. */
export function loadUnit (unit: UnitLayout, source: UnitSource, memory: WebAssembly.Memory): void {
  for (const [role, layout] of Object.entries(unit.matrices) as Array<[TensorRole, MatrixLayout]>) {
    loadMatrix(layout, source.tensors[role]!, memory.buffer)
  }
  loadFactors(unit.factors, source, memory.buffer)
  const floats = new Float32Array(memory.buffer)
  for (const [role, layout] of Object.entries(unit.vectors) as Array<[TensorRole, { offset: number }]>) {
    floats.set(readTensor(source.tensors[role]!), layout.offset / 4)
  }
}

function loadMatrix (layout: MatrixLayout, source: TensorSource, memory: ArrayBufferLike): void {
  if (layout.zero) return
  for (let row = 0; row < layout.rows; row += LOAD_ROWS) {
    const to = Math.min(layout.rows, row + LOAD_ROWS)
    const bytes = readTensorRows(source, row, to)
    const blocks = decodeBlocks(source.type, bytes, to - row, layout.columns, source.name)
    packRows(layout, row, blocks, memory)
    for (const array of [bytes, blocks.codes, blocks.scales, blocks.minimums]) free(array)
  }
}

/**
 * Gives memory back at once. Collections leave up to 64 MB of arrays to each
 * thread before they look (V8's limit for memory outside its heap), and what
 * is in between stays resident.
 */
function free (array: Uint8Array | Float32Array | null): void {
  if (array?.buffer instanceof ArrayBuffer) array.buffer.transfer(0)
}

/** Units whose matrices another unit of the arena already holds need not load them again: a tied head. */
export function ownMatrices (arena: ArenaLayout, unit: UnitLayout): UnitLayout {
  const earlier = new Set(arena.units.filter(other => other.unit < unit.unit).flatMap(other => Object.values(other.matrices).map(m => m.offset)))
  const matrices = Object.fromEntries(Object.entries(unit.matrices).filter(([, layout]) => !earlier.has(layout.offset)))
  return { ...unit, matrices }
}
