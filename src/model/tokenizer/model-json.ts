/** `model` of tokenizer.json. Only BPE: the model families served here have no other. */
import { MAX_TOKEN_LENGTH, MAX_VOCABULARY } from './constants.ts'
import { TokenizerFormatError, UnsupportedTokenizerError } from './errors.ts'
import { asArray, asBoolean, asId, asObject, asString, element, optional, type Fields } from './fields.ts'
import type { BytePairDefinition } from './types.ts'

export interface BytePairJson {
  tokens: Array<string | null>
  /** id of each token */
  ids: Map<string, number>
  model: BytePairDefinition
  byteFallback: boolean
}

/** @throws TokenizerFormatError, UnsupportedTokenizerError */
export function readBytePairModel (value: unknown, field: string): BytePairJson {
  const json = asObject(value, field)
  const type = json.type ?? ('merges' in json ? 'BPE' : 'missing')
  if (type !== 'BPE') throw new UnsupportedTokenizerError(`${field}.type`, String(type), 'only BPE is supported')
  for (const name of ['dropout', 'continuing_subword_prefix', 'end_of_word_suffix']) {
    if (json[name]) throw new UnsupportedTokenizerError(`${field}.${name}`, String(json[name]))
  }
  const flag = (name: string): boolean => optional(json[name], given => asBoolean(given, `${field}.${name}`)) ?? false
  const { tokens, ids } = readVocabulary(json.vocab, `${field}.vocab`)
  const model: BytePairDefinition = {
    kind: 'bpe',
    byteLevel: false,
    merges: readMerges(json.merges, `${field}.merges`, ids),
    ignoreMerges: flag('ignore_merges'),
    unknownId: unknownToken(json, field, ids),
    fuseUnknown: flag('fuse_unk')
  }
  return { tokens, ids, model, byteFallback: flag('byte_fallback') }
}

function readVocabulary (value: unknown, field: string): { tokens: Array<string | null>, ids: Map<string, number> } {
  const entries = Object.entries(asObject(value, field))
  if (entries.length === 0) throw new TokenizerFormatError(field, 'is empty')
  if (entries.length > MAX_VOCABULARY) throw new TokenizerFormatError(field, `has ${entries.length} tokens, more than ${MAX_VOCABULARY}`)
  const ids = new Map<string, number>()
  let size = 0
  for (const [token, given] of entries) {
    const id = asId(given, field, MAX_VOCABULARY, token)
    ids.set(asString(token, field, MAX_TOKEN_LENGTH, token), id)
    size = Math.max(size, id + 1)
  }
  const tokens = new Array<string | null>(size).fill(null)
  for (const [token, id] of ids) {
    if (tokens[id] !== null) throw new TokenizerFormatError(field, `id ${id} is given to two tokens`)
    tokens[id] = token
  }
  return { tokens, ids }
}

function readMerges (value: unknown, field: string, ids: ReadonlyMap<string, number>): number[] {
  const list = asArray(value, field, MAX_VOCABULARY)
  const merges: number[] = []
  for (let i = 0; i < list.length; i++) {
    const [left, right] = readMerge(list[i], field, i)
    for (const part of [left, right]) {
      const id = ids.get(part)
      if (id === undefined) throw new TokenizerFormatError(element(field, i), `${JSON.stringify(part.slice(0, 80))} is not in the vocabulary`)
      merges.push(id)
    }
    if (!ids.has(left + right)) {
      throw new TokenizerFormatError(element(field, i), `${JSON.stringify((left + right).slice(0, 80))} is not in the vocabulary`)
    }
  }
  return merges
}

/** `"a b"`, or `["a", "b"]` in newer files. */
function readMerge (value: unknown, field: string, index: number): [string, string] {
  if (typeof value === 'string') {
    const parts = value.split(' ')
    if (parts.length !== 2) throw new TokenizerFormatError(element(field, index), 'is not two tokens with a space between them')
    return [parts[0], parts[1]]
  }
  if (!Array.isArray(value) || value.length !== 2) throw new TokenizerFormatError(element(field, index), 'is not a pair of tokens')
  return [asString(value[0], field, MAX_TOKEN_LENGTH, index), asString(value[1], field, MAX_TOKEN_LENGTH, index)]
}

function unknownToken (json: Fields, field: string, ids: ReadonlyMap<string, number>): number | null {
  return optional(json.unk_token, given => {
    const id = ids.get(asString(given, `${field}.unk_token`, MAX_TOKEN_LENGTH))
    if (id === undefined) throw new TokenizerFormatError(`${field}.unk_token`, 'is not in the vocabulary')
    return id
  })
}
