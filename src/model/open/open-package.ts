import { checkBlocks, readBlobHeader } from '../blob/index.ts'
import { ModelFileError, UnsupportedModelError } from '../errors.ts'
import { cachedHashes } from '../manifest/index.ts'
import type { Package } from '../package/index.ts'
import { createTokenizerFromCanonical, TokenizerFormatError, UnsupportedTokenizerError } from '../tokenizer/index.ts'
import type { LoadedTokenizer } from '../tokenizer/index.ts'
import type { Model } from '../types.ts'
import type { OpenModelOptions } from './open-model.ts'

/**
 * A package as a model. All that is here of it is hashed the first time, and
 * all units that are here are complete: what cannot be hosted cannot be opened.
 *
 * @throws ModelFileError, UnsupportedModelError; the reason of the signal after an abort
 */
export async function openPackage (source: Package, { signal, onProgress, cacheDirectory }: OpenModelOptions & { cacheDirectory: string }): Promise<Model> {
  const { manifest, modelId, paths, name } = source
  const blobs = source.blobs()
  const headers = blobs.map(id => ({ path: paths.blob(id), header: readBlobHeader(paths.blob(id), id) }))
  const total = headers.reduce((sum, { header }) => sum + header.dataLength, 0)
  let done = 0
  await cachedHashes(source.main, headers.map(({ path }) => path), modelId, blobs.length, { cacheDirectory }, async () => {
    for (const { path, header } of headers) {
      await checkBlocks(path, header, {
        signal,
        onBytes: count => {
          done += count
          onProgress?.({ type: 'model:hash', done, total })
        }
      })
    }
    return blobs
  })
  const loaded = readTokenizer(source)
  manifest.units.forEach((_, unit) => { if (source.has(unit)) source.unit(unit) })
  return {
    name,
    modelId,
    manifest,
    architecture: manifest.architecture,
    tokenizer: loaded.tokenizer,
    tokenizerData: loaded.canonical,
    generation: source.generation ?? { stopTokenIds: [...loaded.eosTokenIds].sort((a, b) => a - b), bosTokenId: loaded.bosTokenId },
    hasChatTemplate: loaded.chatTemplate !== null,
    renderChat: (messages, options) => loaded.renderChat(messages, options),
    unit: index => source.unit(index)
  }
}

function readTokenizer (source: Package): LoadedTokenizer {
  const path = source.paths.blob(source.manifest.tokenizer)
  try {
    return createTokenizerFromCanonical(source.readTokenizerData())
  } catch (cause) {
    if (cause instanceof TokenizerFormatError) throw new ModelFileError(path, 'tokenizer', cause.message, { cause })
    if (cause instanceof UnsupportedTokenizerError) throw new UnsupportedModelError(path, 'tokenizer', cause.message, { cause })
    throw cause
  }
}
