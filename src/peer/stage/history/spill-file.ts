import { mkdtemp, open, rm } from 'node:fs/promises'
import type { FileHandle } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** Equal slots on disk. Nothing is made before the first `write`. */
export interface SpillFile {
  write (slot: number, bytes: Uint8Array): Promise<void>
  /** fills `into` from an offset of a slot that was written */
  read (slot: number, offset: number, into: Uint8Array): Promise<void>
  /** gives the room back; only while no slot is in use */
  clear (): void
  close (): Promise<void>
}

/**
 * The file has no name while it is in use: it vanishes with the process,
 * however that ends, and nobody else gets to see what prompts have become.
 */
export function createSpillFile (slotBytes: number, directory = tmpdir()): SpillFile {
  let file: Promise<FileHandle> | undefined
  let closed = false

  async function create (): Promise<FileHandle> {
    const folder = await mkdtemp(join(directory, 'efedllm-kept-'))
    try {
      return await open(join(folder, 'outputs'), 'wx+', 0o600)
    } finally {
      await rm(folder, { recursive: true, force: true }).catch(() => {})
    }
  }

  async function drop (old: Promise<FileHandle> | undefined): Promise<void> {
    try {
      await (await old)?.close()
    } catch {
      // it was never opened, or nothing can be done about it
    }
  }

  const spill: SpillFile = {
    async write (slot, bytes) {
      if (closed) throw new Error('the file is closed')
      file ??= create()
      const handle = await file
      for (let done = 0; done < bytes.length;) {
        const { bytesWritten } = await handle.write(bytes, done, bytes.length - done, slot * slotBytes + done)
        done += bytesWritten
      }
    },
    async read (slot, offset, into) {
      const handle = await file
      if (handle === undefined) throw new Error('nothing was written')
      for (let done = 0; done < into.length;) {
        const { bytesRead } = await handle.read(into, done, into.length - done, slot * slotBytes + offset + done)
        if (bytesRead === 0) throw new Error('the file ends too early')
        done += bytesRead
      }
    },
    clear () {
      const old = file
      file = undefined
      drop(old)
    },
    async close () {
      closed = true
      const old = file
      file = undefined
      await drop(old)
    }
  }
  return spill
}
