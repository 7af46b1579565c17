import { open } from 'node:fs/promises'
import { BLOCK_BYTES, blockByteLength, blockCount, readAt, readBlobHeaderBytes, readFixedPart } from '../blob/index.ts'
import { readPackage } from './read-package.ts'
import type { Package } from './read-package.ts'

/** What a peer can give to others: manifests and blobs, by their hashes. Undefined stands for "not here". */
export interface BlockStore {
  /** canonical encoding */
  manifest (modelId: string): Uint8Array | undefined
  /** header of a blob */
  header (id: string): Uint8Array | undefined
  /** one block of a blob's data */
  block (id: string, index: number): Promise<Uint8Array | undefined>
}

/**
 * Serves the packages at these paths, as far as they are here. A blob that
 * cannot be read, or does not have its hash any more, is as good as absent.
 *
 * @throws ModelFileError
 */
export function createBlockStore (packages: readonly string[]): BlockStore {
  const sources = packages.map(path => readPackage(path))
  const owners = new Map<string, Package>()
  for (const source of sources) {
    for (const id of [...source.manifest.units, source.manifest.tokenizer]) owners.set(id, source)
  }
  const lengths = new Map<string, { byteLength: number, dataLength: number }>()

  const header = (id: string): Uint8Array | undefined => {
    const path = owners.get(id)?.paths.blob(id)
    if (path === undefined) return undefined
    try {
      const bytes = readBlobHeaderBytes(path, id)
      lengths.set(id, readFixedPart(bytes, path))
      return bytes
    } catch {
      return undefined
    }
  }
  return {
    manifest: modelId => sources.find(source => source.modelId === modelId)?.manifestBytes,
    header,
    async block (id, index) {
      const path = owners.get(id)?.paths.blob(id)
      if (path === undefined || (!lengths.has(id) && header(id) === undefined)) return undefined
      const { byteLength, dataLength } = lengths.get(id)!
      if (index >= blockCount(dataLength)) return undefined
      const file = await open(path).catch(() => undefined)
      if (file === undefined) return undefined
      try {
        const bytes = new Uint8Array(blockByteLength(dataLength, index))
        return await readAt(file, bytes, byteLength + index * BLOCK_BYTES) === bytes.length ? bytes : undefined
      } catch {
        return undefined
      } finally {
        await file.close()
      }
    }
  }
}
