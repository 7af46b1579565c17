import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { exists } from './disk.ts'
import { findCached } from './hub-cache.ts'
import { pulledPath } from './pip.ts'
import type { CatalogueEntry } from './types.ts'

/** Folders to look in. */
export interface Places {
  dataDirectory: string
  cacheDirectory: string
}

/** This package's own folder; sources and compiled files are equally deep in it. */
const PACKAGE_ROOT = fileURLToPath(new URL('../../../', import.meta.url))

/**
 * Where a model of the catalogue is on this machine, or undefined.
 *
 * @param revision instead of the entry's own; then only the hub's cache counts
 */
export async function findLocal (entry: CatalogueEntry, places: Places, options: { revision?: string, source?: 'auto' | 'hub' | 'pip' } = {}): Promise<{ source: 'package' | 'hub' | 'pip', path: string } | undefined> {
  if (entry.packaged !== undefined) return { source: 'package', path: join(PACKAGE_ROOT, entry.packaged) }
  if (entry.hub !== undefined && options.source !== 'pip') {
    const path = await findCached(places.cacheDirectory, { ...entry.hub, ...(options.revision !== undefined && { revision: options.revision }) })
    if (path !== undefined) return { source: 'hub', path }
  }
  if (entry.pip !== undefined && options.source !== 'hub' && options.revision === undefined) {
    const path = pulledPath(places.dataDirectory, entry.pip)
    if (await exists(path)) return { source: 'pip', path }
  }
  return undefined
}
