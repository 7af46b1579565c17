import { createHash } from 'node:crypto'
import { cacheDirectory as defaultCacheDirectory } from '../data-directory.ts'
import { cachedUnitHashes, createManifest, manifestId } from '../manifest/index.ts'
import type { Architecture, Model, UnitSource } from '../types.ts'
import { generationDefaults } from './generation.ts'
import { readModelFiles } from './model-files.ts'

/** Progress of opening: bytes hashed. Comes only where no cache of the hashes fits. */
export interface OpenProgress { type: 'model:hash', done: number, total: number }

export interface OpenModelOptions {
  signal?: AbortSignal
  onProgress?: (event: OpenProgress) => void
  /** where hashes are cached if not beside the model; default: the cache folder of this software */
  cacheDirectory?: string
}

/**
 * Opens a model: a GGUF file, a directory in the layout of Hugging Face, or a
 * safetensors file in such a directory. Reads headers, config and tokenizer;
 * of the tensors it reads nothing but, the first time, all bytes for the
 * hashes of the manifest, which are then cached.
 *
 * @throws ModelFileError, UnsupportedModelError; the reason of the signal after an abort
 */
export async function openModel (path: string, options: OpenModelOptions = {}): Promise<Model> {
  const { signal, onProgress, cacheDirectory = defaultCacheDirectory() } = options
  signal?.throwIfAborted()
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
  const tokenizerHash = createHash('sha256').update(loaded.canonical).digest('hex')
  const manifest = createManifest(config.architecture, tokenizerHash, hashes)
  return {
    name: files.name,
    modelId: manifestId(manifest),
    manifest,
    architecture: config.architecture,
    tokenizer: loaded.tokenizer,
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
