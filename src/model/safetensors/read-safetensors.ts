import { MAX_SAFETENSORS_HEADER_BYTES, MAX_TENSORS } from '../constants.ts'
import { ModelFileError } from '../errors.ts'
import { fileStatus, isJsonObject, parseJsonObject } from '../json-file.ts'
import type { JsonObject } from '../json-file.ts'
import { checkNoOverlap, fileByteSource } from '../tensor/index.ts'
import type { ByteSource, StoredTensor } from '../tensor/index.ts'
import { ELEMENT_BYTES, MAX_SAFETENSORS_DIMENSIONS } from './constants.ts'

/** Header of a safetensors file. None of the tensor data has been read. */
export interface SafetensorsFile {
  path: string
  size: number
  /** free text that came with the file */
  metadata: Record<string, string>
  tensors: ReadonlyMap<string, StoredTensor>
}

/**
 * Reads the header of a safetensors file.
 * Format: https://github.com/huggingface/safetensors#format
 *
 * @throws ModelFileError for a malformed or truncated file, naming the field
 */
export function readSafetensors (path: string): SafetensorsFile {
  const { size, isDirectory } = fileStatus(path)
  if (isDirectory) throw new ModelFileError(path, 'file', 'is a directory')
  return parseSafetensors(fileByteSource(path, size))
}

/** As readSafetensors, for any source of bytes. */
export function parseSafetensors (source: ByteSource): SafetensorsFile {
  const { path, size } = source
  const fail = (field: string, reason: string): never => { throw new ModelFileError(path, field, reason) }
  if (size < 8) fail('header length', 'the file is shorter than 8 bytes')
  const prefix = source.read(0, 8, 'header length')
  const headerLength = new DataView(prefix.buffer, prefix.byteOffset, 8).getBigUint64(0, true)
  if (headerLength > BigInt(size - 8)) fail('header length', `${headerLength} goes beyond the end of the file at ${size} (truncated file?)`)
  if (headerLength > BigInt(MAX_SAFETENSORS_HEADER_BYTES)) fail('header length', `${headerLength} is more than the limit of ${MAX_SAFETENSORS_HEADER_BYTES}`)
  const length = Number(headerLength)
  const bytes = source.read(8, length, 'header')
  const header = parseJsonObject(bytes, path, 'header')
  const entries = Object.entries(header)
  if (entries.length > MAX_TENSORS) fail('header', `more than ${MAX_TENSORS} tensors`)

  let metadata: Record<string, string> = {}
  let keys = entries.length
  const tensors = new Map<string, StoredTensor>()
  for (const [name, value] of entries) {
    if (!isJsonObject(value)) return fail(`tensor "${name}"`, 'is not a JSON object')
    keys += Object.keys(value).length
    if (name === '__metadata__') metadata = readMetadata(value, path)
    else tensors.set(name, readEntry(name, value, path, 8 + length, size))
  }
  // JSON.parse keeps the last of equal keys and says nothing, so keys are counted
  if (countKeys(bytes) !== keys) fail('header', 'a name appears twice')
  let end = 8 + length
  for (const tensor of checkNoOverlap(tensors.values())) {
    if (tensor.offset !== end) fail(`tensor "${tensor.name}".data_offsets`, `leaves a hole of ${tensor.offset - end} bytes before it`)
    end += tensor.byteLength
  }
  if (end !== size) fail('header', `describes ${end} bytes, but the file has ${size}`)
  return { path, size, metadata, tensors }
}

function readMetadata (value: JsonObject, path: string): Record<string, string> {
  for (const [key, text] of Object.entries(value)) {
    if (typeof text !== 'string') throw new ModelFileError(path, `__metadata__ "${key}"`, 'is not a string')
  }
  return value as Record<string, string>
}

function readEntry (name: string, entry: JsonObject, path: string, dataOffset: number, size: number): StoredTensor {
  const fail = (field: string, reason: string): never => { throw new ModelFileError(path, `tensor "${name}".${field}`, reason) }
  const { dtype, shape, data_offsets: offsets } = entry
  for (const key of Object.keys(entry)) {
    if (!['dtype', 'shape', 'data_offsets'].includes(key)) fail(key, 'is an unknown field')
  }
  const elementBytes = typeof dtype === 'string' ? ELEMENT_BYTES.get(dtype) : undefined
  if (typeof dtype !== 'string' || elementBytes === undefined) return fail('dtype', `unknown element type ${JSON.stringify(dtype)?.slice(0, 40)}`)
  if (!isSizes(shape) || shape.length > MAX_SAFETENSORS_DIMENSIONS) return fail('shape', 'is not a list of sizes')
  const byteLength = shape.reduce((product, length) => product * length, elementBytes)
  if (!Number.isSafeInteger(byteLength)) fail('shape', 'has too many elements')
  if (!isSizes(offsets) || offsets.length !== 2) return fail('data_offsets', 'is not a pair of offsets')
  const [from, to] = offsets
  if (to - from !== byteLength) fail('data_offsets', `${to - from} bytes, but type and shape need ${byteLength}`)
  if (dataOffset + to > size) fail('data_offsets', `ends at ${dataOffset + to}, beyond the end of the file at ${size} (truncated file?)`)
  return { name, path, type: dtype, shape, offset: dataOffset + from, byteLength }
}

function isSizes (value: unknown): value is number[] {
  return Array.isArray(value) && value.every(size => Number.isSafeInteger(size) && size >= 0)
}

/** Keys of all objects of a valid JSON text: its colons outside strings. */
function countKeys (json: Uint8Array): number {
  let count = 0
  let inString = false
  for (let i = 0; i < json.length; i++) {
    const byte = json[i]
    if (inString) {
      if (byte === 0x5c) i++ // a backslash: the next byte is part of the string
      else if (byte === 0x22) inString = false
    } else if (byte === 0x22) inString = true
    else if (byte === 0x3a) count++
  }
  return count
}
