import { readFile } from 'node:fs/promises'
import { dirname, join, posix } from 'node:path'
import { DEFAULT_REVISION, MAX_INDEX_BYTES } from './constants.ts'
import { bytesOf, ensureSpace } from './disk.ts'
import { downloadFile } from './download-file.ts'
import type { HubSettings } from './environment.ts'
import { UnusableRepositoryError } from './errors.ts'
import { contentUrl, findCommit, listFolder, refusal, requestHeaders } from './hub-api.ts'
import type { HubConnection } from './hub-api.ts'
import { blobPath, findCached, publishSnapshot, repositoryFolder, snapshotFolder } from './hub-cache.ts'
import { selectFiles, selectShards } from './hub-listing.ts'
import type { HubFile } from './hub-listing.ts'
import { COMMIT } from './reference.ts'
import type { HubReference, PullOptions } from './types.ts'

/**
 * Brings a model from the hub into the hub's cache folder, only the files that
 * it needs, and gives its path: a folder, or a GGUF file.
 *
 * The client library of the hub is asked for revision and listing. Its download
 * neither resumes nor checks, so content is fetched by `downloadFile`.
 */
export async function pullFromHub (reference: HubReference, settings: HubSettings, options: PullOptions): Promise<string> {
  const { repository, file } = reference
  const revision = reference.revision ?? DEFAULT_REVISION
  if (COMMIT.test(revision)) {
    // a commit does not change: what is complete needs no question
    const cached = await findCached(settings.cacheDirectory, reference)
    if (cached !== undefined) return cached
  }
  const connection: HubConnection = { settings, fetch: options.fetch ?? fetch, signal: options.signal }
  options.onProgress?.({ phase: 'connecting', source: 'hub', received: 0, total: 0 })

  const commit = await findCommit(connection, repository, revision)
  const subfolder = file === undefined ? '.' : posix.dirname(file)
  const listing = await listFolder(connection, repository, commit, subfolder === '.' ? undefined : subfolder)
  const selection = selectFiles(repository, listing, file)
  const folder = repositoryFolder(settings.cacheDirectory, repository)
  const fetchFiles = async (files: HubFile[]): Promise<void> => await fetchAll(connection, repository, commit, folder, files, options)

  let weights = selection.weights
  if (selection.index !== undefined) {
    if (selection.index.byteLength > MAX_INDEX_BYTES) throw new UnusableRepositoryError(repository, `${selection.index.path}: larger than ${MAX_INDEX_BYTES} bytes`)
    await fetchFiles([selection.index])
    weights = selectShards(repository, await readFile(blobPath(folder, selection.index), 'utf8'), listing)
  }
  const files = [...selection.description, ...weights]
  await fetchFiles(files)
  options.signal?.throwIfAborted()
  await publishSnapshot(folder, commit, revision, files)
  const snapshot = snapshotFolder(folder, commit)
  return selection.description.length === 0 ? join(snapshot, weights[0].path) : snapshot
}

async function fetchAll (connection: HubConnection, repository: string, commit: string, folder: string, files: HubFile[], options: PullOptions): Promise<void> {
  const { settings } = connection
  const total = files.reduce((sum, file) => sum + file.byteLength, 0)
  await checkSpace(join(folder, 'blobs'), files, total)
  let before = 0
  for (const file of files) {
    await downloadFile({
      name: `${repository}/${file.path}`,
      url: contentUrl(settings, repository, commit, file.path),
      headers: requestHeaders(settings),
      path: blobPath(folder, file),
      byteLength: file.byteLength,
      checksum: file.checksum,
      fetch: connection.fetch,
      signal: connection.signal,
      retryDelay: options.retryDelay,
      refuse: response => refusal(response, `${repository}/${file.path}`, settings),
      onBytes: received => options.onProgress?.({ phase: 'downloading', source: 'hub', file: file.path, received: before + received, total })
    })
    before += file.byteLength
  }
}

async function checkSpace (blobs: string, files: HubFile[], total: number): Promise<void> {
  const present = await Promise.all(files.flatMap(file => {
    const path = blobPath(dirname(blobs), file)
    return [bytesOf(path), bytesOf(`${path}.incomplete`)]
  }))
  await ensureSpace(blobs, total - present.reduce((sum, bytes) => sum + bytes, 0))
}
