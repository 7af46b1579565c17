/**
 * The tokenizer that its canonical encoding describes: what a package holds.
 * The encoding may come from anywhere, so everything that the rest of the
 * folder takes for granted is checked.
 */
import { isUtf8 } from 'node:buffer'
import { canonicalJson } from '../manifest/index.ts'
import {
  MAX_ADDED_IDS, MAX_ADDED_TOKEN_LENGTH, MAX_PATTERN_LENGTH, MAX_STEPS, MAX_TEMPLATE_LENGTH, MAX_TEMPLATES, MAX_TOKEN_LENGTH, MAX_VOCABULARY
} from './constants.ts'
import { TokenizerFormatError, UnsupportedTokenizerError } from './errors.ts'
import { asArray, asBoolean, asId, asNumber, asObject, asString, element, optional, type Fields } from './fields.ts'
import { readPattern } from './steps-json.ts'
import type {
  AddedToken, BytePairDefinition, DecoderDefinition, LoadedDefinition, NormalizerStep, PreTokenizerStep, SentencePieceDefinition,
  TokenizerDefinition
} from './types.ts'

/** Of the form of a definition; another form gives another hash, hence another model. */
export const CANONICAL_VERSION = 1

/** The canonical encoding: equal bytes, equal behaviour. */
export function encodeDefinition (definition: TokenizerDefinition): Uint8Array {
  return new TextEncoder().encode(canonicalJson({ version: CANONICAL_VERSION, ...definition }))
}

/** @throws TokenizerFormatError, UnsupportedTokenizerError */
export function definitionFromCanonical (bytes: Uint8Array): LoadedDefinition {
  if (!isUtf8(bytes)) throw new TokenizerFormatError('encoding', 'is not UTF-8')
  const text = new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes)
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (cause) {
    throw new TokenizerFormatError('encoding', 'is not JSON', { cause })
  }
  const root = asObject(value, 'tokenizer')
  if (root.version !== CANONICAL_VERSION) throw new UnsupportedTokenizerError('version', String(root.version).slice(0, 80))
  const definition = readDefinition(root)
  // unknown fields, other key orders, a second way to write a number
  if (canonicalJson({ version: CANONICAL_VERSION, ...definition }) !== text) throw new TokenizerFormatError('encoding', 'is not canonical')
  return { definition, ids: idsOf(definition), kind: `package ${definition.model.kind}${definition.decoder.kind === 'byteLevel' ? ', byte level' : ''}` }
}

/** As the readers of the sources make it: of equal tokens the last counts, and an added token before all. */
function idsOf ({ tokens, added }: TokenizerDefinition): Map<string, number> {
  const ids = new Map<string, number>()
  tokens.forEach((token, id) => { if (token !== null) ids.set(token, id) })
  for (const token of added) ids.set(token.content, token.id)
  return ids
}

function readDefinition (root: Fields): TokenizerDefinition {
  const list = asArray(root.tokens, 'tokens', MAX_VOCABULARY)
  if (list.length === 0) throw new TokenizerFormatError('tokens', 'is empty')
  const tokens = Array.from(list, (token, id) => token === null ? null : asString(token, 'tokens', MAX_TOKEN_LENGTH, id))
  const ids = (name: string, maximum: number): number[] => idList(root[name], name, maximum, tokens.length)
  const id = (name: string): number | null => optional(root[name], value => asId(value, name, tokens.length))
  const decoder = readDecoder(root.decoder)
  const model = readModel(asObject(root.model, 'model'), tokens.length)
  if ((decoder.kind === 'byteLevel') !== (model.kind === 'bpe' && model.byteLevel)) {
    throw new UnsupportedTokenizerError('decoder', decoder.kind, 'only one of model and decoder works on bytes')
  }
  return {
    tokens,
    added: Array.from(asArray(root.added, 'added', MAX_VOCABULARY), (item, i) => readAdded(item, `added[${i}]`, tokens.length)),
    unused: ids('unused', MAX_VOCABULARY),
    byteTokens: readByteTokens(root.byteTokens, tokens.length),
    normalizer: Array.from(asArray(root.normalizer, 'normalizer', MAX_STEPS), (item, i) => readNormalizer(asObject(item, `normalizer[${i}]`), `normalizer[${i}]`)),
    preTokenizer: Array.from(asArray(root.preTokenizer, 'preTokenizer', MAX_STEPS), (item, i) => readPreTokenizer(asObject(item, `preTokenizer[${i}]`), `preTokenizer[${i}]`)),
    model,
    decoder,
    prefix: ids('prefix', MAX_ADDED_IDS * MAX_STEPS),
    suffix: ids('suffix', MAX_ADDED_IDS * MAX_STEPS),
    bosTokenId: id('bosTokenId'),
    eosTokenIds: ids('eosTokenIds', MAX_VOCABULARY),
    unknownTokenId: id('unknownTokenId'),
    padTokenId: id('padTokenId'),
    chatTemplates: Array.from(asArray(root.chatTemplates, 'chatTemplates', MAX_TEMPLATES), (item, i) => {
      const { name, source } = asObject(item, `chatTemplates[${i}]`)
      return { name: asString(name, `chatTemplates[${i}].name`, 256), source: asString(source, `chatTemplates[${i}].source`, MAX_TEMPLATE_LENGTH) }
    })
  }
}

function idList (value: unknown, field: string, maximum: number, limit: number): number[] {
  return Array.from(asArray(value, field, maximum), (item, i) => asId(item, field, limit, i))
}

function readByteTokens (value: unknown, limit: number): number[] {
  const field = 'byteTokens'
  const list = asArray(value, field, 256)
  if (list.length !== 0 && list.length !== 256) throw new TokenizerFormatError(field, `has ${list.length} elements, 0 or 256 are expected`)
  return Array.from(list, (item, i) => item === -1 ? -1 : asId(item, field, limit, i))
}

function readAdded (value: unknown, field: string, limit: number): AddedToken {
  const json = asObject(value, field)
  const flag = (name: string): boolean => asBoolean(json[name], `${field}.${name}`)
  return {
    id: asId(json.id, `${field}.id`, limit),
    content: asString(json.content, `${field}.content`, MAX_ADDED_TOKEN_LENGTH),
    special: flag('special'),
    normalized: flag('normalized'),
    singleWord: flag('singleWord'),
    lstrip: flag('lstrip'),
    rstrip: flag('rstrip')
  }
}

function oneOf<Name extends string> (value: unknown, field: string, names: readonly Name[]): Name {
  const text = asString(value, field, 256)
  if (!names.includes(text as Name)) throw new UnsupportedTokenizerError(field, text)
  return text as Name
}

function readNormalizer (json: Fields, field: string): NormalizerStep {
  const kind = oneOf(json.kind, `${field}.kind`, ['unicode', 'prepend', 'replace', 'lowercase'])
  const content = (): string => asString(json.content, `${field}.content`, MAX_PATTERN_LENGTH)
  switch (kind) {
    case 'unicode': return { kind, form: oneOf(json.form, `${field}.form`, ['NFC', 'NFD', 'NFKC', 'NFKD']) }
    case 'prepend': return { kind, content: content() }
    case 'replace': return { kind, pattern: readPattern(json.pattern, `${field}.pattern`), content: content() }
    case 'lowercase': return { kind }
  }
}

function readPreTokenizer (json: Fields, field: string): PreTokenizerStep {
  const kind = oneOf(json.kind, `${field}.kind`, ['split', 'metaspace', 'prefixSpace'])
  switch (kind) {
    case 'split': return {
      kind,
      pattern: readPattern(json.pattern, `${field}.pattern`),
      behavior: oneOf(json.behavior, `${field}.behavior`, ['isolated', 'removed', 'mergedWithPrevious', 'mergedWithNext', 'contiguous']),
      invert: asBoolean(json.invert, `${field}.invert`)
    }
    case 'metaspace': return {
      kind,
      replacement: asString(json.replacement, `${field}.replacement`, 2),
      prepend: oneOf(json.prepend, `${field}.prepend`, ['always', 'first', 'never']),
      split: asBoolean(json.split, `${field}.split`)
    }
    case 'prefixSpace': return { kind }
  }
}

function readModel (json: Fields, vocabulary: number): BytePairDefinition | SentencePieceDefinition {
  const unknownId = optional(json.unknownId, value => asId(value, 'model.unknownId', vocabulary))
  if (oneOf(json.kind, 'model.kind', ['bpe', 'sentencepiece']) === 'sentencepiece') {
    const scores = asArray(json.scores, 'model.scores', MAX_VOCABULARY)
    if (scores.length !== vocabulary) throw new TokenizerFormatError('model.scores', `has ${scores.length} elements for ${vocabulary} tokens`)
    return { kind: 'sentencepiece', scores: Array.from(scores, (score, i) => asNumber(score, 'model.scores', i)), unknownId }
  }
  const merges = idList(json.merges, 'model.merges', 2 * MAX_VOCABULARY, vocabulary)
  if (merges.length % 2 !== 0) throw new TokenizerFormatError('model.merges', 'is not made of pairs')
  const flag = (name: string): boolean => asBoolean(json[name], `model.${name}`)
  return { kind: 'bpe', byteLevel: flag('byteLevel'), merges, ignoreMerges: flag('ignoreMerges'), unknownId, fuseUnknown: flag('fuseUnknown') }
}

function readDecoder (value: unknown): DecoderDefinition {
  const json = asObject(value, 'decoder')
  if (oneOf(json.kind, 'decoder.kind', ['byteLevel', 'pieces']) === 'byteLevel') return { kind: 'byteLevel' }
  const replacements = Array.from(asArray(json.replacements, 'decoder.replacements', MAX_STEPS), (item, i) => {
    const field = element('decoder.replacements', i)
    const { from, to } = asObject(item, field)
    if (from === '') throw new TokenizerFormatError(`${field}.from`, 'is empty')
    return { from: asString(from, `${field}.from`, MAX_PATTERN_LENGTH), to: asString(to, `${field}.to`, MAX_PATTERN_LENGTH) }
  })
  return { kind: 'pieces', replacements, stripStart: asId(json.stripStart, 'decoder.stripStart', MAX_STEPS * MAX_STEPS) }
}
