/** The tokenizer that is described by tokenizer.json and tokenizer_config.json. */
import { MAX_ADDED_TOKEN_LENGTH, MAX_TEMPLATE_LENGTH, MAX_TEMPLATES, MAX_TOKEN_LENGTH, MAX_VOCABULARY } from './constants.ts'
import { readDecoder } from './decoder-json.ts'
import { UnsupportedTokenizerError } from './errors.ts'
import { asArray, asBoolean, asId, asObject, asString, optional, type Fields } from './fields.ts'
import { readBytePairModel } from './model-json.ts'
import { readNormalizer } from './normalizer-json.ts'
import { readPostProcessor } from './post-processor-json.ts'
import { readPreTokenizer } from './pre-tokenizer-json.ts'
import type { AddedToken, ChatTemplateSource, LoadedDefinition, TokenizerDefinition } from './types.ts'

export interface TokenizerFiles {
  /** parsed tokenizer.json */
  tokenizerJson: unknown
  /** parsed tokenizer_config.json */
  tokenizerConfig?: unknown
  /** text of chat_template.jinja; goes before the template in tokenizer_config.json */
  chatTemplate?: string
}

/** @throws TokenizerFormatError, UnsupportedTokenizerError */
export function definitionFromFiles (files: TokenizerFiles): LoadedDefinition {
  const root = asObject(files.tokenizerJson, 'tokenizer.json')
  const config = asObject(files.tokenizerConfig ?? {}, 'tokenizer_config.json')
  const { tokens, ids, model, byteFallback } = readBytePairModel(root.model, 'tokenizer.json: model')
  const added = readAddedTokens(root.added_tokens, tokens, ids)
  const { preTokenizer, byteLevel } = readPreTokenizer(root.pre_tokenizer, 'tokenizer.json: pre_tokenizer')
  const decoder = readDecoder(root.decoder, 'tokenizer.json: decoder')
  if (byteLevel !== (decoder.kind === 'byteLevel')) {
    throw new UnsupportedTokenizerError('tokenizer.json: decoder', decoder.kind, 'only one of pre-tokenizer and decoder works on bytes')
  }
  const around = readPostProcessor(root.post_processor, 'tokenizer.json: post_processor', tokens.length)

  for (const token of added) ids.set(token.content, token.id)
  const named = (name: string): number | null => namedToken(config, name, ids)
  const eosTokenId = named('eos_token')
  const bosTokenId = 'bos_token' in config ? named('bos_token') : around.prefix[0] ?? null
  const definition: TokenizerDefinition = {
    tokens,
    added,
    unused: [],
    byteTokens: byteFallback ? bytesOf(ids) : [],
    normalizer: readNormalizer(root.normalizer, 'tokenizer.json: normalizer'),
    preTokenizer,
    model: { ...model, byteLevel },
    decoder,
    prefix: llamaFlag(config, 'bos', bosTokenId) ?? around.prefix,
    suffix: llamaFlag(config, 'eos', eosTokenId) ?? around.suffix,
    bosTokenId,
    eosTokenIds: eosTokenId === null ? [] : [eosTokenId],
    unknownTokenId: named('unk_token') ?? model.unknownId,
    padTokenId: named('pad_token'),
    chatTemplates: readChatTemplates(config, files.chatTemplate)
  }
  return { definition, ids, kind: `tokenizer.json BPE${byteLevel ? ', byte level' : ''}` }
}

/** Adds them to `tokens`; where an id has another string already, the added token stands, and the string is none any more. */
function readAddedTokens (value: unknown, tokens: Array<string | null>, ids: Map<string, number>): AddedToken[] {
  const field = 'tokenizer.json: added_tokens'
  const list = optional(value, given => asArray(given, field, MAX_VOCABULARY)) ?? []
  return Array.from(list, (item, i) => {
    const at = `${field}[${i}]`
    const entry = asObject(item, at)
    const flag = (name: string, fallback: boolean): boolean =>
      optional(entry[name], given => asBoolean(given, `${at}.${name}`)) ?? fallback
    const id = asId(entry.id, `${at}.id`)
    const content = asString(entry.content, `${at}.content`, MAX_ADDED_TOKEN_LENGTH)
    const special = flag('special', false)
    while (tokens.length <= id) tokens.push(null)
    const before = tokens[id]
    if (before !== null && before !== content && ids.get(before) === id) ids.delete(before)
    tokens[id] = content
    return {
      id,
      content,
      special,
      normalized: flag('normalized', !special),
      singleWord: flag('single_word', false),
      lstrip: flag('lstrip', false),
      rstrip: flag('rstrip', false)
    }
  })
}

function bytesOf (ids: ReadonlyMap<string, number>): number[] {
  return Array.from({ length: 256 }, (_, byte) => ids.get(`<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`) ?? -1)
}

/** A token named in tokenizer_config.json: a string, or an object with `content`. One that is in no vocabulary counts as none. */
function namedToken (config: Fields, name: string, ids: ReadonlyMap<string, number>): number | null {
  const field = `tokenizer_config.json: ${name}`
  return optional(config[name], value => {
    const content = typeof value === 'string' ? value : asObject(value, field).content
    return ids.get(asString(content, field, MAX_TOKEN_LENGTH)) ?? null
  })
}

/** The tokenizer class of Llama models lets its configuration, where it says so, decide on bos and eos. */
function llamaFlag (config: Fields, name: 'bos' | 'eos', id: number | null): number[] | null {
  const added = config[`add_${name}_token`]
  const ofLlama = typeof config.tokenizer_class === 'string' && /^(Code)?Llama/.test(config.tokenizer_class)
  if (!ofLlama || typeof added !== 'boolean') return null
  return added && id !== null ? [id] : []
}

/** One template, a list of named ones, or those of chat_template.jinja. */
function readChatTemplates (config: Fields, file: string | undefined): ChatTemplateSource[] {
  const field = 'tokenizer_config.json: chat_template'
  const templates = new Map<string, string>()
  const add = (name: string, source: unknown, at: string): void => {
    templates.set(name, asString(source, at, MAX_TEMPLATE_LENGTH))
  }
  const value = config.chat_template
  if (Array.isArray(value)) {
    asArray(value, field, MAX_TEMPLATES)
    value.forEach((item, i) => {
      const { name, template } = asObject(item, `${field}[${i}]`)
      add(asString(name, `${field}[${i}].name`, 256), template, `${field}[${i}].template`)
    })
  } else if (value !== undefined && value !== null) {
    add('default', value, field)
  }
  if (file !== undefined) add('default', file, 'chat_template.jinja')
  return [...templates].map(([name, source]) => ({ name, source })).sort((a, b) => a.name < b.name ? -1 : 1)
}
