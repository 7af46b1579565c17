import { ModelFileError } from '../errors.ts'
import { tensorByteLength } from '../tensor/index.ts'
import type { TensorRole, TensorType } from '../types.ts'
import {
  BLOCK_BYTES, FIXED_BYTES, FORMAT_VERSION, HASH_BYTES, MAGIC, MATRIX_ROLES, MAX_DATA_BYTES, MAX_HEADER_BYTES, MAX_SECTIONS,
  ROLE_ORDER, SECTION_BYTES, STORAGE_CODES, VECTOR_TYPES
} from './constants.ts'
import { compareSections, layOutSections } from './layout.ts'

export type BlobKind = 'unit' | 'tokenizer'

/** Which part of a matrix a section holds; vectors have a base only. */
export type SectionPart = 'base' | 'left' | 'right'

/** One run of a unit's bytes. */
export interface Section {
  role: TensorRole
  part: SectionPart
  type: TensorType
  /** `[rows, columns]` or `[length]` */
  shape: number[]
  /** from the start of the data of the blob that holds it */
  offset: number
  byteLength: number
  /** id of the blob that holds the bytes where it is another one: a tied head refers to the embedding's */
  blob: string | null
}

/** What a blob says about itself. Its SHA-256 is the blob's id. */
export interface BlobHeader {
  kind: BlobKind
  /** in their order in the file; none for a tokenizer */
  sections: Section[]
  dataLength: number
  /** SHA-256 of each block of BLOCK_BYTES of the data (the last may be shorter), 32 bytes each */
  blockHashes: Uint8Array
  /** bytes before the data */
  byteLength: number
}

const KINDS: readonly BlobKind[] = ['unit', 'tokenizer']
const PARTS: readonly SectionPart[] = ['base', 'left', 'right']
const TYPES = new Map(Object.entries(STORAGE_CODES).map(([type, code]) => [code, type as TensorType]))

export function blockCount (dataLength: number): number {
  return Math.ceil(dataLength / BLOCK_BYTES)
}

export function headerByteLength (sections: number, dataLength: number): number {
  return FIXED_BYTES + sections * SECTION_BYTES + blockCount(dataLength) * HASH_BYTES
}

/** Little-endian; layout in docs/package.md. */
export function encodeBlobHeader ({ kind, sections, dataLength, blockHashes }: Omit<BlobHeader, 'byteLength'>): Uint8Array {
  const bytes = new Uint8Array(headerByteLength(sections.length, dataLength))
  const view = new DataView(bytes.buffer)
  bytes.set(MAGIC)
  view.setUint16(8, FORMAT_VERSION, true)
  view.setUint16(10, KINDS.indexOf(kind) + 1, true)
  view.setUint32(12, bytes.length, true)
  view.setBigUint64(16, BigInt(dataLength), true)
  view.setUint32(24, BLOCK_BYTES, true)
  view.setUint32(28, blockCount(dataLength), true)
  view.setUint32(32, sections.length, true)
  sections.forEach((section, i) => {
    const at = FIXED_BYTES + i * SECTION_BYTES
    view.setUint8(at, ROLE_ORDER.indexOf(section.role) + 1)
    view.setUint8(at + 1, PARTS.indexOf(section.part))
    view.setUint16(at + 2, STORAGE_CODES[section.type], true)
    view.setUint8(at + 4, section.shape.length)
    view.setUint8(at + 5, section.blob === null ? 0 : 1)
    section.shape.forEach((size, d) => view.setUint32(at + 8 + 4 * d, size, true))
    view.setBigUint64(at + 16, BigInt(section.offset), true)
    view.setBigUint64(at + 24, BigInt(section.byteLength), true)
    if (section.blob !== null) bytes.set(Buffer.from(section.blob, 'hex'), at + 32)
  })
  bytes.set(blockHashes, FIXED_BYTES + sections.length * SECTION_BYTES)
  return bytes
}

/**
 * Lengths of a blob from its first FIXED_BYTES, checked against the caps: what
 * has to be known before memory is reserved for the rest of the header.
 *
 * @throws ModelFileError
 */
export function readFixedPart (bytes: Uint8Array, file: string): { kind: BlobKind, sections: number, byteLength: number, dataLength: number } {
  const fail = (field: string, reason: string): never => { throw new ModelFileError(file, field, reason) }
  if (bytes.length < FIXED_BYTES) fail('header', `${bytes.length} bytes are too few`)
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  if (MAGIC.some((byte, i) => bytes[i] !== byte)) fail('magic', 'is not that of a blob')
  const version = view.getUint16(8, true)
  if (version !== FORMAT_VERSION) fail('version', `is ${version}, this software reads ${FORMAT_VERSION}`)
  const kind = KINDS[view.getUint16(10, true) - 1] ?? fail('kind', `${view.getUint16(10, true)} is unknown`)
  const data = view.getBigUint64(16, true)
  if (data > BigInt(MAX_DATA_BYTES)) fail('data length', `${data} is more than the limit of ${MAX_DATA_BYTES}`)
  const dataLength = Number(data)
  if (view.getUint32(24, true) !== BLOCK_BYTES) fail('block length', `is ${view.getUint32(24, true)}, not ${BLOCK_BYTES}`)
  if (view.getUint32(28, true) !== blockCount(dataLength)) fail('blocks', `${view.getUint32(28, true)} do not make ${dataLength} bytes`)
  const sections = view.getUint32(32, true)
  if (sections > MAX_SECTIONS) fail('sections', `${sections} are more than the limit of ${MAX_SECTIONS}`)
  if ((kind === 'unit') !== (sections > 0)) fail('sections', `${sections} do not go with a ${kind}`)
  const byteLength = headerByteLength(sections, dataLength)
  if (view.getUint32(12, true) !== byteLength || byteLength > MAX_HEADER_BYTES) fail('header length', `is ${view.getUint32(12, true)}, not ${byteLength}`)
  if (bytes.subarray(36, FIXED_BYTES).some(byte => byte !== 0)) fail('reserved bytes', 'are not 0')
  return { kind, sections, byteLength, dataLength }
}

/**
 * Decodes a whole header that may come from anywhere. There is one encoding
 * for each content: sections lie in order of role and part without holes.
 *
 * @throws ModelFileError naming the field
 */
export function decodeBlobHeader (bytes: Uint8Array, file: string): BlobHeader {
  const { kind, sections: count, byteLength, dataLength } = readFixedPart(bytes, file)
  if (bytes.length !== byteLength) throw new ModelFileError(file, 'header', `has ${bytes.length} bytes, not ${byteLength}`)
  const sections = Array.from({ length: count }, (_, i) => readSection(bytes, i, file))
  for (let i = 1; i < count; i++) {
    if (compareSections(sections[i - 1], sections[i]) >= 0) throw new ModelFileError(file, `section ${i}`, 'is out of order')
  }
  const expected = layOutSections(sections)
  expected.sections.forEach((section, i) => {
    if (section.offset !== sections[i].offset) throw new ModelFileError(file, `section ${i}.offset`, `is ${sections[i].offset}, not ${section.offset}`)
  })
  if (kind === 'unit' && expected.dataLength !== dataLength) {
    throw new ModelFileError(file, 'data length', `is ${dataLength}, but the sections have ${expected.dataLength}`)
  }
  return { kind, sections, dataLength, blockHashes: bytes.slice(FIXED_BYTES + count * SECTION_BYTES), byteLength }
}

function readSection (bytes: Uint8Array, index: number, file: string): Section {
  const fail = (field: string, reason: string): never => { throw new ModelFileError(file, `section ${index}.${field}`, reason) }
  const at = FIXED_BYTES + index * SECTION_BYTES
  const view = new DataView(bytes.buffer, bytes.byteOffset + at, SECTION_BYTES)
  const role = ROLE_ORDER[view.getUint8(0) - 1] ?? fail('role', `${view.getUint8(0)} is unknown`)
  const part = PARTS[view.getUint8(1)] ?? fail('part', `${view.getUint8(1)} is unknown`)
  const type = TYPES.get(view.getUint16(2, true)) ?? fail('type', `${view.getUint16(2, true)} is unknown`)
  const dimensions = MATRIX_ROLES.has(role) ? 2 : 1
  if (view.getUint8(4) !== dimensions) fail('dimensions', `${view.getUint8(4)} are not ${dimensions}, which ${role} has`)
  if (dimensions === 1 && (part !== 'base' || !VECTOR_TYPES.includes(type))) fail('type', `${type} ${part} is not for a vector`)
  const shape = Array.from({ length: dimensions }, (_, d) => view.getUint32(8 + 4 * d, true))
  if (shape.includes(0) || (dimensions === 1 && view.getUint32(12, true) !== 0)) fail('shape', 'has a size of 0, or one too many')
  const elements = shape.reduce((product, size) => product * size, 1)
  const length = Number.isSafeInteger(elements) ? sectionByteLength(type, shape) : undefined
  if (length === undefined) return fail('shape', `[${shape.join(', ')}] is not made of whole ${type} blocks`)
  if (view.getBigUint64(24, true) !== BigInt(length)) fail('length', `is ${view.getBigUint64(24, true)}, not ${length}`)
  const offset = view.getBigUint64(16, true)
  if (offset > BigInt(MAX_DATA_BYTES)) fail('offset', `${offset} is more than the limit of ${MAX_DATA_BYTES}`)
  const place = view.getUint8(5)
  const reference = bytes.subarray(at + 32, at + SECTION_BYTES)
  if (place > 1 || view.getUint16(6, true) !== 0) fail('reserved bytes', 'are not 0')
  if (place === 0 && reference.some(byte => byte !== 0)) fail('blob', 'is named for a section that is here')
  // nothing but a tied projection lies elsewhere
  if (place === 1 && role !== 'projection') fail('blob', `${role} cannot lie in another blob`)
  return { role, part, type, shape, offset: Number(offset), byteLength: length, blob: place === 0 ? null : Buffer.from(reference).toString('hex') }
}

/** Bytes of a tensor, or undefined where its rows are not whole blocks. */
export function sectionByteLength (type: TensorType, shape: readonly number[]): number | undefined {
  const row = tensorByteLength(type, shape[shape.length - 1])
  return row === undefined ? undefined : row * (shape.length > 1 ? shape[0] : 1)
}
