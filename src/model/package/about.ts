import { MAX_STOP_TOKENS } from '../constants.ts'
import { ModelFileError } from '../errors.ts'
import { isJsonObject, readJsonFile } from '../json-file.ts'
import { isInteger, isNumber } from '../config/index.ts'
import type { GenerationDefaults } from '../types.ts'
import { MAX_ABOUT_BYTES, MAX_NAME_LENGTH } from './constants.ts'

/** What people and clients like to know of a model, beside what makes it the model it is. */
export interface About {
  name: string
  generation: GenerationDefaults
}

/**
 * Reads and checks `about.json`; it may have been written by anybody.
 *
 * @throws ModelFileError
 */
export function readAbout (path: string): About {
  const { name, generation } = readJsonFile(path, MAX_ABOUT_BYTES)
  const fail = (field: string, reason: string): never => { throw new ModelFileError(path, field, reason) }
  if (typeof name !== 'string' || name.length === 0 || name.length > MAX_NAME_LENGTH || /\p{Cc}/u.test(name)) return fail('name', 'is not a short printable text')
  if (!isJsonObject(generation)) return fail('generation', 'is not an object')
  const { stopTokenIds, bosTokenId, temperature, topK, topP, repetitionPenalty } = generation
  const isId = (id: unknown): id is number => isInteger(id, 0, 2 ** 31 - 1)
  if (!Array.isArray(stopTokenIds) || stopTokenIds.length > MAX_STOP_TOKENS || !stopTokenIds.every(isId)) return fail('generation.stopTokenIds', 'is not a short list of token ids')
  if (bosTokenId !== null && !isId(bosTokenId)) return fail('generation.bosTokenId', 'is neither null nor a token id')
  const defaults: GenerationDefaults = { stopTokenIds, bosTokenId }
  const limits = { temperature: [temperature, 0, 100], topK: [topK, 1, Number.MAX_SAFE_INTEGER], topP: [topP, 0, 1], repetitionPenalty: [repetitionPenalty, 0, 100] } as const
  for (const [field, [value, least, most]] of Object.entries(limits)) {
    if (value === undefined) continue
    if (!isNumber(value, least, most)) return fail(`generation.${field}`, `is not a number from ${least} to ${most}`)
    defaults[field as keyof typeof limits] = value
  }
  return { name, generation: defaults }
}

export function encodeAbout ({ name, generation }: About): string {
  // control characters would make the file unreadable for its own reader
  return `${JSON.stringify({ name: name.replace(/\p{Cc}/gu, ' ').slice(0, MAX_NAME_LENGTH), generation }, null, 2)}\n`
}
