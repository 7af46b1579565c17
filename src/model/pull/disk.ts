import { mkdir, readdir, stat, statfs } from 'node:fs/promises'
import { join } from 'node:path'
import { DiskSpaceError } from './errors.ts'

/** Bytes of a file, or of the files of a folder and the folders in it; links to files are followed. */
export async function bytesOf (path: string): Promise<number> {
  const status = await stat(path).catch(() => undefined)
  if (status === undefined) return 0
  if (!status.isDirectory()) return status.size
  let total = 0
  for (const name of await readdir(path, { recursive: true }).catch(() => [])) {
    const inside = await stat(join(path, name)).catch(() => undefined)
    if (inside?.isFile()) total += inside.size
  }
  return total
}

/** Names in a folder, in order; none where there is no such folder. */
export async function list (folder: string): Promise<string[]> {
  return (await readdir(folder).catch(() => [])).sort()
}

/** True where something is there, a link's target included. */
export async function exists (path: string): Promise<boolean> {
  return await stat(path).then(() => true, () => false)
}

/**
 * Makes a folder and checks that it has room.
 *
 * @throws DiskSpaceError
 */
export async function ensureSpace (folder: string, needed: number): Promise<void> {
  await mkdir(folder, { recursive: true })
  // a file system that cannot tell is no reason to stop
  const status = await statfs(folder).catch(() => undefined)
  if (status === undefined || status.blocks === 0) return
  const free = status.bavail * status.bsize
  if (needed > free) throw new DiskSpaceError(folder, needed, free)
}
