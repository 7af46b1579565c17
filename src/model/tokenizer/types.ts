/**
 * Plain data that determines a tokenizer. Every source (tokenizer.json, GGUF)
 * is brought into this one form, checked; the rest of the folder works on it
 * alone, and its canonical encoding is what the manifest hashes.
 */
import type { ChatMessage, Tokenizer } from '../types.ts'

/** A token that is looked for in the text before the model sees it. */
export interface AddedToken {
  id: number
  content: string
  /** control token: left out of decoded text, and found in text only where special tokens are parsed */
  special: boolean
  /** looked for after normalisation rather than before */
  normalized: boolean
  /** only where no word character is beside it */
  singleWord: boolean
  /** swallows the white space before it */
  lstrip: boolean
  /** swallows the white space after it */
  rstrip: boolean
}

/** A pattern in the syntax of tokenizer.json (Oniguruma), or a literal string. */
export type Pattern = { Regex: string } | { String: string }

export type NormalizerStep =
  | { kind: 'unicode', form: 'NFC' | 'NFD' | 'NFKC' | 'NFKD' }
  | { kind: 'prepend', content: string }
  | { kind: 'replace', pattern: Pattern, content: string }
  | { kind: 'lowercase' }

export type SplitBehavior = 'isolated' | 'removed' | 'mergedWithPrevious' | 'mergedWithNext' | 'contiguous'

export type PreTokenizerStep =
  | { kind: 'split', pattern: Pattern, behavior: SplitBehavior, invert: boolean }
  | { kind: 'metaspace', replacement: string, prepend: 'always' | 'first' | 'never', split: boolean }
  | { kind: 'prefixSpace' }

/** Byte-pair encoding: the pair with the lowest rank is joined first, the leftmost of equals. */
export interface BytePairDefinition {
  kind: 'bpe'
  /** symbols are bytes, written in GPT-2's alphabet of 256 printable characters; otherwise code points */
  byteLevel: boolean
  /** ids of left and right part, in order of rank: merge r is `[merges[2r], merges[2r + 1]]` */
  merges: number[]
  /** a pre-token that is a token as a whole is not taken apart */
  ignoreMerges: boolean
  unknownId: number | null
  /** neighbouring unknown code points become one unknown token */
  fuseUnknown: boolean
}

/** SentencePiece BPE: of all neighbours whose union is a token, the one with the highest score is joined first, the leftmost of equals. */
export interface SentencePieceDefinition {
  kind: 'sentencepiece'
  scores: number[]
  unknownId: number | null
}

export type DecoderDefinition =
  | { kind: 'byteLevel' }
  | {
    kind: 'pieces'
    /** literal replacements within each piece, in order */
    replacements: Array<{ from: string, to: string }>
    /** spaces taken off the start of the text */
    stripStart: number
  }

export interface TokenizerDefinition {
  /** token of each id; null where there is none */
  tokens: Array<string | null>
  added: AddedToken[]
  /** ids that the model's vocabulary was padded with: never encoded, decoded as nothing */
  unused: number[]
  /** id of the token of each byte (-1: none), or empty where there is no byte fallback */
  byteTokens: number[]
  normalizer: NormalizerStep[]
  preTokenizer: PreTokenizerStep[]
  model: BytePairDefinition | SentencePieceDefinition
  decoder: DecoderDefinition
  /** ids added before and after a text */
  prefix: number[]
  suffix: number[]
  bosTokenId: number | null
  eosTokenIds: number[]
  unknownTokenId: number | null
  padTokenId: number | null
  /** chat templates, sorted by name; the usual one is `default` */
  chatTemplates: ChatTemplateSource[]
}

/** A definition as read, with the lookup that reading needed anyway. */
export interface LoadedDefinition {
  definition: TokenizerDefinition
  /** id of each token; an added token goes before another of the same text */
  ids: ReadonlyMap<string, number>
  kind: string
}

export interface ChatTemplateSource { name: string, source: string }

export interface RenderChatOptions {
  /** end with the opening of the assistant's turn (default true) */
  addGenerationPrompt?: boolean
  /** which of the model's templates (default `default`) */
  templateName?: string
  /** what `strftime_now` takes for now (default: the clock) */
  now?: Date
  /** further variables for the template, such as `tools` or `enable_thinking`; plain data */
  variables?: Record<string, unknown>
}

export interface LoadedTokenizer {
  tokenizer: Tokenizer
  /** canonical JSON, UTF-8, of all that determines encoding, decoding and chat rendering: equal bytes, equal behaviour */
  readonly canonical: Uint8Array
  /** source of the default chat template */
  chatTemplate: string | null
  /**
   * Renders messages. The text carries its own special tokens, bos included:
   * encode it with `addSpecialTokens: false`.
   * @throws NoChatTemplateError, ChatTemplateError
   */
  renderChat (messages: readonly ChatMessage[], options?: RenderChatOptions): string
  bosTokenId: number | null
  /** ids that end a text or a turn, as far as the tokenizer's own data says so */
  eosTokenIds: number[]
  /** for people: where it came from and how it works, e.g. `gguf gpt2/smollm` */
  kind: string
}
