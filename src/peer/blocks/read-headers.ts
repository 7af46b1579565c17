import { readPartialHeader, readStoredHeader } from '../../model/index.ts'
import { BlockKind } from './codec.ts'
import { fetchAll } from './fetch-all.ts'
import type { BlockTask, FetchAllInit } from './fetch-all.ts'
import { hashedTask } from './hashed-task.ts'

export interface ReadHeadersInit extends Pick<FetchAllInit, 'sources' | 'onEvent' | 'signal'> {
  ids: readonly string[]
  /** of a package, or of what will be one */
  directory: string
}

/**
 * Headers of blobs: from the blobs that are here, from what an interrupted
 * fetch left, or from peers. Throws what `fetchAll` throws.
 */
export async function readHeaders ({ ids, directory, sources, onEvent, signal }: ReadHeadersInit): Promise<Map<string, Uint8Array>> {
  const headers = new Map<string, Uint8Array>()
  const tasks: BlockTask[] = []
  for (const id of new Set(ids)) {
    const known = readStoredHeader(directory, id) ?? await readPartialHeader(directory, id)
    if (known !== undefined) headers.set(id, known)
    else tasks.push(hashedTask({ kind: BlockKind.header, hash: id, what: `the header of blob ${id.slice(0, 12)}` }, bytes => { headers.set(id, bytes.slice()) }))
  }
  await fetchAll({ tasks, sources, onEvent, signal })
  return headers
}
