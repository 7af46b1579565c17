import { statSync } from 'node:fs'
import { isUtf8 } from 'node:buffer'
import { ModelFileError } from './errors.ts'
import { readRange } from './tensor/index.ts'

export type JsonObject = Record<string, unknown>

export function isJsonObject (value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** Size and time of change of a file; ModelFileError where there is none. */
export function fileStatus (path: string): { size: number, mtimeMs: number, isDirectory: boolean } {
  try {
    const status = statSync(path)
    return { size: status.size, mtimeMs: status.mtimeMs, isDirectory: status.isDirectory() }
  } catch (cause) {
    throw new ModelFileError(path, 'file', `cannot be opened: ${(cause as Error).message}`, { cause })
  }
}

/** Whole content of a small file. */
export function readSmallFile (path: string, limit: number): Uint8Array {
  const { size, isDirectory } = fileStatus(path)
  if (isDirectory) throw new ModelFileError(path, 'file', 'is a directory')
  if (size > limit) throw new ModelFileError(path, 'file', `${size} bytes are more than the limit of ${limit}`)
  return readRange(path, 0, size)
}

/**
 * Parses bytes that must be a JSON object in UTF-8.
 *
 * @throws ModelFileError
 */
export function parseJsonObject (bytes: Uint8Array, file: string, field: string): JsonObject {
  let value: unknown
  if (!isUtf8(bytes)) throw new ModelFileError(file, field, 'is not UTF-8')
  try {
    value = JSON.parse(new TextDecoder().decode(bytes))
  } catch (cause) {
    throw new ModelFileError(file, field, `is not JSON: ${(cause as Error).message}`, { cause })
  }
  if (!isJsonObject(value)) throw new ModelFileError(file, field, 'is not a JSON object')
  return value
}

export function readJsonFile (path: string, limit: number): JsonObject {
  return parseJsonObject(readSmallFile(path, limit), path, 'content')
}
