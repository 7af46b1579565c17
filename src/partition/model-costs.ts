import { memoryNeeds } from '../engine/index.ts'
import type { Model, TensorSource } from '../model/index.ts'
import type { ModelCosts, UnitCost } from './types.ts'

/**
 * Costs of a model's units, from headers alone.
 *
 * @throws UnsupportedModelError (engine) where no engine can host the model; errors of the model for units that are not here
 */
export function modelCosts ({ architecture, unit }: Pick<Model, 'architecture' | 'unit'>): ModelCosts {
  const needs = memoryNeeds({ architecture, unit })
  const head = architecture.layerCount + 1
  const stored = new Map<string, number>()
  let storedSum = 0
  const units = needs.units.map((memoryBytes, index): UnitCost => {
    const parts = Object.values(unit(index).tensors).flatMap(tensorParts)
    for (const { path, offset, byteLength } of parts) stored.set(`${path}:${offset}`, byteLength)
    const storedBytes = parts.reduce((sum, { byteLength }) => sum + byteLength, 0)
    storedSum += storedBytes
    return {
      memoryBytes,
      storedBytes,
      keyValueBytes: index === 0 || index === head ? 0 : needs.keyValueBytes,
      work: index === 0 ? Math.ceil(memoryBytes / architecture.vocabularySize) : memoryBytes
    }
  })
  const storedOnce = [...stored.values()].reduce((sum, bytes) => sum + bytes, 0)
  return { units, tied: { memoryBytes: needs.shared, storedBytes: storedSum - storedOnce }, pagePositions: needs.pagePositions }
}

function tensorParts (tensor: TensorSource): TensorSource[] {
  return tensor.lowRank === undefined ? [tensor] : [tensor, tensor.lowRank.left, tensor.lowRank.right]
}

/** Work of one token over all units. */
export function totalWork ({ units }: ModelCosts): number {
  return units.reduce((sum, { work }) => sum + work, 0)
}
