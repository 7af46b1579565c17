import { ModelFileError, UnsupportedModelError } from '../errors.ts'
import { isJsonObject } from '../json-file.ts'
import type { JsonObject } from '../json-file.ts'
import type { Architecture, RopeScaling } from '../types.ts'
import { checkArchitecture, describe, isInteger } from './check-architecture.ts'
import type { ModelConfig } from './types.ts'

type Family = Architecture['family']

const CLASSES: Readonly<Record<Family, string>> = {
  llama: 'LlamaForCausalLM', mistral: 'MistralForCausalLM', qwen2: 'Qwen2ForCausalLM', qwen3: 'Qwen3ForCausalLM'
}

/** Defaults of the configuration classes of transformers; configs of version 4 may leave fields out. */
const DEFAULT_EPSILON = 1e-6
const DEFAULT_THETA = 10_000
const DEFAULT_WINDOW = 4096
const DEFAULT_WINDOW_LAYERS = 28
const DEFAULT_QWEN3_HEAD_SIZE = 128

/**
 * The architecture of a `config.json` in the style of transformers 4
 * (`rope_theta`, `rope_scaling`) or 5 (`rope_parameters`). Fields that are
 * missing or null get the defaults of transformers. Pure.
 *
 * @param file for messages
 * @throws ModelFileError for fields that are missing or broken
 * @throws UnsupportedModelError for what cannot be computed
 */
export function configFromJson (config: JsonObject, file: string): ModelConfig {
  const reader = new ConfigReader(config, file)
  const family = readFamily(reader)
  refuseVariants(reader)
  const layerCount = reader.integer('num_hidden_layers')
  const hiddenSize = reader.integer('hidden_size')
  const headCount = reader.integer('num_attention_heads')
  const attentionBias = family !== 'mistral' && reader.flag('attention_bias', false)
  const rope = readRope(reader)
  const architecture = {
    family,
    layerCount,
    hiddenSize,
    feedForwardSize: reader.integer('intermediate_size'),
    headCount,
    keyValueHeadCount: reader.integer('num_key_value_heads', headCount),
    headSize: reader.integer('head_dim', family === 'qwen3' ? DEFAULT_QWEN3_HEAD_SIZE : Math.floor(hiddenSize / headCount)),
    vocabularySize: reader.integer('vocab_size'),
    contextLength: reader.integer('max_position_embeddings'),
    normEpsilon: reader.number('rms_norm_eps', DEFAULT_EPSILON),
    ropeTheta: rope.theta,
    ropeScaling: rope.scaling,
    queryKeyNorm: family === 'qwen3',
    slidingWindows: readWindows(reader, family, layerCount),
    tiedEmbedding: reader.flag('tie_word_embeddings', false)
  }
  return {
    architecture: checkArchitecture(architecture, (field, reason) => reader.unsupported(field, reason)),
    attentionBias: family === 'qwen2' ? 'queryKeyValue' : attentionBias ? 'all' : 'none'
  }
}

/** Fields by name, with the errors of a file. Null counts as missing, as in transformers. */
class ConfigReader {
  readonly #config: JsonObject
  readonly #file: string
  readonly #prefix: string

  constructor (config: JsonObject, file: string, prefix = '') {
    this.#config = config
    this.#file = file
    this.#prefix = prefix
  }

  value (field: string): unknown {
    return Object.hasOwn(this.#config, field) ? this.#config[field] ?? undefined : undefined
  }

  has (field: string): boolean {
    return Object.hasOwn(this.#config, field)
  }

  values (): unknown[] {
    return Object.values(this.#config)
  }

  integer (field: string, missing?: number): number {
    const value = this.value(field) ?? missing
    return isInteger(value, 1, Number.MAX_SAFE_INTEGER) ? value : this.broken(field, `${describe(value)} is not a positive integer`)
  }

  number (field: string, missing?: number): number {
    const value = this.value(field) ?? missing
    return typeof value === 'number' ? value : this.broken(field, `${describe(value)} is not a number`)
  }

  flag (field: string, missing: boolean): boolean {
    const value = this.value(field) ?? missing
    return typeof value === 'boolean' ? value : this.broken(field, `${describe(value)} is not true or false`)
  }

  object (field: string): ConfigReader | undefined {
    const value = this.value(field)
    if (value === undefined) return undefined
    if (!isJsonObject(value)) return this.broken(field, 'is not an object')
    return new ConfigReader(value, this.#file, `${this.#prefix}${field}.`)
  }

  broken (field: string, reason: string): never {
    throw new ModelFileError(this.#file, this.#prefix + field, reason)
  }

  unsupported (field: string, reason: string): never {
    throw new UnsupportedModelError(this.#file, this.#prefix + field, reason)
  }
}

function readFamily (reader: ConfigReader): Family {
  const type = reader.value('model_type')
  const names = Object.keys(CLASSES)
  if (typeof type !== 'string') return reader.broken('model_type', `${describe(type)} is not a name`)
  if (!names.includes(type)) return reader.unsupported('model_type', `architecture ${describe(type)} is not supported, only ${names.join(', ')}`)
  const family = type as Family
  const classes = reader.value('architectures')
  if (classes !== undefined && !(Array.isArray(classes) && classes.includes(CLASSES[family]))) {
    reader.unsupported('architectures', `${describe(classes)} does not include ${CLASSES[family]}`)
  }
  return family
}

/** Variants of the known architectures that would give wrong results if their field were overlooked. */
function refuseVariants (reader: ConfigReader): void {
  const activation = reader.value('hidden_act') ?? 'silu'
  if (activation !== 'silu') reader.unsupported('hidden_act', `activation ${describe(activation)} is not supported, only silu`)
  if (reader.flag('mlp_bias', false)) reader.unsupported('mlp_bias', 'biases in the feed-forward part are not supported')
  if (reader.value('quantization_config') !== undefined) reader.unsupported('quantization_config', 'quantised checkpoints are not supported (GGUF files are)')
  const rotary = reader.value('partial_rotary_factor') ?? 1
  if (rotary !== 1) reader.unsupported('partial_rotary_factor', `${describe(rotary)}: partial RoPE is not supported`)
}

function readRope (reader: ConfigReader): { theta: number, scaling: RopeScaling | null } {
  const parameters = reader.object('rope_parameters')
  if (parameters?.values().some(isJsonObject)) reader.unsupported('rope_parameters', 'different RoPE for different layers is not supported')
  const theta = parameters?.has('rope_theta') ? parameters.number('rope_theta') : reader.number('rope_theta', DEFAULT_THETA)
  const scaling = parameters ?? reader.object('rope_scaling')
  if (scaling === undefined) return { theta, scaling: null }
  const rotary = scaling.value('partial_rotary_factor') ?? 1
  if (rotary !== 1) scaling.unsupported('partial_rotary_factor', `${describe(rotary)}: partial RoPE is not supported`)
  const field = scaling.has('rope_type') ? 'rope_type' : 'type'
  const type = scaling.value(field) ?? 'default'
  switch (type) {
    case 'default': return { theta, scaling: null }
    case 'linear': return { theta, scaling: { kind: 'linear', factor: scaling.number('factor') } }
    case 'llama3': return {
      theta,
      scaling: {
        kind: 'llama3',
        factor: scaling.number('factor'),
        lowFrequencyFactor: scaling.number('low_freq_factor'),
        highFrequencyFactor: scaling.number('high_freq_factor'),
        originalContextLength: scaling.integer('original_max_position_embeddings')
      }
    }
    default: return scaling.unsupported(field, `RoPE type ${describe(type)} is not supported, only default, linear and llama3`)
  }
}

/**
 * The window of each layer, as transformers derives it: Llama has none,
 * Mistral has it in all layers, Qwen where `use_sliding_window` is set, by
 * `layer_types` or from layer `max_window_layers` on.
 */
function readWindows (reader: ConfigReader, family: Family, layerCount: number): Array<number | null> {
  const context = reader.integer('max_position_embeddings')
  // the array is made only for a number of layers that the final check accepts
  const layers = Math.min(layerCount, 1 << 16)
  const full = new Array<null>(layers).fill(null)
  if (family === 'llama') return full
  // Mistral's null means none, its absence the default of the class
  const given = family === 'mistral' && reader.has('sliding_window') && reader.value('sliding_window') === undefined
    ? undefined
    : reader.integer('sliding_window', DEFAULT_WINDOW)
  const enabled = family === 'mistral' ? given !== undefined : reader.flag('use_sliding_window', false)
  // a window that the context never leaves is no window
  const window = given !== undefined && given < context ? given : null
  const types = reader.value('layer_types')
  if (types !== undefined) checkLayerTypes(reader, types, layerCount, family, enabled)
  if (!enabled) return full
  if (family === 'mistral') return full.map(() => window)
  if (types !== undefined) return (types as string[]).map(type => type === 'sliding_attention' ? window : null)
  const from = reader.value('max_window_layers') ?? DEFAULT_WINDOW_LAYERS
  if (!isInteger(from, 0, Number.MAX_SAFE_INTEGER)) return reader.broken('max_window_layers', `${describe(from)} is not a number of layers`)
  return full.map((_, layer) => layer >= from ? window : null)
}

function checkLayerTypes (reader: ConfigReader, types: unknown, layerCount: number, family: Family, enabled: boolean): void {
  if (!Array.isArray(types) || types.length !== layerCount) return reader.broken('layer_types', `is not a list of ${layerCount}`)
  for (const type of types) {
    if (type !== 'full_attention' && type !== 'sliding_attention') reader.unsupported('layer_types', `attention ${describe(type)} is not supported`)
  }
  if (!enabled && types.includes('sliding_attention')) reader.broken('layer_types', 'has sliding attention, but the config has no sliding window')
  if (family === 'mistral' && enabled && types.includes('full_attention')) {
    reader.unsupported('layer_types', 'mixes full and sliding attention, which the Mistral architecture does not do')
  }
}
