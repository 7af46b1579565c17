import { createHash } from 'node:crypto'
import type { Hash } from 'node:crypto'
import { constants } from 'node:fs'
import { mkdir, open, rename, rm, stat } from 'node:fs/promises'
import type { FileHandle } from 'node:fs/promises'
import { dirname } from 'node:path'
import { HASH_CHUNK_BYTES } from './constants.ts'
import { ChecksumError } from './errors.ts'

/** What a file must hash to. `git` is git's object id: SHA-1 of a header and the content. */
export interface Checksum {
  algorithm: 'sha256' | 'git'
  digest: string
}

/**
 * A file on its way. Bytes gather in `PATH.incomplete`, and only a rename after
 * the checksum gives them their name. What an interrupted pull left there is
 * taken up. Two processes at it at once write the same bytes to the same places;
 * one that starts over takes a new file, so that it never cuts what is finished.
 */
export class PartialFile {
  readonly path: string
  readonly byteLength: number
  /** bytes so far */
  received = 0
  private readonly checksum: Checksum
  private readonly partial: string
  private handle: FileHandle | undefined
  private hash: Hash
  /** true where bytes of an earlier pull were taken up, whose origin is not known */
  private inherited = false

  constructor (path: string, byteLength: number, checksum: Checksum) {
    this.path = path
    this.partial = `${path}.incomplete`
    this.byteLength = byteLength
    this.checksum = checksum
    this.hash = startHash(checksum, byteLength)
  }

  /** True where the finished file is there already. */
  async isComplete (): Promise<boolean> {
    const status = await stat(this.path).catch(() => undefined)
    return status !== undefined && status.isFile() && status.size === this.byteLength
  }

  /** Opens the partial file and hashes what is in it; `fresh` throws that away instead. */
  async open (options: { fresh?: boolean, signal?: AbortSignal } = {}): Promise<void> {
    await mkdir(dirname(this.path), { recursive: true })
    this.handle = await open(this.partial, constants.O_RDWR | constants.O_CREAT, 0o644)
    this.hash = startHash(this.checksum, this.byteLength)
    this.received = 0
    const { size } = await this.handle.stat()
    if (options.fresh || size > this.byteLength) {
      await this.restart()
      return
    }
    const buffer = Buffer.allocUnsafe(Math.min(HASH_CHUNK_BYTES, size))
    while (this.received < size) {
      options.signal?.throwIfAborted()
      const { bytesRead } = await this.handle.read(buffer, 0, Math.min(buffer.length, size - this.received), this.received)
      if (bytesRead === 0) break
      this.hash.update(buffer.subarray(0, bytesRead))
      this.received += bytesRead
    }
    this.inherited = this.received > 0
  }

  /** Adds bytes; false where there are more than the file may have. */
  async append (bytes: Uint8Array): Promise<boolean> {
    if (this.received + bytes.length > this.byteLength) return false
    let written = 0
    while (written < bytes.length) {
      const { bytesWritten } = await this.handle!.write(bytes, written, bytes.length - written, this.received + written)
      written += bytesWritten
    }
    this.hash.update(bytes)
    this.received += bytes.length
    return true
  }

  /** Throws away what has arrived. */
  async restart (): Promise<void> {
    await this.close()
    await rm(this.partial, { force: true })
    this.handle = await open(this.partial, constants.O_RDWR | constants.O_CREAT, 0o644)
    this.hash = startHash(this.checksum, this.byteLength)
    this.received = 0
    this.inherited = false
  }

  /**
   * Checks the whole and gives it its name.
   *
   * @returns false where it must be gone on with: bytes taken up from an earlier pull were wrong and have been
   *   thrown away, or another process has started over
   * @throws ChecksumError where the bytes of this pull are wrong
   */
  async finish (): Promise<boolean> {
    const actual = this.hash.digest('hex')
    if (this.received !== this.byteLength || actual !== this.checksum.digest) {
      const again = this.inherited
      await this.restart()
      if (again) return false
      await this.close()
      await rm(this.partial, { force: true })
      throw new ChecksumError(this.path, this.checksum.digest, actual)
    }
    // a power cut must not leave the name without the bytes
    await this.handle!.sync()
    const named = await this.isNamed()
    await this.close()
    try {
      if (named) {
        await rename(this.partial, this.path)
        return true
      }
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
    }
    // another process was faster, or is at it from the start
    if (await this.isComplete()) return true
    await this.open()
    return false
  }

  /** Closes and throws away what has not got its name. */
  async discard (): Promise<void> {
    if (this.handle === undefined) return
    await this.close()
    await rm(this.partial, { force: true })
  }

  /** False where the partial file's name has gone to another file, or its file has got its final name. */
  private async isNamed (): Promise<boolean> {
    const own = await this.handle!.stat()
    const named = await stat(this.partial).catch(() => undefined)
    return named !== undefined && named.ino === own.ino && named.dev === own.dev
  }

  async close (): Promise<void> {
    const handle = this.handle
    this.handle = undefined
    await handle?.close()
  }
}

function startHash (checksum: Checksum, byteLength: number): Hash {
  if (checksum.algorithm === 'sha256') return createHash('sha256')
  return createHash('sha1').update(`blob ${byteLength}\0`)
}
