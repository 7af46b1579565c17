import { createHash } from 'node:crypto'
import { open } from 'node:fs/promises'
import type { FileHandle } from 'node:fs/promises'
import { ModelFileError } from '../errors.ts'
import { BLOCK_BYTES, HASH_BYTES } from './constants.ts'
import { blockCount } from './header.ts'
import type { BlobHeader } from './header.ts'

/** Bytes of a block of the data: all but the last have BLOCK_BYTES. */
export function blockByteLength (dataLength: number, index: number): number {
  return Math.min(BLOCK_BYTES, dataLength - index * BLOCK_BYTES)
}

/** Whether a block of data is the one that its blob's header names. */
export function isBlock (header: BlobHeader, index: number, bytes: Uint8Array): boolean {
  if (bytes.length !== blockByteLength(header.dataLength, index)) return false
  const expected = header.blockHashes.subarray(index * HASH_BYTES, (index + 1) * HASH_BYTES)
  return createHash('sha256').update(bytes).digest().equals(expected)
}

export interface CheckBlocksOptions {
  signal?: AbortSignal
  /** bytes of data since the last call */
  onBytes?: (count: number) => void
}

/**
 * Indices of blocks of an open file that are not what the header says; blocks
 * beyond the end of the file are among them.
 */
export async function wrongBlocks (file: FileHandle, header: BlobHeader, { signal, onBytes }: CheckBlocksOptions = {}): Promise<number[]> {
  const buffer = new Uint8Array(BLOCK_BYTES)
  const wrong: number[] = []
  for (let index = 0; index < blockCount(header.dataLength); index++) {
    signal?.throwIfAborted()
    const block = buffer.subarray(0, blockByteLength(header.dataLength, index))
    const count = await readAt(file, block, header.byteLength + index * BLOCK_BYTES)
    if (count < block.length || !isBlock(header, index, block)) wrong.push(index)
    onBytes?.(block.length)
  }
  return wrong
}

/**
 * Checks all data of a blob's file.
 *
 * @throws ModelFileError naming the first wrong block; the signal's reason
 */
export async function checkBlocks (path: string, header: BlobHeader, options: CheckBlocksOptions = {}): Promise<void> {
  let file: FileHandle
  try {
    file = await open(path)
  } catch (cause) {
    throw new ModelFileError(path, 'file', `cannot be opened: ${(cause as Error).message}`, { cause })
  }
  try {
    const wrong = await wrongBlocks(file, header, options)
    if (wrong.length > 0) {
      throw new ModelFileError(path, `block ${wrong[0]}`, `does not have its hash (${wrong.length} of ${blockCount(header.dataLength)} blocks are wrong)`)
    }
  } finally {
    await file.close()
  }
}

/** Reads as much as there is; gives the number of bytes. */
export async function readAt (file: FileHandle, into: Uint8Array, position: number): Promise<number> {
  let done = 0
  while (done < into.length) {
    const { bytesRead } = await file.read(into, done, into.length - done, position + done)
    if (bytesRead === 0) break
    done += bytesRead
  }
  return done
}
