import { createHash } from 'node:crypto'
import { openWeights, readPackage } from '../../src/model/index.ts'
import type { Architecture, Model, Tokenizer } from '../../src/model/index.ts'
import { writeRandomWeights } from './random-weights.ts'

/** Every character is a token. */
function characterTokenizer (vocabularySize: number): Tokenizer {
  const unused = (): never => { throw new Error('is not used') }
  return {
    vocabularySize,
    encode: text => Array.from(text, character => character.codePointAt(0)! % vocabularySize),
    decode: unused,
    tokenToId: unused,
    createTextStream: unused
  }
}

function modelOf (name: string, modelId: string, architecture: Architecture, unit: Model['unit'], manifest: unknown): Model {
  return {
    name,
    modelId,
    manifest: manifest as Model['manifest'],
    architecture,
    tokenizer: characterTokenizer(architecture.vocabularySize),
    tokenizerData: new TextEncoder().encode('characters'),
    generation: { stopTokenIds: [], bosTokenId: null },
    hasChatTemplate: false,
    renderChat: () => { throw new Error('has no template') },
    unit
  }
}

/** A small model with random weights, as it is opened. */
export function randomModel (directory: string, name: string, architecture: Architecture, seed: number): Model {
  const weights = writeRandomWeights(directory, name, architecture, 'F32', seed)
  return modelOf(name, createHash('sha256').update(name).digest('hex'), architecture, weights.unit, null)
}

/** A package of such a model, without the tokenizer that it does not have. */
export function openRandomPackage (directory: string): Model {
  const { architecture, unit } = openWeights(directory)
  const { manifest, modelId, name } = readPackage(directory)
  return modelOf(name, modelId, architecture, unit, manifest)
}
