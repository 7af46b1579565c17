import { randomUUID } from 'node:crypto'
import { existsSync } from 'node:fs'
import { link, mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { ABOUT_FILE, BLOB_FOLDER, DERIVED_FOLDER, INCOMING_FOLDER, MANIFEST_FILE, STALE_MILLISECONDS } from './constants.ts'

/** Where things are in a package directory. */
export interface PackagePaths {
  directory: string
  about: string
  blob: (id: string) => string
  derived: (modelId: string) => string
  incoming: string
}

export function packagePaths (directory: string): PackagePaths {
  return {
    directory,
    about: join(directory, ABOUT_FILE),
    blob: id => join(directory, BLOB_FOLDER, id),
    derived: modelId => join(directory, DERIVED_FOLDER, `${modelId}.json`),
    incoming: join(directory, INCOMING_FOLDER)
  }
}

/** The package directory and manifest that a path stands for: a directory, its `manifest.json`, or a derived manifest. */
export function locatePackage (path: string, isDirectory: boolean): { directory: string, manifest: string } | undefined {
  if (isDirectory) {
    const manifest = join(path, MANIFEST_FILE)
    return existsSync(manifest) ? { directory: path, manifest } : undefined
  }
  if (basename(path) === MANIFEST_FILE) return { directory: dirname(path), manifest: path }
  if (path.endsWith('.json') && basename(dirname(path)) === DERIVED_FOLDER) return { directory: dirname(dirname(path)), manifest: path }
  return undefined
}

/** A file that gets its name only when it is complete. */
export interface NewFile {
  write (bytes: Uint8Array, position: number): Promise<void>
  /** flushes and names the file; it stays in the same file system. `keep`: a file of that name is left as it is, and this one given up */
  nameIt (path: string, options?: { keep?: boolean }): Promise<void>
  discard (): Promise<void>
}

export async function createNewFile ({ incoming }: PackagePaths): Promise<NewFile> {
  await mkdir(incoming, { recursive: true })
  const path = join(incoming, `${randomUUID()}.tmp`)
  const file = await open(path, 'wx')
  let open_ = true
  const close = async (): Promise<void> => {
    if (open_) await file.close()
    open_ = false
  }
  return {
    async write (bytes, position) {
      for (let done = 0; done < bytes.length;) {
        const { bytesWritten } = await file.write(bytes, done, bytes.length - done, position + done)
        done += bytesWritten
      }
    },
    async nameIt (name, { keep = false } = {}) {
      // a power cut must not leave the name without the bytes
      await file.sync()
      await close()
      await mkdir(dirname(name), { recursive: true })
      if (!keep || !await nameUnlessTaken(path, name)) await rename(path, name)
    },
    async discard () {
      await close()
      await rm(path, { force: true })
    }
  }
}

/** False where the file system has no second names for files. */
async function nameUnlessTaken (path: string, name: string): Promise<boolean> {
  try {
    await link(path, name)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') return false
  }
  await rm(path, { force: true })
  return true
}

/** Writes a small file in one go, or not at all. */
export async function writeWhole (paths: PackagePaths, name: string, bytes: Uint8Array): Promise<void> {
  const file = await createNewFile(paths)
  try {
    await file.write(bytes, 0)
    await file.nameIt(name)
  } catch (error) {
    await file.discard()
    throw error
  }
}

/** Removes what processes that died have left, and the folder where it is empty. */
export async function removeStale ({ incoming }: PackagePaths, now = Date.now()): Promise<void> {
  const names = await readdir(incoming).catch(() => [])
  for (const name of names) {
    if (!name.endsWith('.tmp')) continue
    const status = await stat(join(incoming, name)).catch(() => undefined)
    if (status !== undefined && now - status.mtimeMs > STALE_MILLISECONDS) await rm(join(incoming, name), { force: true })
  }
}
