/** The tokenizer that is described by the metadata of a GGUF file. */
import { MAX_TEMPLATE_LENGTH, MAX_TEMPLATES, MAX_TOKEN_LENGTH, MAX_VOCABULARY } from './constants.ts'
import { TokenizerFormatError, UnsupportedTokenizerError } from './errors.ts'
import { asArray, asBoolean, asId, asNumber, asString, element, optional } from './fields.ts'
import { GGUF_PRE_TOKENIZERS } from './gguf-pre-tokenizers.ts'
import { readGgufTokens, type GgufTokens } from './gguf-tokens.ts'
import { SPACE_MARKER } from './marker-split.ts'
import type { BytePairDefinition, ChatTemplateSource, LoadedDefinition, SentencePieceDefinition, TokenizerDefinition } from './types.ts'

export type GgufMetadata = ReadonlyMap<string, unknown>

/** @throws TokenizerFormatError, UnsupportedTokenizerError */
export function definitionFromGguf (metadata: GgufMetadata): LoadedDefinition {
  const model = asString(metadata.get('tokenizer.ggml.model'), 'tokenizer.ggml.model', 256)
  const tokens = readGgufTokens(metadata)
  switch (model) {
    case 'gpt2': return fromByteLevel(metadata, tokens)
    case 'llama': return { definition: fromSentencePiece(metadata, tokens), ids: tokens.ids, kind: 'gguf llama' }
    default: throw new UnsupportedTokenizerError('tokenizer.ggml.model', model, 'supported are "gpt2" and "llama"')
  }
}

function fromByteLevel (metadata: GgufMetadata, tokens: GgufTokens): LoadedDefinition {
  const field = 'tokenizer.ggml.pre'
  const name = optional(metadata.get(field), value => asString(value, field, 256)) ?? 'default'
  const pre = GGUF_PRE_TOKENIZERS.get(name)
  if (pre === undefined) {
    throw new UnsupportedTokenizerError(field, name, `supported are ${[...GGUF_PRE_TOKENIZERS.keys()].join(', ')}`)
  }
  const common = readCommon(metadata, tokens, { addBos: pre.addBos, bos: null, eos: null, unknown: null })
  const model: BytePairDefinition = {
    kind: 'bpe',
    byteLevel: true,
    merges: readMerges(metadata, tokens),
    ignoreMerges: pre.ignoreMerges,
    // Every byte has a token: there is nothing unknown.
    unknownId: null,
    fuseUnknown: false
  }
  const { normalizer, preTokenizer } = pre
  return {
    definition: { ...common, byteTokens: [], normalizer, preTokenizer, model, decoder: { kind: 'byteLevel' } },
    ids: tokens.ids,
    kind: `gguf gpt2/${name}`
  }
}

function fromSentencePiece (metadata: GgufMetadata, tokens: GgufTokens): TokenizerDefinition {
  const common = readCommon(metadata, tokens, { addBos: true, bos: 1, eos: 2, unknown: 0 })
  const field = 'tokenizer.ggml.scores'
  const scores = asArray(metadata.get(field), field, MAX_VOCABULARY)
  if (scores.length !== tokens.tokens.length) {
    throw new TokenizerFormatError(field, `has ${scores.length} elements for ${tokens.tokens.length} tokens`)
  }
  const model: SentencePieceDefinition = {
    kind: 'sentencepiece',
    scores: Array.from(scores, (score, id) => asNumber(score, field, id)),
    unknownId: common.unknownTokenId
  }
  const addSpacePrefix = readFlag(metadata, 'tokenizer.ggml.add_space_prefix', true)
  return {
    ...common,
    byteTokens: tokens.byteTokens,
    normalizer: [
      ...(addSpacePrefix ? [{ kind: 'prepend', content: SPACE_MARKER } as const] : []),
      { kind: 'replace', pattern: { String: ' ' }, content: SPACE_MARKER }
    ],
    preTokenizer: [],
    model,
    decoder: { kind: 'pieces', replacements: [{ from: SPACE_MARKER, to: ' ' }], stripStart: addSpacePrefix ? 1 : 0 }
  }
}

/** Pairs of ids. A merge whose parts are no tokens can never happen and is left out. */
function readMerges (metadata: GgufMetadata, { ids }: GgufTokens): number[] {
  const field = 'tokenizer.ggml.merges'
  const list = asArray(metadata.get(field), field, MAX_VOCABULARY)
  const merges: number[] = []
  for (let i = 0; i < list.length; i++) {
    const merge = asString(list[i], field, 2 * MAX_TOKEN_LENGTH + 1, i)
    // The parts are in the byte alphabet, which has no space; a leading space is part of an odd token.
    const space = merge.indexOf(' ', 1)
    if (space < 0 || space === merge.length - 1) {
      throw new TokenizerFormatError(element(field, i), `${JSON.stringify(merge.slice(0, 80))} is not two tokens with a space between them`)
    }
    const left = ids.get(merge.slice(0, space))
    const right = ids.get(merge.slice(space + 1))
    if (left !== undefined && right !== undefined) merges.push(left, right)
  }
  return merges
}

interface Defaults { addBos: boolean, bos: number | null, eos: number | null, unknown: number | null }

type Common = Pick<TokenizerDefinition,
  'tokens' | 'added' | 'unused' | 'prefix' | 'suffix' | 'bosTokenId' | 'eosTokenIds' | 'unknownTokenId' | 'padTokenId' | 'chatTemplates'>

function readCommon (metadata: GgufMetadata, { tokens, added, unused }: GgufTokens, defaults: Defaults): Common {
  const id = (name: string, fallback: number | null = null): number | null => {
    const field = `tokenizer.ggml.${name}_token_id`
    const given = optional(metadata.get(field), value => asId(value, field, tokens.length))
    return given ?? (fallback !== null && fallback < tokens.length ? fallback : null)
  }
  const flagged = (name: string, on: boolean, tokenId: number | null): number[] => {
    const field = `tokenizer.ggml.add_${name}_token`
    if (!readFlag(metadata, field, on)) return []
    if (tokenId !== null) return [tokenId]
    if (metadata.has(field)) throw new TokenizerFormatError(field, `is set, and tokenizer.ggml.${name}_token_id is missing`)
    return []
  }
  const bosTokenId = id('bos', defaults.bos)
  const eosTokenId = id('eos', defaults.eos)
  const chatTemplates = readChatTemplates(metadata)
  const ends = [eosTokenId, id('eot'), id('eom')].filter(end => end !== null)
  for (const token of added) {
    if (token.special && TURN_ENDS.has(token.content) && chatTemplates.some(({ source }) => source.includes(token.content))) {
      ends.push(token.id)
    }
  }
  return {
    tokens,
    added,
    unused,
    prefix: flagged('bos', defaults.addBos, bosTokenId),
    suffix: flagged('eos', false, eosTokenId),
    bosTokenId,
    eosTokenIds: [...new Set(ends)],
    unknownTokenId: id('unknown', defaults.unknown),
    padTokenId: id('padding'),
    chatTemplates
  }
}

/**
 * Control tokens that end a turn. Files made of a base model name its end of
 * text as eos, and a chat template that uses another one would never stop.
 */
const TURN_ENDS = new Set(['<|im_end|>', '<|eot_id|>', '<|eom_id|>', '<|end|>', '<end_of_turn>', '<|endoftext|>'])

function readFlag (metadata: GgufMetadata, field: string, fallback: boolean): boolean {
  return optional(metadata.get(field), value => asBoolean(value, field)) ?? fallback
}

/** `tokenizer.chat_template` is the default one; `tokenizer.chat_templates` names more. */
function readChatTemplates (metadata: GgufMetadata): ChatTemplateSource[] {
  const templates: ChatTemplateSource[] = []
  const read = (name: string, field: string): void => {
    const source = optional(metadata.get(field), value => asString(value, field, MAX_TEMPLATE_LENGTH))
    if (source !== null) templates.push({ name, source })
  }
  read('default', 'tokenizer.chat_template')
  const field = 'tokenizer.chat_templates'
  const names = optional(metadata.get(field), value => asArray(value, field, MAX_TEMPLATES)) ?? []
  const seen = new Set(['default'])
  for (let i = 0; i < names.length; i++) {
    const name = asString(names[i], `${field}[${i}]`, 256)
    if (!seen.has(name)) read(name, `tokenizer.chat_template.${name}`)
    seen.add(name)
  }
  return templates.sort((a, b) => a.name < b.name ? -1 : 1)
}
