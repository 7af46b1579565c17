import type { Model, TensorRole, TensorSource } from '../../model/index.ts'
import { LAYER_MATRICES } from '../calibration/index.ts'

export interface Table {
  unit: number
  role: TensorRole
  source: TensorSource
  /** true where it is multiplied with: an output projection, tied or not */
  applied: boolean
}

export interface ModelTensors {
  /** embedding, and the output projection where that has weights of its own */
  tables: Table[]
  /** stored as in the source: norms and biases */
  vectors: Array<{ unit: number, role: TensorRole, source: TensorSource }>
  /** elements of all tensors, tied ones once */
  parameters: number
  /** stored bytes of all tensors, tied ones once */
  bytes: number
}

const MATRICES = new Set<TensorRole>(LAYER_MATRICES)

/** Key of a matrix in an allocation. */
export function matrixName (unit: number, role: TensorRole): string {
  return `${unit} ${role}`
}

/** What a model is made of, from its description alone. */
export function tensorsOf (model: Model): ModelTensors {
  const { layerCount, tiedEmbedding } = model.architecture
  const result: ModelTensors = { tables: [], vectors: [], parameters: 0, bytes: 0 }
  for (let unit = 0; unit < layerCount + 2; unit++) {
    for (const [role, source] of Object.entries(model.unit(unit).tensors) as Array<[TensorRole, TensorSource]>) {
      if (role === 'projection' && tiedEmbedding) continue
      if (role === 'embedding' || role === 'projection') result.tables.push({ unit, role, source, applied: role === 'projection' || tiedEmbedding })
      else if (!MATRICES.has(role)) result.vectors.push({ unit, role, source })
      result.parameters += source.shape.reduce((a, b) => a * b, 1)
      result.bytes += source.byteLength + (source.lowRank === undefined ? 0 : source.lowRank.left.byteLength + source.lowRank.right.byteLength)
    }
  }
  return result
}
