import type { Architecture, CompressionMode, MatrixCompression, TensorRole, TensorSource, TensorType, UnitName } from '../types.ts'
import { readPackage } from './read-package.ts'
import { unitNameOf } from './writer.ts'

export interface DescribedTensor {
  role: TensorRole
  shape: number[]
  type: TensorType
  /** null for tensors that are as the source has them */
  mode: CompressionMode | null
  rank: number
  /** factors included */
  byteLength: number
  errors: MatrixCompression['errors'] | null
}

export interface DescribedUnit {
  unit: UnitName
  blob: string
  /** false where this package is only a part of the model, without this unit */
  present: boolean
  /** tensors that this unit stores; a tied head does not store the embedding again */
  tensors: DescribedTensor[]
}

/** What `efedllm inspect` shows of a package. Plain data. */
export interface PackageDescription {
  kind: 'package'
  name: string
  modelId: string
  directory: string
  architecture: Architecture
  /** modelId of what was compressed; null where that is not known, or nothing was compressed */
  source: string | null
  /** SHA-256 of the calibration text */
  calibration: string | null
  units: DescribedUnit[]
  /** of the units that are here, as are the following */
  parameters: number
  /** bytes of all tensors, scales included */
  tensorBytes: number
  bitsPerWeight: number
}

/**
 * Describes a package, or the part of one that is here, from its headers.
 *
 * @throws ModelFileError
 */
export function describePackage (path: string): PackageDescription {
  const source = readPackage(path)
  const { manifest } = source
  const { architecture, compression } = manifest
  const units = manifest.units.map((blob, index): DescribedUnit => {
    const present = source.has(index)
    const tensors = present ? Object.entries(source.unit(index).tensors) as Array<[TensorRole, TensorSource]> : []
    return {
      unit: unitNameOf(index, architecture),
      blob,
      present,
      tensors: tensors.filter(([role]) => role !== 'projection' || !architecture.tiedEmbedding).map(([role, tensor]) => {
        const matrix = compression?.units[index]?.[role]
        const { left, right } = tensor.lowRank ?? {}
        return {
          role,
          shape: tensor.shape,
          type: tensor.type,
          mode: matrix?.mode ?? null,
          rank: matrix?.rank ?? 0,
          byteLength: tensor.byteLength + (left?.byteLength ?? 0) + (right?.byteLength ?? 0),
          errors: matrix?.errors ?? null
        }
      })
    }
  })
  const all = units.flatMap(({ tensors }) => tensors)
  const parameters = all.reduce((sum, { shape }) => sum + shape.reduce((a, b) => a * b, 1), 0)
  const tensorBytes = all.reduce((sum, { byteLength }) => sum + byteLength, 0)
  return {
    kind: 'package',
    name: source.name,
    modelId: source.modelId,
    directory: source.directory,
    architecture,
    source: compression?.source ?? null,
    calibration: compression?.calibration ?? null,
    units,
    parameters,
    tensorBytes,
    bitsPerWeight: parameters === 0 ? 0 : tensorBytes * 8 / parameters
  }
}
