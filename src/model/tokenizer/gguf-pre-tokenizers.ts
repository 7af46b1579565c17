/**
 * Pre-tokenizers of byte-level BPE by the names that GGUF files give them in
 * `tokenizer.ggml.pre`. The patterns are those of the models' own
 * tokenizer.json; names and groups as llama.cpp has them.
 */
import type { NormalizerStep, PreTokenizerStep } from './types.ts'

export interface GgufPreTokenizer {
  normalizer: NormalizerStep[]
  preTokenizer: PreTokenizerStep[]
  ignoreMerges: boolean
  /** whether bos is added where the file does not say */
  addBos: boolean
}

/** Letters with an optional space, numbers, the rest, white space: GPT-2. */
export const GPT2_PATTERN = "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+"

/** Llama 3 and Qwen 2 differ in how many digits go together. */
const afterGpt4 = (digits: string): string =>
  `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|${digits}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+`

/** Mistral NeMo: a word ends where lower case is followed by upper case. */
const TEKKEN_PATTERN = '[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]*[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]+' +
  '|[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]+[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]*' +
  '|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+'

const split = (...patterns: string[]): PreTokenizerStep[] =>
  patterns.map(Regex => ({ kind: 'split', pattern: { Regex }, behavior: 'isolated', invert: false }))

const kind = (preTokenizer: PreTokenizerStep[], more: Partial<GgufPreTokenizer> = {}): GgufPreTokenizer =>
  ({ normalizer: [], preTokenizer, ignoreMerges: false, addBos: false, ...more })

const GPT2 = kind(split(GPT2_PATTERN))
const DIGITS_THEN_GPT2 = kind(split('\\p{N}', GPT2_PATTERN))
const LLAMA3 = kind(split(afterGpt4('\\p{N}{1,3}')), { ignoreMerges: true, addBos: true })
const LLAMA3_PLAIN = kind(split(afterGpt4('\\p{N}{1,3}')))
const QWEN2 = kind(split(afterGpt4('\\p{N}')), { normalizer: [{ kind: 'unicode', form: 'NFC' }] })
const TEKKEN = kind(split(TEKKEN_PATTERN), { ignoreMerges: true, addBos: true })
/** What llama.cpp does for files that name none. */
const DEFAULT = kind(split('[\\p{P}\\$\\+<=>\\^~\\|]+', GPT2_PATTERN, '\\p{N}+', '[0-9][0-9][0-9]'))

/** A Map, so that no name finds something inherited. */
export const GGUF_PRE_TOKENIZERS: ReadonlyMap<string, GgufPreTokenizer> = new Map([
  ['default', DEFAULT],
  ...['gpt-2', 'mpt', 'olmo', 'jais'].map(name => [name, GPT2] as const),
  ...['smollm', 'starcoder', 'refact', 'codeshell', 'command-r'].map(name => [name, DIGITS_THEN_GPT2] as const),
  ...['llama-bpe', 'llama3', 'llama-v3'].map(name => [name, LLAMA3] as const),
  ...['dbrx', 'smaug-bpe'].map(name => [name, LLAMA3_PLAIN] as const),
  ...['qwen2', 'deepseek-r1-qwen'].map(name => [name, QWEN2] as const),
  ['stablelm2', kind(split(afterGpt4('\\p{N}')))],
  ['tekken', TEKKEN]
])
