import type { TensorRole, TensorSource, UnitSource } from '../../model/index.ts'
import { UnsupportedModelError } from '../errors.ts'
import { matrixKey } from '../low-rank.ts'
import type { AbortOptions, EngineInit } from '../types.ts'

/**
 * Loads the tensors of all units of a range, each source once (a tied head
 * shares the embedding), and reports progress.
 */
export async function loadUnits<Loaded> (
  init: EngineInit,
  load: (source: TensorSource, role: TensorRole) => Loaded,
  { signal }: AbortOptions
): Promise<Map<number, Partial<Record<TensorRole, Loaded>>>> {
  const units = new Map<number, Partial<Record<TensorRole, Loaded>>>()
  const known = new Map<string, Loaded>()
  const total = init.range.to - init.range.from
  for (let index = init.range.from; index < init.range.to; index++) {
    signal?.throwIfAborted()
    const source: UnitSource = init.unit(index)
    const tensors: Partial<Record<TensorRole, Loaded>> = {}
    for (const [role, tensor] of Object.entries(source.tensors) as Array<[TensorRole, TensorSource]>) {
      // a head that shares the embedding's weights may have a correction of its own
      const key = matrixKey(tensor) + (tensor.lowRank === undefined ? '' : `+${role}`)
      const loaded = known.get(key) ?? load(tensor, role)
      known.set(key, loaded)
      tensors[role] = loaded
    }
    units.set(index, tensors)
    init.onProgress?.({ type: 'engine:load', unit: index, loaded: index - init.range.from + 1, total })
    await new Promise<void>(resolve => setImmediate(resolve))
  }
  return units
}

/** @throws UnsupportedModelError where the unit lacks the tensor */
export function need<Loaded> (tensors: Partial<Record<TensorRole, Loaded>> | undefined, role: TensorRole, unit: string): Loaded {
  const tensor = tensors?.[role]
  if (tensor === undefined) throw new UnsupportedModelError(role, `${unit} has no such tensor`)
  return tensor
}
