/**
 * The hub's cache folder, in the layout that its own clients read and write
 * (https://huggingface.co/docs/huggingface_hub/guides/manage-cache):
 * `models--owner--repo/blobs/CHECKSUM`, `refs/REVISION` with a commit in it, and
 * `snapshots/COMMIT/FILE`, links to the blobs.
 */
import { randomUUID } from 'node:crypto'
import { copyFile, link, mkdir, readFile, rename, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { basename, dirname, join, relative } from 'node:path'
import { DEFAULT_REVISION, MAX_INDEX_BYTES } from './constants.ts'
import { exists, list } from './disk.ts'
import { shardNames } from './hub-listing.ts'
import type { HubFile } from './hub-listing.ts'
import { COMMIT, isSafePath } from './reference.ts'
import type { HubReference } from './types.ts'

const INDEX = 'model.safetensors.index.json'

/** Folder of a repository. */
export function repositoryFolder (cacheDirectory: string, repository: string): string {
  return join(cacheDirectory, `models--${repository.replaceAll('/', '--')}`)
}

/** Where the content of a file is kept. */
export function blobPath (folder: string, file: HubFile): string {
  return join(folder, 'blobs', file.checksum.digest)
}

/** Folder of a commit. */
export function snapshotFolder (folder: string, commit: string): string {
  return join(folder, 'snapshots', commit)
}

/**
 * Makes the files of a commit visible, all of whose blobs are complete. The
 * first of `files` comes last, so that a model is not there by half: without its
 * `config.json` or its one GGUF file a folder is no model.
 */
export async function publishSnapshot (folder: string, commit: string, revision: string, files: HubFile[]): Promise<void> {
  const snapshot = snapshotFolder(folder, commit)
  for (const file of [...files].reverse()) await linkBlob(blobPath(folder, file), join(snapshot, file.path))
  if (COMMIT.test(revision)) return
  const reference = join(folder, 'refs', revision)
  await mkdir(dirname(reference), { recursive: true })
  const unfinished = `${reference}.${randomUUID()}`
  await writeFile(unfinished, commit)
  await rename(unfinished, reference)
}

/** Under a name of its own first: renaming replaces what is there in one step, whoever else links the same file. */
async function linkBlob (blob: string, pointer: string): Promise<void> {
  if (await exists(pointer)) return
  await mkdir(dirname(pointer), { recursive: true })
  const unfinished = `${pointer}.${randomUUID()}`
  try {
    await symlink(relative(dirname(pointer), blob), unfinished)
  } catch (error) {
    // Windows gives symbolic links only to some accounts
    if (!['EPERM', 'EACCES', 'ENOSYS', 'ENOTSUP', 'UNKNOWN'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error
    await link(blob, unfinished).catch(async () => await copyFile(blob, unfinished))
  }
  await rename(unfinished, pointer)
  // where both are hard links to one file, renaming does nothing
  await rm(unfinished, { force: true })
}

/**
 * Path of a model that is complete in the cache: a snapshot's folder, or its
 * GGUF file. Undefined where it is not, or not complete.
 */
export async function findCached (cacheDirectory: string, reference: HubReference): Promise<string | undefined> {
  const folder = repositoryFolder(cacheDirectory, reference.repository)
  const commit = await commitOf(folder, reference.revision ?? DEFAULT_REVISION)
  if (commit === undefined) return undefined
  const snapshot = snapshotFolder(folder, commit)
  if (reference.file !== undefined) {
    const path = join(snapshot, reference.file)
    return await exists(path) ? path : undefined
  }
  if (await isModelFolder(snapshot)) return snapshot
  const packed = (await list(snapshot)).filter(name => name.toLowerCase().endsWith('.gguf'))
  if (packed.length !== 1 || await exists(join(snapshot, 'config.json'))) return undefined
  return await exists(join(snapshot, packed[0])) ? join(snapshot, packed[0]) : undefined
}

async function commitOf (folder: string, revision: string): Promise<string | undefined> {
  if (COMMIT.test(revision)) return revision
  if (!isSafePath(revision)) return undefined
  try {
    const text = (await readFile(join(folder, 'refs', revision), 'utf8')).trim()
    return COMMIT.test(text) ? text : undefined
  } catch {
    return undefined
  }
}

/** True where configuration, tokenizer and all weights are there. */
async function isModelFolder (folder: string): Promise<boolean> {
  if (!await exists(join(folder, 'config.json')) || !await exists(join(folder, 'tokenizer.json'))) return false
  if (await exists(join(folder, 'model.safetensors'))) return true
  try {
    const path = join(folder, INDEX)
    if ((await stat(path)).size > MAX_INDEX_BYTES) return false
    const names = shardNames(await readFile(path, 'utf8'))
    if (names === undefined) return false
    const present = await Promise.all(names.map(async name => await exists(join(folder, name))))
    return present.every(Boolean)
  } catch {
    return false
  }
}

/** A model in the cache: how to name it, and where it is. */
export interface CachedModel {
  repository: string
  commit: string
  file?: string
  path: string
}

/** All models in the cache that look complete: for each repository its commits, for each commit a folder or GGUF files. */
export async function listCached (cacheDirectory: string): Promise<CachedModel[]> {
  const found: CachedModel[] = []
  for (const name of await list(cacheDirectory)) {
    const match = /^models--(.+?)--(.+)$/.exec(name)
    if (match === null) continue
    const repository = `${match[1]}/${match[2]}`
    const folder = join(cacheDirectory, name)
    for (const commit of await list(join(folder, 'snapshots'))) {
      if (!COMMIT.test(commit)) continue
      const snapshot = snapshotFolder(folder, commit)
      if (await isModelFolder(snapshot)) found.push({ repository, commit, path: snapshot })
      for (const file of await list(snapshot)) {
        const path = join(snapshot, file)
        if (file.toLowerCase().endsWith('.gguf') && await exists(path)) found.push({ repository, commit, file: basename(file), path })
      }
    }
  }
  return found
}
