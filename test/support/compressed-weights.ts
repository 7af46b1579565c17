import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { readTensor, readTensorBytes } from '../../src/model/index.ts'
import type { TensorRole, TensorSource, TensorType, UnitSource } from '../../src/model/index.ts'
import { ELEMENT_TYPES, encodeBlocks } from '../../src/model/tensor/index.ts'
import type { Weights } from './open-weights.ts'
import { randomIntegers } from './random-weights.ts'

/** How a matrix is stored: an element type, and a low-rank correction of which `stored` ranks are in the file. */
export interface MatrixChoice {
  type: TensorType
  rank?: number
  stored?: number
}

/**
 * Stores the matrices of a model in other types, with random low-rank
 * corrections of the size of the weights: the same bytes everywhere. Matrices
 * without a choice stay what they are.
 */
export function compressWeights (
  directory: string, name: string, weights: Weights, choose: (role: TensorRole, unit: number) => MatrixChoice | undefined, seed: number
): Weights {
  const next = randomIntegers(seed)
  const path = join(directory, `${name}.bin`)
  const parts: Uint8Array[] = []
  let end = 0
  const store = (name: string | undefined, type: TensorType, shape: number[], bytes: Uint8Array): TensorSource => {
    parts.push(bytes)
    end += bytes.length
    return { name, path, offset: end - bytes.length, byteLength: bytes.length, type, shape }
  }
  const random = (count: number, size: (i: number) => number) => Float32Array.from({ length: count }, (_, i) => (next() % 65536 - 32768) / 32768 * size(i))

  const lowRank = (source: TensorSource, { rank = 0, stored = rank }: MatrixChoice): TensorSource['lowRank'] => {
    if (rank === 0) return undefined
    const [rows, columns] = source.shape
    const left = store(`${source.name}, left`, 'Q8_8', [rows, stored], encodeBlocks('Q8_8', random(rows * stored, () => 0.5)))
    // as singular values do, rows get smaller
    const right = store(`${source.name}, right`, 'Q8_0', [stored, columns], encodeBlocks('Q8_0', random(stored * columns, i => 1 / (Math.sqrt(columns) * (1 + Math.floor(i / columns) / 4)))))
    const { bytes, elements } = ELEMENT_TYPES.Q8_8
    return {
      rank,
      left: { ...left, shape: [rows, rank], byteLength: rows * rank / elements * bytes, ...(rank < stored && { rowBytes: stored / elements * bytes }) },
      right: { ...right, shape: [rank, columns], byteLength: right.byteLength / stored * rank }
    }
  }

  const units = Array.from({ length: weights.architecture.layerCount + 2 }, (_, unit): UnitSource => {
    const source = weights.unit(unit)
    return {
      unit: source.unit,
      tensors: Object.fromEntries(Object.entries(source.tensors).map(([role, tensor]) => {
        const choice = tensor.shape.length === 1 ? undefined : choose(role as TensorRole, unit)
        if (choice === undefined) return [role, store(tensor.name, tensor.type, tensor.shape, readTensorBytes(tensor))]
        const bytes = choice.type === 'ZERO' ? new Uint8Array() : encodeBlocks(choice.type, readTensor(tensor))
        const base = store(tensor.name, choice.type, tensor.shape, bytes)
        return [role, { ...base, lowRank: lowRank(base, choice) }]
      }))
    }
  })
  mkdirSync(directory, { recursive: true })
  writeFileSync(path, Buffer.concat(parts))
  return { architecture: weights.architecture, unit: index => units[index] }
}
