import { createHash } from 'node:crypto'
import { open } from 'node:fs/promises'
import type { FileHandle } from 'node:fs/promises'
import { HASH_CHUNK_BYTES } from '../constants.ts'
import { ModelFileError } from '../errors.ts'
import type { TensorRole, TensorSource, UnitSource } from '../types.ts'
import { canonicalJson } from './canonical-json.ts'

/** Keeps hashes of units apart from other hashes; a new way to hash gets a new one. */
export const UNIT_HASH_DOMAIN = 'efedllm-unit-1\n'

/** Order in which the tensors of a unit are hashed. */
export const ROLE_ORDER: readonly TensorRole[] = [
  'embedding',
  'attentionNorm', 'query', 'key', 'value', 'attentionOutput',
  'queryBias', 'keyBias', 'valueBias', 'attentionOutputBias',
  'queryNorm', 'keyNorm',
  'feedForwardNorm', 'gate', 'up', 'down',
  'finalNorm', 'projection'
]

export interface HashOptions {
  signal?: AbortSignal
  /** bytes hashed so far, of all */
  onProgress?: (done: number, total: number) => void
}

/** Tensors of a unit in the order of their hash. */
export function tensorsInOrder (unit: UnitSource): Array<[TensorRole, TensorSource]> {
  return ROLE_ORDER.flatMap(role => {
    const source = unit.tensors[role]
    return source === undefined ? [] : [[role, source] as [TensorRole, TensorSource]]
  })
}

/**
 * SHA-256 of each unit: the domain, then for each tensor in order of role a
 * canonical JSON {interleavedHeads, role, shape, type} and the bytes as the
 * file has them, each preceded by its length as a little-endian u64.
 *
 * Reads in chunks and lets the event loop run between them.
 *
 * @throws ModelFileError where a file cannot be read; the reason of the signal after an abort
 */
export async function hashUnits (units: readonly UnitSource[], { signal, onProgress }: HashOptions = {}): Promise<string[]> {
  const lengths = units.map(unit => tensorsInOrder(unit).reduce((sum, [, source]) => sum + source.byteLength, 0))
  const total = lengths.reduce((sum, length) => sum + length, 0)
  const files = new Map<string, FileHandle>()
  const buffer = new Uint8Array(HASH_CHUNK_BYTES)
  let done = 0
  try {
    const hashes: string[] = []
    for (const unit of units) {
      const hash = createHash('sha256').update(UNIT_HASH_DOMAIN)
      for (const [role, source] of tensorsInOrder(unit)) {
        const descriptor = describeTensor(role, source)
        hash.update(u64(descriptor.length)).update(descriptor).update(u64(source.byteLength))
        const file = files.get(source.path) ?? await openFile(source.path)
        files.set(source.path, file)
        for (let at = 0; at < source.byteLength; at += buffer.length) {
          signal?.throwIfAborted()
          const length = Math.min(buffer.length, source.byteLength - at)
          await readFully(file, source, buffer.subarray(0, length), at)
          hash.update(buffer.subarray(0, length))
          done += length
          onProgress?.(done, total)
        }
      }
      hashes.push(hash.digest('hex'))
    }
    return hashes
  } finally {
    await Promise.all([...files.values()].map(file => file.close()))
  }
}

function describeTensor (role: TensorRole, { type, shape, interleavedHeads }: TensorSource): Uint8Array {
  return new TextEncoder().encode(canonicalJson({ interleavedHeads: interleavedHeads ?? null, role, shape, type }))
}

function u64 (value: number): Uint8Array {
  const bytes = new Uint8Array(8)
  new DataView(bytes.buffer).setBigUint64(0, BigInt(value), true)
  return bytes
}

async function openFile (path: string): Promise<FileHandle> {
  try {
    return await open(path)
  } catch (cause) {
    throw new ModelFileError(path, 'file', `cannot be opened: ${(cause as Error).message}`, { cause })
  }
}

async function readFully (file: FileHandle, source: TensorSource, into: Uint8Array, at: number): Promise<void> {
  let done = 0
  while (done < into.length) {
    const { bytesRead } = await file.read(into, done, into.length - done, source.offset + at + done).catch(cause => {
      throw new ModelFileError(source.path, source.name ?? 'file', `cannot be read: ${(cause as Error).message}`, { cause })
    })
    if (bytesRead === 0) throw new ModelFileError(source.path, source.name ?? 'file', 'the file ends too early')
    done += bytesRead
  }
}
