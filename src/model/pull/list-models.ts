import { dataDirectory as ownDirectory } from '../data-directory.ts'
import { catalogue } from './catalogue.ts'
import { bytesOf } from './disk.ts'
import { hubCacheDirectory } from './environment.ts'
import { listCached } from './hub-cache.ts'
import { findLocal } from './local.ts'
import type { ListedModel, PullOptions } from './types.ts'

/**
 * The catalogue, and the other models in the hub's cache that look complete.
 * Entries with a `path` are on this machine. Asks nobody.
 */
export async function listModels (options: Pick<PullOptions, 'dataDirectory' | 'hubCacheDirectory' | 'environment'> = {}): Promise<ListedModel[]> {
  const dataDirectory = options.dataDirectory ?? ownDirectory(options.environment)
  const cacheDirectory = options.hubCacheDirectory ?? hubCacheDirectory(options.environment)
  const listed: ListedModel[] = []
  for (const entry of catalogue) {
    const local = await findLocal(entry, { dataDirectory, cacheDirectory })
    listed.push({
      name: entry.name,
      description: entry.description,
      source: local?.source ?? (entry.hub !== undefined ? 'hub' : 'pip'),
      ...(local !== undefined && { path: local.path, byteLength: await bytesOf(local.path) })
    })
  }
  const shown = new Set(listed.map(model => model.path))
  for (const { repository, commit, file, path } of await listCached(cacheDirectory)) {
    if (shown.has(path)) continue
    listed.push({
      name: `hf:${repository}@${commit}${file === undefined ? '' : `:${file}`}`,
      source: 'hub',
      path,
      byteLength: await bytesOf(path)
    })
  }
  return listed
}
