import {
  DEFAULT_GGUF_ALIGNMENT, MAX_DIMENSIONS, MAX_GGUF_ALIGNMENT, MAX_GGUF_ARRAY_DEPTH, MAX_GGUF_ARRAY_LENGTH,
  MAX_GGUF_METADATA, MAX_NAME_BYTES, MAX_TENSORS
} from '../constants.ts'
import { ModelFileError, UnsupportedModelError } from '../errors.ts'
import { fileStatus } from '../json-file.ts'
import { checkNoOverlap, fileByteSource, tensorByteLength } from '../tensor/index.ts'
import type { ByteSource, StoredTensor } from '../tensor/index.ts'
import type { GgufValue } from '../types.ts'
import { MAGIC, OTHER_TYPES, TENSOR_TYPES, VALUE_TYPES, VERSION } from './constants.ts'
import { Cursor } from './cursor.ts'

/** Header of a GGUF file. Tensor data is where the descriptors say; none of it has been read. */
export interface GgufFile {
  path: string
  size: number
  version: number
  alignment: number
  metadata: ReadonlyMap<string, GgufValue>
  /** by name, in the order of the file; shapes with the slowest dimension first */
  tensors: ReadonlyMap<string, StoredTensor>
}

/**
 * Reads the header of a GGUF file, version 3, little-endian.
 * Format: `docs/gguf.md` of ggml.
 *
 * @throws ModelFileError for a malformed or truncated file, naming the field
 * @throws UnsupportedModelError for other versions and tensor types
 */
export function readGguf (path: string): GgufFile {
  const { size, isDirectory } = fileStatus(path)
  if (isDirectory) throw new ModelFileError(path, 'file', 'is a directory')
  return parseGguf(fileByteSource(path, size))
}

/** As readGguf, for any source of bytes. */
export function parseGguf (source: ByteSource): GgufFile {
  const cursor = new Cursor(source)
  if (cursor.u32('magic') !== MAGIC) cursor.fail('magic', 'does not start with "GGUF": not a GGUF file')
  const version = cursor.u32('version')
  if (version !== VERSION) {
    const reason = version % 65_536 === 0 ? 'big-endian files are not supported' : `version ${version} is not supported, only ${VERSION}`
    throw new UnsupportedModelError(source.path, 'version', reason)
  }
  // least bytes of a tensor: name length, dimension count, one dimension, type, offset
  const tensorCount = cursor.count('tensor_count', 32, MAX_TENSORS)
  // least bytes of a metadata entry: key length, type, one byte
  const metadataCount = cursor.count('metadata_kv_count', 13, MAX_GGUF_METADATA)
  const metadata = new Map<string, GgufValue>()
  for (let i = 0; i < metadataCount; i++) {
    const key = cursor.string(`metadata[${i}].key`, MAX_NAME_BYTES)
    const field = `metadata "${key}"`
    if (metadata.has(key)) cursor.fail(field, 'appears twice')
    metadata.set(key, readValue(cursor, cursor.u32(`${field} type`), field, 0))
  }
  const alignment = readAlignment(cursor, metadata)
  const infos: StoredTensor[] = []
  for (let i = 0; i < tensorCount; i++) infos.push(readTensorInfo(cursor, source.path, i))
  return { path: source.path, size: source.size, version, alignment, metadata, tensors: place(cursor, infos, alignment, source) }
}

function readValue (cursor: Cursor, type: number, field: string, depth: number): GgufValue {
  switch (VALUE_TYPES[type]?.name) {
    case 'uint8': return cursor.u8(field)
    case 'int8': return cursor.i8(field)
    case 'uint16': return cursor.u16(field)
    case 'int16': return cursor.i16(field)
    case 'uint32': return cursor.u32(field)
    case 'int32': return cursor.i32(field)
    case 'float32': return cursor.f32(field)
    case 'bool': {
      const value = cursor.u8(field)
      if (value > 1) cursor.fail(field, `${value} is not a bool`)
      return value === 1
    }
    case 'string': return cursor.string(field)
    case 'array': return readArray(cursor, field, depth)
    case 'uint64': return cursor.u64(field)
    case 'int64': return cursor.i64(field)
    case 'float64': return cursor.f64(field)
    default: return cursor.fail(field, `unknown value type ${type}`)
  }
}

function readArray (cursor: Cursor, field: string, depth: number): GgufValue[] {
  if (depth === MAX_GGUF_ARRAY_DEPTH) cursor.fail(field, 'arrays are nested too deeply')
  const type = cursor.u32(`${field} element type`)
  const known = VALUE_TYPES[type]
  if (known === undefined) cursor.fail(field, `unknown element type ${type}`)
  const count = cursor.count(`${field} length`, known.bytes, MAX_GGUF_ARRAY_LENGTH)
  const values: GgufValue[] = []
  for (let i = 0; i < count; i++) values.push(readValue(cursor, type, field, depth + 1))
  return values
}

function readAlignment (cursor: Cursor, metadata: ReadonlyMap<string, GgufValue>): number {
  const alignment = metadata.get('general.alignment') ?? DEFAULT_GGUF_ALIGNMENT
  const isPowerOfTwo = typeof alignment === 'number' && alignment >= 1 && alignment <= MAX_GGUF_ALIGNMENT &&
    Number.isInteger(Math.log2(alignment))
  if (!isPowerOfTwo) return cursor.fail('metadata "general.alignment"', 'is not a power of two up to a megabyte')
  return alignment
}

/** Descriptor with the offset as stored, relative to the start of the data. */
function readTensorInfo (cursor: Cursor, path: string, index: number): StoredTensor {
  const name = cursor.string(`tensor[${index}].name`, MAX_NAME_BYTES)
  const field = `tensor "${name}"`
  const dimensions = cursor.u32(`${field}.dimensions`)
  if (dimensions < 1 || dimensions > MAX_DIMENSIONS) cursor.fail(`${field}.dimensions`, `${dimensions} is not 1 to ${MAX_DIMENSIONS}`)
  const shape: number[] = []
  let elements = 1
  for (let i = 0; i < dimensions; i++) {
    const size = cursor.u64(`${field}.shape`)
    if (typeof size === 'bigint' || size < 1) return cursor.fail(`${field}.shape`, `dimension ${i} is ${size}`)
    elements *= size
    if (!Number.isSafeInteger(elements)) cursor.fail(`${field}.shape`, 'has too many elements')
    shape.unshift(size)
  }
  const typeNumber = cursor.u32(`${field}.type`)
  const type = TENSOR_TYPES.get(typeNumber)
  if (type === undefined) {
    const other = OTHER_TYPES.get(typeNumber)
    if (other === undefined) return cursor.fail(`${field}.type`, `unknown element type ${typeNumber}`)
    throw new UnsupportedModelError(path, `${field}.type`, `element type ${other} is not supported`)
  }
  const columns = shape[shape.length - 1]
  const rowBytes = tensorByteLength(type, columns)
  if (rowBytes === undefined) return cursor.fail(`${field}.shape`, `rows of ${columns} are not whole ${type} blocks`)
  const byteLength = rowBytes * (elements / columns)
  const offset = cursor.u64(`${field}.offset`)
  if (typeof offset === 'bigint') return cursor.fail(`${field}.offset`, `${offset} is out of range`)
  return { name, path, type, shape, offset, byteLength }
}

/** Turns offsets into offsets from the start of the file and checks them. */
function place (cursor: Cursor, infos: StoredTensor[], alignment: number, source: ByteSource): Map<string, StoredTensor> {
  const dataOffset = Math.ceil(cursor.position / alignment) * alignment
  const tensors = new Map<string, StoredTensor>()
  for (const info of infos) {
    const field = `tensor "${info.name}"`
    if (tensors.has(info.name)) cursor.fail(field, 'appears twice')
    if (info.offset % alignment !== 0) cursor.fail(`${field}.offset`, `${info.offset} is not a multiple of the alignment ${alignment}`)
    info.offset += dataOffset
    if (info.offset + info.byteLength > source.size) {
      cursor.fail(`${field}.offset`, `its ${info.byteLength} bytes at ${info.offset} go beyond the end of the file at ${source.size} (truncated file?)`)
    }
    tensors.set(info.name, info)
  }
  checkNoOverlap(infos)
  return tensors
}
