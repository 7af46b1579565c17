import { ModelFileError, UnsupportedModelError } from '../errors.ts'
import { toTensorSource } from '../tensor/index.ts'
import type { StoredTensor } from '../tensor/index.ts'
import type { Architecture, TensorRole, TensorSource, UnitSource } from '../types.ts'
import { ROPE_FACTORS_TENSOR } from './from-gguf.ts'
import type { ModelConfig } from './types.ts'

/** How a kind of file names tensors; `layer` is a prefix that the number of the layer follows. */
interface Naming {
  layer: string
  names: Readonly<Record<TensorRole, string>>
  /** tensors that nothing needs */
  ignored: RegExp
}

const GGUF: Naming = {
  layer: 'blk.',
  names: {
    embedding: 'token_embd.weight',
    attentionNorm: 'attn_norm.weight',
    query: 'attn_q.weight',
    key: 'attn_k.weight',
    value: 'attn_v.weight',
    attentionOutput: 'attn_output.weight',
    queryBias: 'attn_q.bias',
    keyBias: 'attn_k.bias',
    valueBias: 'attn_v.bias',
    attentionOutputBias: 'attn_output.bias',
    queryNorm: 'attn_q_norm.weight',
    keyNorm: 'attn_k_norm.weight',
    feedForwardNorm: 'ffn_norm.weight',
    gate: 'ffn_gate.weight',
    up: 'ffn_up.weight',
    down: 'ffn_down.weight',
    finalNorm: 'output_norm.weight',
    projection: 'output.weight'
  },
  // the factors are part of the architecture; old converters wrote the frequencies themselves
  ignored: /(^rope_freqs\.weight|\.attn_rot_embd(\.weight)?)$/
}

const SAFETENSORS: Naming = {
  layer: 'model.layers.',
  names: {
    embedding: 'model.embed_tokens.weight',
    attentionNorm: 'input_layernorm.weight',
    query: 'self_attn.q_proj.weight',
    key: 'self_attn.k_proj.weight',
    value: 'self_attn.v_proj.weight',
    attentionOutput: 'self_attn.o_proj.weight',
    queryBias: 'self_attn.q_proj.bias',
    keyBias: 'self_attn.k_proj.bias',
    valueBias: 'self_attn.v_proj.bias',
    attentionOutputBias: 'self_attn.o_proj.bias',
    queryNorm: 'self_attn.q_norm.weight',
    keyNorm: 'self_attn.k_norm.weight',
    feedForwardNorm: 'post_attention_layernorm.weight',
    gate: 'mlp.gate_proj.weight',
    up: 'mlp.up_proj.weight',
    down: 'mlp.down_proj.weight',
    finalNorm: 'model.norm.weight',
    projection: 'lm_head.weight'
  },
  // buffers that old versions of transformers saved
  ignored: /\.rotary_emb\.inv_freq$/
}

export interface UnitsInput {
  config: ModelConfig
  tensors: ReadonlyMap<string, StoredTensor>
  format: 'gguf' | 'safetensors'
  /** for messages */
  file: string
}

/**
 * The tensors of each unit in order, shapes checked against the architecture.
 * With a tied embedding, the projection of the head is the very object that
 * is the embedding.
 *
 * @throws ModelFileError for tensors that are missing or of the wrong shape
 * @throws UnsupportedModelError for tensors that the architecture does not have
 */
export function buildUnits ({ config, tensors, format, file }: UnitsInput): UnitSource[] {
  const { architecture } = config
  const naming = format === 'gguf' ? GGUF : SAFETENSORS
  const used = new Set<string>()

  const find = (role: TensorRole, layer: number | null, required = true): TensorSource | undefined => {
    const name = layer === null ? naming.names[role] : `${naming.layer}${layer}.${naming.names[role]}`
    const tensor = tensors.get(name)
    if (tensor === undefined) {
      if (required) throw new ModelFileError(file, `tensor "${name}"`, 'is missing')
      return undefined
    }
    used.add(name)
    return sourceOf(role, tensor, architecture, format)
  }
  const findAll = (roles: readonly TensorRole[], layer: number | null, required = true): Partial<Record<TensorRole, TensorSource>> => {
    const found = roles.map(role => [role, find(role, layer, required)] as const)
    return Object.fromEntries(found.filter(([, source]) => source !== undefined))
  }

  const embed = findAll(['embedding'], null)
  const units: UnitSource[] = [{ unit: 'embed', tensors: embed }]
  for (let layer = 0; layer < architecture.layerCount; layer++) {
    units.push({
      unit: `layer ${layer}`,
      tensors: {
        ...findAll(['attentionNorm', 'query', 'key', 'value', 'attentionOutput'], layer),
        ...findBiases(config, (roles, required) => findAll(roles, layer, required)),
        ...(architecture.queryKeyNorm ? findAll(['queryNorm', 'keyNorm'], layer) : {}),
        ...findAll(['feedForwardNorm', 'gate', 'up', 'down'], layer)
      }
    })
  }
  const head = findAll(['finalNorm'], null)
  if (architecture.tiedEmbedding) {
    head.projection = embed.embedding
    // some files keep a copy of the tied matrix; like transformers, look past it
    used.add(naming.names.projection)
  } else Object.assign(head, findAll(['projection'], null))
  units.push({ unit: 'head', tensors: head })

  for (const [name, tensor] of tensors) {
    if (!used.has(name) && name !== ROPE_FACTORS_TENSOR && !naming.ignored.test(name)) {
      throw new UnsupportedModelError(tensor.path, `tensor "${name}"`, `is unknown in the ${architecture.family} architecture`)
    }
  }
  return units
}

const QUERY_KEY_VALUE_BIASES = ['queryBias', 'keyBias', 'valueBias'] as const

function findBiases (
  { attentionBias }: ModelConfig,
  find: (roles: readonly TensorRole[], required: boolean) => Partial<Record<TensorRole, TensorSource>>
): Partial<Record<TensorRole, TensorSource>> {
  if (attentionBias === 'none') return {}
  const roles = attentionBias === 'queryKeyValue' ? QUERY_KEY_VALUE_BIASES : [...QUERY_KEY_VALUE_BIASES, 'attentionOutputBias'] as const
  return find(roles, attentionBias !== 'optional')
}

function sourceOf (role: TensorRole, tensor: StoredTensor, architecture: Architecture, format: string): TensorSource {
  const expected = expectedShape(role, architecture)
  const { shape } = tensor
  if (shape.length !== expected.length || shape.some((size, i) => size !== expected[i])) {
    throw new ModelFileError(tensor.path, `tensor "${tensor.name}".shape`, `[${shape.join(', ')}] is not [${expected.join(', ')}]`)
  }
  const source = toTensorSource(tensor)
  // the converter of llama.cpp permutes q and k, biases too, for this architecture only
  if (format === 'gguf' && architecture.family === 'llama') {
    if (role === 'query' || role === 'queryBias') source.interleavedHeads = architecture.headCount
    if (role === 'key' || role === 'keyBias') source.interleavedHeads = architecture.keyValueHeadCount
  }
  return source
}

/** Rows and columns that a tensor must have; vectors have one dimension. */
export function expectedShape (role: TensorRole, architecture: Architecture): number[] {
  const { hiddenSize, feedForwardSize, headSize, vocabularySize } = architecture
  const queries = architecture.headCount * headSize
  const keys = architecture.keyValueHeadCount * headSize
  switch (role) {
    case 'embedding':
    case 'projection': return [vocabularySize, hiddenSize]
    case 'attentionNorm':
    case 'feedForwardNorm':
    case 'finalNorm':
    case 'attentionOutputBias': return [hiddenSize]
    case 'query': return [queries, hiddenSize]
    case 'key':
    case 'value': return [keys, hiddenSize]
    case 'attentionOutput': return [hiddenSize, queries]
    case 'queryBias': return [queries]
    case 'keyBias':
    case 'valueBias': return [keys]
    case 'queryNorm':
    case 'keyNorm': return [headSize]
    case 'gate':
    case 'up': return [feedForwardSize, hiddenSize]
    case 'down': return [hiddenSize, feedForwardSize]
  }
}
