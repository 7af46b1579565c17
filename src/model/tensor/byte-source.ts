import { ModelFileError } from '../errors.ts'
import { readRange } from './read.ts'

/** Something whose bytes are read by range; `read` must give exactly what was asked for. */
export interface ByteSource {
  /** for messages and tensor descriptors */
  readonly path: string
  readonly size: number
  read (offset: number, length: number, field: string): Uint8Array
}

export function fileByteSource (path: string, size: number): ByteSource {
  return { path, size, read: (offset, length, field) => readRange(path, offset, length, field) }
}

/** A file that is in memory; for tests and for headers fetched from elsewhere. */
export function memoryByteSource (path: string, bytes: Uint8Array): ByteSource {
  return {
    path,
    size: bytes.length,
    read: (offset, length, field) => {
      if (offset + length > bytes.length) throw new ModelFileError(path, field, 'the file ends too early')
      return bytes.subarray(offset, offset + length)
    }
  }
}
