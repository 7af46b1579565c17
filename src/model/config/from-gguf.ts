import { ModelFileError, UnsupportedModelError } from '../errors.ts'
import type { GgufFile } from '../gguf/index.ts'
import { readTensor, toTensorSource } from '../tensor/index.ts'
import type { RopeScaling } from '../types.ts'
import { checkArchitecture, describe, isInteger } from './check-architecture.ts'
import type { ModelConfig } from './types.ts'

const FAMILIES = ['llama', 'qwen2', 'qwen3'] as const

/** llama.cpp's default where `rope.freq_base` is missing. */
const DEFAULT_THETA = 10_000

/** Divisors of the RoPE frequencies; all that a GGUF file keeps of the scaling of Llama 3. */
export const ROPE_FACTORS_TENSOR = 'rope_freqs.weight'

/** Keys that change what a model computes and that the engine does not have, with the value that means "not used". */
const UNSUPPORTED: ReadonlyArray<[key: string, neutral: number]> = [
  ['expert_count', 0],
  ['logit_scale', 0],
  ['embedding_scale', 0],
  ['residual_scale', 0],
  ['attention.scale', 0],
  ['attention.clamp_kqv', 0],
  ['attention.max_alibi_bias', 0],
  ['attn_logit_softcapping', 0],
  ['final_logit_softcapping', 0],
  ['rope.scaling.attn_factor', 1]
]

/**
 * The architecture of a GGUF file. Mistral models come as `llama` there.
 * Reads the small tensor of RoPE factors where there is one.
 *
 * @throws ModelFileError for metadata that is missing or broken
 * @throws UnsupportedModelError for what cannot be computed
 */
export function configFromGguf (file: GgufFile): ModelConfig {
  const broken = (key: string, reason: string): never => { throw new ModelFileError(file.path, `metadata "${key}"`, reason) }
  const unsupported = (key: string, reason: string): never => { throw new UnsupportedModelError(file.path, `metadata "${key}"`, reason) }
  const name = file.metadata.get('general.architecture')
  const family = FAMILIES.find(known => known === name)
  if (typeof name !== 'string') return broken('general.architecture', `${describe(name)} is not a name`)
  if (family === undefined) return unsupported('general.architecture', `architecture ${describe(name)} is not supported, only ${FAMILIES.join(', ')}`)
  const splits = file.metadata.get('split.count') ?? 0
  if (splits !== 0 && splits !== 1) unsupported('split.count', 'files in several parts are not supported; join them with `llama-gguf-split --merge`')

  const get = (key: string): unknown => file.metadata.get(`${family}.${key}`)
  const integer = (key: string, missing?: number): number => {
    const value = get(key) ?? missing
    if (Array.isArray(value)) return unsupported(`${family}.${key}`, 'different sizes for different layers are not supported')
    return isInteger(value, 1, Number.MAX_SAFE_INTEGER) ? value : broken(`${family}.${key}`, `${describe(value)} is not a positive integer`)
  }
  const number = (key: string, missing?: number): number => {
    const value = get(key) ?? missing
    return typeof value === 'number' ? value : broken(`${family}.${key}`, `${describe(value)} is not a number`)
  }
  for (const [key, neutral] of UNSUPPORTED) {
    const value = get(key) ?? neutral
    if (value !== neutral) unsupported(`${family}.${key}`, `${describe(value)} is not supported`)
  }

  const layerCount = integer('block_count')
  const hiddenSize = integer('embedding_length')
  const headCount = integer('attention.head_count')
  const headSize = integer('attention.key_length', Math.floor(hiddenSize / headCount))
  const contextLength = integer('context_length')
  for (const key of ['attention.value_length', 'rope.dimension_count']) {
    if (integer(key, headSize) !== headSize) unsupported(`${family}.${key}`, `${integer(key)} differs from the head size ${headSize}`)
  }
  const embedding = file.tensors.get('token_embd.weight')
  if (embedding === undefined) throw new ModelFileError(file.path, 'tensor "token_embd.weight"', 'is missing')

  const architecture = {
    family,
    layerCount,
    hiddenSize,
    feedForwardSize: integer('feed_forward_length'),
    headCount,
    keyValueHeadCount: integer('attention.head_count_kv', headCount),
    headSize,
    vocabularySize: embedding.shape[0],
    contextLength,
    normEpsilon: number('attention.layer_norm_rms_epsilon'),
    ropeTheta: number('rope.freq_base', DEFAULT_THETA),
    ropeScaling: readScaling(file, family, headSize),
    queryKeyNorm: family === 'qwen3',
    slidingWindows: new Array<number | null>(Math.min(layerCount, 1 << 16)).fill(readWindow()),
    tiedEmbedding: !file.tensors.has('output.weight')
  }
  return {
    architecture: checkArchitecture(architecture, (field, reason) => { throw new UnsupportedModelError(file.path, field, reason) }),
    attentionBias: family === 'qwen2' ? 'queryKeyValue' : 'optional'
  }

  /** Mistral's window is one for all layers; of Qwen's, the file does not say which layers have it. */
  function readWindow (): number | null {
    const key = 'attention.sliding_window'
    const value = get(key) ?? 0
    if (!isInteger(value, 0, Number.MAX_SAFE_INTEGER)) return broken(`${family}.${key}`, `${describe(value)} is not a number of positions`)
    if (value === 0 || value >= contextLength) return null
    return family === 'llama' ? value : unsupported(`${family}.${key}`, 'sliding windows are supported for the llama architecture only')
  }
}

function readScaling (file: GgufFile, family: string, headSize: number): RopeScaling | null {
  const key = `${family}.rope.scaling.type`
  const type = file.metadata.get(key) ?? 'linear'
  if (type !== 'linear' && type !== 'none') {
    throw new UnsupportedModelError(file.path, `metadata "${key}"`, `RoPE type ${describe(type)} is not supported, only none and linear`)
  }
  const factorKey = `${family}.rope.scaling.factor`
  const factor = file.metadata.get(factorKey) ?? file.metadata.get(`${family}.rope.scale_linear`) ?? 1
  if (typeof factor !== 'number') throw new ModelFileError(file.path, `metadata "${factorKey}"`, `${describe(factor)} is not a number`)
  // llama.cpp takes a factor of 0 for "none"
  const linear = type === 'linear' && factor !== 0 && factor !== 1 ? factor : null

  const tensor = file.tensors.get(ROPE_FACTORS_TENSOR)
  if (tensor === undefined) return linear === null ? null : { kind: 'linear', factor: linear }
  const field = `tensor "${ROPE_FACTORS_TENSOR}"`
  if (linear !== null) throw new UnsupportedModelError(file.path, field, 'RoPE factors together with linear scaling are not supported')
  if (tensor.shape.length !== 1 || tensor.shape[0] !== headSize / 2) {
    throw new ModelFileError(file.path, `${field}.shape`, `[${tensor.shape.join(', ')}] is not [${headSize / 2}], half the head size`)
  }
  const factors = Array.from(readTensor(toTensorSource(tensor)))
  return factors.every(value => value === 1) ? null : { kind: 'factors', factors }
}
