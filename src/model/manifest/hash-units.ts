import { buildBlob, ROLE_ORDER, unitSections, withoutShared } from '../blob/index.ts'
import type { BlobSink, BuiltBlob } from '../blob/index.ts'
import type { TensorRole, TensorSource, UnitSource } from '../types.ts'

export interface HashOptions {
  signal?: AbortSignal
  /** bytes hashed so far, of all */
  onProgress?: (done: number, total: number) => void
}

/** Tensors of a unit in the order of its blob. */
export function tensorsInOrder (unit: UnitSource): Array<[TensorRole, TensorSource]> {
  return ROLE_ORDER.flatMap(role => {
    const source = unit.tensors[role]
    return source === undefined ? [] : [[role, source] as [TensorRole, TensorSource]]
  })
}

/**
 * Blob ids of all units: what a package of them would have, whether there is
 * one or not. The first must be the embedding where another refers to it.
 *
 * Reads in chunks and lets the event loop run between them.
 *
 * @throws ModelFileError where a file cannot be read; the reason of the signal after an abort
 */
export async function hashUnits (units: readonly UnitSource[], { signal, onProgress }: HashOptions = {}): Promise<string[]> {
  const embedding = units[0]?.tensors.embedding
  const total = units.reduce((sum, unit) => sum + unitByteLength(unit, embedding), 0)
  let done = 0
  const hashes: string[] = []
  let first: BuiltBlob | undefined
  for (const unit of units) {
    const built = await buildUnitBlob(unit, embedding, first, undefined, {
      signal,
      onBytes: count => {
        done = Math.min(total, done + count)
        onProgress?.(done, total)
      }
    })
    first ??= built
    hashes.push(built.id)
  }
  return hashes
}

/** Makes the blob of a unit. `first` is the embedding's, which a tied head refers to. */
export async function buildUnitBlob (
  unit: UnitSource, embedding: TensorSource | undefined, first: BuiltBlob | undefined, sink?: BlobSink,
  options: { signal?: AbortSignal, onBytes?: (count: number) => void } = {}
): Promise<BuiltBlob> {
  const { tensors, shared } = withoutShared(unit, unit.unit === 'head' ? embedding : undefined)
  const sections = unitSections(tensors)
  if (shared && first === undefined) throw new RangeError('a tied head needs the blob of the embedding')
  return await buildBlob('unit', shared ? [...sections, ...sharedSections(first!)] : sections, sink, options)
}

/** Sections of a tied head that lie in the embedding's blob. */
export function sharedSections (embedding: BuiltBlob): ReturnType<typeof unitSections> {
  return embedding.sections.map(section => ({ ...section, role: 'projection', blob: embedding.id, bytes: () => [] }))
}

/** Bytes of a unit's own tensors, without what it has in common with the embedding. */
export function unitByteLength (unit: UnitSource, embedding: TensorSource | undefined): number {
  return unitSections(withoutShared(unit, unit.unit === 'head' ? embedding : undefined).tensors).reduce((sum, { byteLength }) => sum + byteLength, 0)
}
