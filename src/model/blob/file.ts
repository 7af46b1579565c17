import { createHash } from 'node:crypto'
import { ModelFileError } from '../errors.ts'
import { fileStatus } from '../json-file.ts'
import { readRange } from '../tensor/index.ts'
import { FIXED_BYTES } from './constants.ts'
import { decodeBlobHeader, readFixedPart } from './header.ts'
import type { BlobHeader } from './header.ts'

/**
 * Header bytes of a blob's file, checked against its id and the file's size.
 *
 * @throws ModelFileError
 */
export function readBlobHeaderBytes (path: string, id: string): Uint8Array {
  const { size, isDirectory } = fileStatus(path)
  if (isDirectory) throw new ModelFileError(path, 'file', 'is a directory')
  const fixed = readFixedPart(readRange(path, 0, Math.min(size, FIXED_BYTES), 'header'), path)
  if (fixed.byteLength + fixed.dataLength !== size) {
    throw new ModelFileError(path, 'file', `has ${size} bytes, but its header describes ${fixed.byteLength + fixed.dataLength}`)
  }
  const bytes = readRange(path, 0, fixed.byteLength, 'header')
  checkBlobId(bytes, id, path)
  return bytes
}

/** As readBlobHeaderBytes, decoded. */
export function readBlobHeader (path: string, id: string): BlobHeader {
  return decodeBlobHeader(readBlobHeaderBytes(path, id), path)
}

/** @throws ModelFileError where header bytes do not have this id */
export function checkBlobId (header: Uint8Array, id: string, file: string): void {
  if (createHash('sha256').update(header).digest('hex') !== id) throw new ModelFileError(file, 'header', `does not have the hash ${id}`)
}
