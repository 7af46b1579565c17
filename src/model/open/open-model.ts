import { buildDataBlob } from '../blob/index.ts'
import { cacheDirectory as defaultCacheDirectory } from '../data-directory.ts'
import { cachedUnitHashes, createManifest, manifestId } from '../manifest/index.ts'
import { isPackage, readPackage } from '../package/index.ts'
import type { Architecture, Model, UnitSource } from '../types.ts'
import { generationDefaults } from './generation.ts'
import { readModelFiles } from './model-files.ts'
import { openPackage } from './open-package.ts'

/** Progress of opening: bytes hashed. Comes only where no cache of the hashes fits. */
export interface OpenProgress { type: 'model:hash', done: number, total: number }

export interface OpenModelOptions {
  signal?: AbortSignal
  onProgress?: (event: OpenProgress) => void
  /** where hashes are cached if not beside the model; default: the cache folder of this software */
  cacheDirectory?: string
}

/**
 * Opens a model: a package (its directory, or a derived manifest in it), a GGUF
 * file, a directory in the layout of Hugging Face, or a safetensors file in
 * such a directory. Reads headers, config and tokenizer; of the tensors it
 * reads nothing but, the first time, all bytes for the hashes of the manifest,
 * which are then cached.
 *
 * @throws ModelFileError, UnsupportedModelError; the reason of the signal after an abort
 */
export async function openModel (path: string, options: OpenModelOptions = {}): Promise<Model> {
  const { signal, onProgress, cacheDirectory = defaultCacheDirectory() } = options
  signal?.throwIfAborted()
  if (isPackage(path)) return await openPackage(readPackage(path), { ...options, cacheDirectory })
  const files = readModelFiles(path)
  const config = files.readConfig()
  const units = files.readUnits(config)
  const loaded = files.readTokenizer()
  const generation = generationDefaults({
    generationJson: files.generationJson,
    configJson: files.configJson,
    tokenizer: loaded,
    file: files.main
  })
  const hashes = await cachedUnitHashes(files.main, files.files, units, {
    signal,
    cacheDirectory,
    onProgress: onProgress && ((done, total) => onProgress({ type: 'model:hash', done, total }))
  })
  const { id: tokenizerId } = await buildDataBlob('tokenizer', loaded.canonical, undefined, { signal })
  const manifest = createManifest(config.architecture, tokenizerId, hashes)
  return {
    name: files.name,
    modelId: manifestId(manifest),
    manifest,
    architecture: config.architecture,
    tokenizer: loaded.tokenizer,
    tokenizerData: loaded.canonical,
    generation,
    hasChatTemplate: loaded.chatTemplate !== null,
    renderChat: (messages, renderOptions) => loaded.renderChat(messages, renderOptions),
    unit: index => unitAt(units, index)
  }
}

/** A model without its tokenizer and manifest: what an engine needs. */
export interface ModelWeights {
  readonly name: string
  readonly architecture: Architecture
  unit (index: number): UnitSource
}

/**
 * Reads architecture and places of tensors only; also of models that come
 * without a tokenizer. Synchronous, headers only.
 *
 * @throws ModelFileError, UnsupportedModelError
 */
export function openWeights (path: string): ModelWeights {
  if (isPackage(path)) {
    const source = readPackage(path)
    return { name: source.name, architecture: source.manifest.architecture, unit: index => source.unit(index) }
  }
  const files = readModelFiles(path)
  const config = files.readConfig()
  const units = files.readUnits(config)
  return { name: files.name, architecture: config.architecture, unit: index => unitAt(units, index) }
}

function unitAt (units: readonly UnitSource[], index: number): UnitSource {
  const unit = units[index]
  if (unit === undefined) throw new RangeError(`unit ${index} of a model of ${units.length} units`)
  return unit
}
