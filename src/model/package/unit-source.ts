import { expectedShape } from '../config/index.ts'
import { ModelFileError } from '../errors.ts'
import { MATRIX_ROLES } from '../blob/index.ts'
import { tensorByteLength } from '../tensor/index.ts'
import type { BlobHeader, Section } from '../blob/index.ts'
import type { Architecture, LowRankSource, MatrixCompression, TensorRole, TensorSource, UnitName, UnitSource } from '../types.ts'
import { BASE_TYPES, FACTOR_TYPES } from './constants.ts'

const LAYER: readonly TensorRole[] = ['attentionNorm', 'query', 'key', 'value', 'attentionOutput', 'feedForwardNorm', 'gate', 'up', 'down']
const BIASES: readonly TensorRole[] = ['queryBias', 'keyBias', 'valueBias', 'attentionOutputBias']

/** A unit's blob: where it is, and what its header says. */
export interface UnitBlob {
  path: string
  header: BlobHeader
}

export interface UnitSourceInit {
  unit: UnitName
  architecture: Architecture
  own: UnitBlob
  /** the embedding's blob and its id, for a tied head */
  embedding?: UnitBlob & { id: string }
  /** what the manifest says of its matrices */
  compression?: Partial<Record<TensorRole, MatrixCompression>>
}

/**
 * Where the tensors of a unit are: sections of its blob at the ranks of the
 * manifest. All tensors that the architecture needs are there, with its shapes.
 *
 * @throws ModelFileError naming file and field
 */
export function unitSource ({ unit, architecture, own, embedding, compression = {} }: UnitSourceInit): UnitSource {
  const { header, path } = own
  if (header.kind !== 'unit') throw new ModelFileError(path, 'kind', `is ${header.kind}, not unit`)
  checkRoles(unit, architecture, header.sections, path)
  const tensors: UnitSource['tensors'] = {}
  for (const role of new Set(header.sections.map(section => section.role))) {
    const parts = Object.fromEntries(header.sections.filter(section => section.role === role).map(section => [section.part, resolve(section, own, embedding)])) as Partial<Record<Section['part'], Placed>>
    tensors[role] = matrix(role, parts, architecture, path, compression[role])
  }
  for (const role of Object.keys(compression)) {
    if (tensors[role as TensorRole] === undefined) throw new ModelFileError(path, role, 'is in the manifest and not in the file')
  }
  return { unit, tensors }
}

interface Placed { section: Section, path: string, start: number }

/** Where a section's bytes are; those of another blob must be what that blob says they are. */
function resolve (section: Section, own: UnitBlob, embedding: UnitSourceInit['embedding']): Placed {
  if (section.blob === null) return { section, path: own.path, start: own.header.byteLength }
  if (embedding === undefined || embedding.id !== section.blob) throw new ModelFileError(own.path, section.role, `lies in blob ${section.blob}, which is not the embedding's`)
  const same = embedding.header.sections.some(other => other.blob === null && other.role === 'embedding' && other.part === section.part && other.type === section.type &&
    other.offset === section.offset && other.shape.every((size, d) => size === section.shape[d]))
  if (!same) throw new ModelFileError(own.path, section.role, 'is not the embedding, as it says')
  return { section, path: embedding.path, start: embedding.header.byteLength }
}

function checkRoles (unit: UnitName, architecture: Architecture, sections: readonly Section[], path: string): void {
  const needed = unit === 'embed'
    ? ['embedding']
    : unit === 'head' ? ['finalNorm', 'projection'] : [...LAYER, ...(architecture.queryKeyNorm ? ['queryNorm', 'keyNorm'] : [])]
  const allowed = unit === 'embed' || unit === 'head' ? needed : [...needed, ...BIASES]
  const roles = new Set<string>(sections.map(section => section.role))
  for (const role of needed) if (!roles.has(role)) throw new ModelFileError(path, role, `is missing in ${unit}`)
  for (const role of roles) if (!allowed.includes(role)) throw new ModelFileError(path, role, `is not a tensor of ${unit} in this architecture`)
}

function matrix (role: TensorRole, parts: Partial<Record<Section['part'], Placed>>, architecture: Architecture, path: string, compression: MatrixCompression | undefined): TensorSource {
  const fail = (reason: string): never => { throw new ModelFileError(path, role, reason) }
  const { base, left, right } = parts
  if (base === undefined) return fail('has factors and no base')
  const shape = expectedShape(role, architecture)
  if (base.section.shape.some((size, d) => size !== shape[d]) || base.section.shape.length !== shape.length) {
    return fail(`has shape [${base.section.shape.join(', ')}], not [${shape.join(', ')}]`)
  }
  const source = tensorSource(base, role)
  if (source.type === FACTOR_TYPES.left) fail(`is ${source.type}, which is for left factors only`)
  if (compression !== undefined && !BASE_TYPES[compression.mode].includes(source.type)) fail(`is ${source.type}, and the manifest says ${compression.mode}`)
  if (left === undefined && right === undefined) {
    if (compression !== undefined && compression.rank > 0) fail(`has no factors, and the manifest says rank ${compression.rank}`)
    return source
  }
  if (left === undefined || right === undefined || !MATRIX_ROLES.has(role)) return fail('has one factor of two')
  if (left.section.type !== FACTOR_TYPES.left || right.section.type !== FACTOR_TYPES.right) {
    fail(`has factors of ${left.section.type} and ${right.section.type}, not ${FACTOR_TYPES.left} and ${FACTOR_TYPES.right}`)
  }
  const stored = left.section.shape[1]
  if (left.section.shape[0] !== shape[0] || right.section.shape[0] !== stored || right.section.shape[1] !== shape[1]) {
    fail(`has factors [${left.section.shape.join(', ')}] and [${right.section.shape.join(', ')}] for shape [${shape.join(', ')}]`)
  }
  const rank = compression?.rank ?? stored
  if (rank > stored) fail(`has rank ${stored}, and the manifest says ${rank}`)
  return rank === 0 ? source : { ...source, lowRank: lowRank(left, right, rank, role, fail) }
}

function lowRank (left: Placed, right: Placed, rank: number, role: TensorRole, fail: (reason: string) => never): LowRankSource {
  const [rows, stored] = left.section.shape
  const columns = right.section.shape[1]
  const leftRow = tensorByteLength(left.section.type, rank)
  const rightRow = tensorByteLength(right.section.type, columns)
  if (leftRow === undefined || rightRow === undefined) return fail(`rank ${rank} is not made of whole blocks of ${left.section.type}`)
  return {
    rank,
    left: {
      ...tensorSource(left, `${role}, left factor`),
      shape: [rows, rank],
      byteLength: rows * leftRow,
      ...(rank < stored && { rowBytes: left.section.byteLength / rows })
    },
    right: { ...tensorSource(right, `${role}, right factor`), shape: [rank, columns], byteLength: rank * rightRow }
  }
}

function tensorSource ({ section, path, start }: Placed, name: string): TensorSource {
  return { name, path, offset: start + section.offset, byteLength: section.byteLength, type: section.type, shape: section.shape }
}
