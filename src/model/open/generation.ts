import { MAX_STOP_TOKENS } from '../constants.ts'
import { ModelFileError } from '../errors.ts'
import type { JsonObject } from '../json-file.ts'
import type { GenerationDefaults } from '../types.ts'

export interface GenerationInput {
  /** `generation_config.json` */
  generationJson: JsonObject | null
  /** `config.json` */
  configJson: JsonObject | null
  tokenizer: { bosTokenId: number | null, eosTokenIds: readonly number[] }
  /** for messages */
  file: string
}

/**
 * Stop tokens are those of the generation config, the config and the tokenizer
 * together. Sampling defaults count where the generation config has
 * `do_sample`, as in transformers; the repetition penalty counts always. Pure.
 *
 * @throws ModelFileError
 */
export function generationDefaults ({ generationJson, configJson, tokenizer, file }: GenerationInput): GenerationDefaults {
  const generation = generationJson ?? {}
  const config = configJson ?? {}
  const stop = new Set<number>([
    ...tokenIds(generation, 'eos_token_id', file),
    ...tokenIds(config, 'eos_token_id', file),
    ...tokenizer.eosTokenIds
  ])
  const bos = [...tokenIds(generation, 'bos_token_id', file), ...tokenIds(config, 'bos_token_id', file)][0] ?? tokenizer.bosTokenId
  const defaults: GenerationDefaults = { stopTokenIds: [...stop].sort((a, b) => a - b), bosTokenId: bos }
  if (generation.do_sample === true) {
    const temperature = positive(generation, 'temperature', 100, file)
    const topK = positive(generation, 'top_k', Number.MAX_SAFE_INTEGER, file)
    const topP = positive(generation, 'top_p', 1, file)
    if (temperature !== undefined) defaults.temperature = temperature
    if (topK !== undefined && topK >= 1) defaults.topK = Math.floor(topK)
    if (topP !== undefined && topP > 0) defaults.topP = topP
  }
  const penalty = positive(generation, 'repetition_penalty', 100, file)
  if (penalty !== undefined && penalty > 0) defaults.repetitionPenalty = penalty
  return defaults
}

/** A number, a list of numbers, or nothing. Some configs write -1 for "none". */
function tokenIds (json: JsonObject, field: string, file: string): number[] {
  const value = json[field] ?? []
  const list: unknown[] = Array.isArray(value) ? value : [value]
  if (list.length > MAX_STOP_TOKENS || !list.every(id => Number.isInteger(id) && (id as number) >= -1 && (id as number) < 2 ** 31)) {
    throw new ModelFileError(file, field, 'is neither a token id nor a short list of token ids')
  }
  return (list as number[]).filter(id => id >= 0)
}

function positive (json: JsonObject, field: string, most: number, file: string): number | undefined {
  const value = json[field] ?? undefined
  if (value === undefined) return undefined
  if (typeof value !== 'number' || !(value >= 0 && value <= most)) throw new ModelFileError(file, field, `is not a number from 0 to ${most}`)
  return value
}
