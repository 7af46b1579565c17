import { constants, existsSync } from 'node:fs'
import { mkdir, open, rename, rm } from 'node:fs/promises'
import type { FileHandle } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { BLOCK_BYTES, blockByteLength, blockCount, checkBlobId, decodeBlobHeader, FIXED_BYTES, isBlock, readAt, readBlobHeaderBytes, readFixedPart, wrongBlocks } from '../blob/index.ts'
import type { BlobHeader } from '../blob/index.ts'
import { ModelFileError } from '../errors.ts'
import { packagePaths } from './directory.ts'

/**
 * A blob on its way. Blocks come in any order and each is checked before it is
 * written; only a file with all of them gets the blob's name. What an
 * interrupted fetch left is taken up: its blocks are hashed, so no record of
 * them is needed that could disagree with the bytes.
 */
export interface PartialBlob {
  readonly id: string
  readonly header: BlobHeader
  /** indices of blocks that are still to come, ascending when opened */
  readonly missing: ReadonlySet<number>
  /**
   * Checks and writes a block.
   *
   * @returns false where it is not the block that the header names; nothing is written then
   */
  write (index: number, bytes: Uint8Array): Promise<boolean>
  /** gives the file its name once nothing is missing */
  finish (): Promise<void>
  /** keeps what is there for another time */
  close (): Promise<void>
}

function partPath (directory: string, id: string): string {
  return join(packagePaths(directory).incoming, `${id}.part`)
}

export function hasBlob (directory: string, id: string): boolean {
  return existsSync(packagePaths(directory).blob(id))
}

/** Header bytes of a blob that is here; undefined where its file is damaged. */
export function readStoredHeader (directory: string, id: string): Uint8Array | undefined {
  try {
    return readBlobHeaderBytes(packagePaths(directory).blob(id), id)
  } catch (error) {
    if (error instanceof ModelFileError) return undefined
    throw error
  }
}

/** The header that an interrupted fetch left, or undefined where there is none or it is damaged. */
export async function readPartialHeader (directory: string, id: string): Promise<Uint8Array | undefined> {
  const path = partPath(directory, id)
  const file = await open(path).catch(() => undefined)
  if (file === undefined) return undefined
  try {
    const fixed = new Uint8Array(FIXED_BYTES)
    await readAt(file, fixed, 0)
    const bytes = new Uint8Array(readFixedPart(fixed, path).byteLength)
    await readAt(file, bytes, 0)
    checkBlobId(bytes, id, path)
    return bytes
  } catch (error) {
    if (error instanceof ModelFileError) return undefined
    throw error
  } finally {
    await file.close()
  }
}

/**
 * Opens or begins the file of a blob.
 *
 * @param headerBytes the header, whose hash is `id`
 * @throws ModelFileError where the header is not that of the blob
 */
export async function openPartialBlob (directory: string, id: string, headerBytes: Uint8Array, options: { signal?: AbortSignal } = {}): Promise<PartialBlob> {
  const paths = packagePaths(directory)
  const path = partPath(directory, id)
  checkBlobId(headerBytes, id, path)
  const header = decodeBlobHeader(headerBytes, path)
  await mkdir(paths.incoming, { recursive: true })
  const file = await open(path, constants.O_RDWR | constants.O_CREAT, 0o644)
  try {
    const fresh = (await file.stat()).size === 0
    await writeAt(file, headerBytes, 0)
    const missing = new Set(fresh ? Array.from({ length: blockCount(header.dataLength) }, (_, index) => index) : await wrongBlocks(file, header, options))
    return createPartialBlob(id, header, file, path, paths.blob(id), missing)
  } catch (error) {
    await file.close()
    throw error
  }
}

function createPartialBlob (id: string, header: BlobHeader, file: FileHandle, path: string, name: string, missing: Set<number>): PartialBlob {
  let closing: Promise<void> | undefined
  const close = async (): Promise<void> => await (closing ??= file.close())
  return {
    id,
    header,
    missing,
    async write (index, bytes) {
      if (!missing.has(index)) return true
      if (!isBlock(header, index, bytes)) return false
      await writeAt(file, bytes, header.byteLength + index * BLOCK_BYTES)
      missing.delete(index)
      return true
    },
    async finish () {
      if (missing.size > 0) throw new RangeError(`${missing.size} blocks of ${id} are missing`)
      const last = blockCount(header.dataLength) - 1
      await file.truncate(header.byteLength + (last < 0 ? 0 : last * BLOCK_BYTES + blockByteLength(header.dataLength, last)))
      // a power cut must not leave the name without the bytes
      await file.sync()
      await close()
      await mkdir(dirname(name), { recursive: true })
      try {
        await rename(path, name)
      } catch (error) {
        // another process was at the same blob, and faster
        if ((error as NodeJS.ErrnoException).code !== 'ENOENT' || !existsSync(name)) throw error
        await rm(path, { force: true })
      }
    },
    close
  }
}

async function writeAt (file: FileHandle, bytes: Uint8Array, position: number): Promise<void> {
  for (let done = 0; done < bytes.length;) {
    const { bytesWritten } = await file.write(bytes, done, bytes.length - done, position + done)
    done += bytesWritten
  }
}
