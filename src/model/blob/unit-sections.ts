import { HASH_CHUNK_BYTES } from '../constants.ts'
import { readTensorRows } from '../tensor/index.ts'
import type { TensorRole, TensorSource, TensorType, UnitSource } from '../types.ts'
import { ROLE_ORDER, STORAGE_CODES } from './constants.ts'
import { sectionByteLength } from './header.ts'
import type { SectionPart } from './header.ts'
import type { SectionInput } from './build.ts'

/** A tensor made in memory, to be stored. `bytes` are rows in canonical order, in whole blocks of `type`. */
export interface PackedTensor {
  type: TensorType
  /** `[rows, columns]` or `[length]` */
  shape: number[]
  bytes: Uint8Array | Iterable<Uint8Array>
  lowRank?: {
    rank: number
    /** rows × rank */
    left: { type: TensorType, bytes: Uint8Array | Iterable<Uint8Array> }
    /** rank × columns */
    right: { type: TensorType, bytes: Uint8Array | Iterable<Uint8Array> }
  }
}

export type UnitTensors = Partial<Record<TensorRole, PackedTensor | TensorSource>>

/** The sections of a unit, in order, without their offsets. Throws RangeError for a shape that is not whole blocks. */
export function unitSections (tensors: UnitTensors): SectionInput[] {
  return ROLE_ORDER.flatMap(role => {
    const tensor = tensors[role]
    if (tensor === undefined) return []
    return 'path' in tensor ? ofSource(role, tensor) : ofPacked(role, tensor)
  })
}

function ofSource (role: TensorRole, source: TensorSource): SectionInput[] {
  const one = (part: SectionPart, { type, shape }: TensorSource, from: TensorSource): SectionInput =>
    section(role, part, type, shape, () => rowsOf(from))
  const { lowRank } = source
  if (lowRank === undefined) return [one('base', source, source)]
  return [one('base', source, source), one('left', lowRank.left, lowRank.left), one('right', lowRank.right, lowRank.right)]
}

function ofPacked (role: TensorRole, { type, shape, bytes, lowRank }: PackedTensor): SectionInput[] {
  const base = section(role, 'base', type, shape, () => listOf(bytes))
  if (lowRank === undefined) return [base]
  const { rank, left, right } = lowRank
  return [
    base,
    section(role, 'left', left.type, [shape[0], rank], () => listOf(left.bytes)),
    section(role, 'right', right.type, [rank, shape[1]], () => listOf(right.bytes))
  ]
}

function section (role: TensorRole, part: SectionPart, type: TensorType, shape: number[], bytes: () => Iterable<Uint8Array>): SectionInput {
  const byteLength = type in STORAGE_CODES ? sectionByteLength(type, shape) : undefined
  if (byteLength === undefined) throw new RangeError(`${role}: shape [${shape.join(', ')}] is not made of whole ${type} blocks`)
  return { role, part, type, shape: [...shape], offset: 0, byteLength, blob: null, bytes }
}

function listOf (bytes: Uint8Array | Iterable<Uint8Array>): Iterable<Uint8Array> {
  return bytes instanceof Uint8Array ? [bytes] : bytes as Iterable<Uint8Array>
}

/** Bytes of a tensor of a file, rows in canonical order, about a chunk at a time. */
function * rowsOf (source: TensorSource): Iterable<Uint8Array> {
  if (source.byteLength === 0) return
  const vector = source.shape.length === 1
  const rows = !vector ? source.shape[0] : source.interleavedHeads !== undefined ? source.shape[0] : 1
  // permuted rows are read by whole heads
  const grain = rows / (source.interleavedHeads ?? rows)
  const step = Math.max(1, Math.floor(HASH_CHUNK_BYTES / (source.byteLength / rows) / grain)) * grain
  for (let row = 0; row < rows; row += step) yield readTensorRows(source, row, Math.min(rows, row + step))
}

/** The unit's tensors without those that lie in another unit's blob, and which those are: a tied head refers to the embedding. */
export function withoutShared (unit: UnitSource, embedding: TensorSource | undefined): { tensors: UnitTensors, shared: boolean } {
  const { projection, ...rest } = unit.tensors
  const shared = projection !== undefined && embedding !== undefined &&
    projection.path === embedding.path && projection.offset === embedding.offset
  return shared ? { tensors: rest, shared } : { tensors: unit.tensors, shared }
}
