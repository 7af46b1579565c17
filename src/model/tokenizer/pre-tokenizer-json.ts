/**
 * `pre_tokenizer` of tokenizer.json. All kinds are brought down to Split, with
 * the character classes of the Rust implementation: its digits are all of
 * Unicode's numbers, its punctuation ASCII's and Unicode's, its white space
 * has U+0085 and lacks U+FEFF.
 */
import { UnsupportedTokenizerError } from './errors.ts'
import { asBoolean, asString, optional } from './fields.ts'
import { GPT2_PATTERN } from './gguf-pre-tokenizers.ts'
import { flattenSteps, readPattern, type StepJson } from './steps-json.ts'
import type { PreTokenizerStep, SplitBehavior } from './types.ts'

export interface PreTokenizerJson {
  preTokenizer: PreTokenizerStep[]
  /** ends by writing pieces in the alphabet of bytes */
  byteLevel: boolean
}

const PUNCTUATION = '[\\p{P}\\x21-\\x2F\\x3A-\\x40\\x5B-\\x60\\x7B-\\x7E]'

const BEHAVIORS: ReadonlyMap<string, SplitBehavior> = new Map([
  ['Isolated', 'isolated'],
  ['Removed', 'removed'],
  ['MergedWithPrevious', 'mergedWithPrevious'],
  ['MergedWithNext', 'mergedWithNext'],
  ['Contiguous', 'contiguous']
])

/** @throws TokenizerFormatError, UnsupportedTokenizerError */
export function readPreTokenizer (value: unknown, field: string): PreTokenizerJson {
  const steps = flattenSteps(value, field, 'pretokenizers')
  steps.forEach((step, i) => {
    if (step.type === 'ByteLevel' && i < steps.length - 1) {
      throw new UnsupportedTokenizerError(`${step.field}.type`, 'ByteLevel', 'supported as the last step only')
    }
  })
  return { preTokenizer: steps.flatMap(readStep), byteLevel: steps.at(-1)?.type === 'ByteLevel' }
}

const split = (Regex: string, behavior: SplitBehavior = 'isolated', invert = false): PreTokenizerStep =>
  ({ kind: 'split', pattern: { Regex }, behavior, invert })

function readStep (step: StepJson): PreTokenizerStep[] {
  const { type, json, field } = step
  const flag = (name: string, fallback: boolean): boolean =>
    optional(json[name], value => asBoolean(value, `${field}.${name}`)) ?? fallback
  switch (type) {
    case 'ByteLevel': return [
      ...(flag('add_prefix_space', true) ? [{ kind: 'prefixSpace' } as const] : []),
      ...(flag('use_regex', true) ? [split(GPT2_PATTERN)] : [])
    ]
    case 'Split': return [{
      kind: 'split',
      pattern: readPattern(json.pattern, `${field}.pattern`),
      behavior: readBehavior(step),
      invert: flag('invert', false)
    }]
    case 'Digits': return [split(flag('individual_digits', false) ? '\\p{N}' : '\\p{N}+')]
    case 'Punctuation': return [split(PUNCTUATION, json.behavior === undefined ? 'isolated' : readBehavior(step))]
    case 'Whitespace': return [split('\\w+|[^\\w\\s]+', 'removed', true)]
    case 'WhitespaceSplit': return [split('\\s', 'removed')]
    case 'Metaspace': return [readMetaspace(step)]
    default: throw new UnsupportedTokenizerError(`${field}.type`, type)
  }
}

function readBehavior ({ json, field }: StepJson): SplitBehavior {
  const name = asString(json.behavior, `${field}.behavior`, 256)
  const behavior = BEHAVIORS.get(name)
  if (behavior === undefined) throw new UnsupportedTokenizerError(`${field}.behavior`, name)
  return behavior
}

function readMetaspace ({ json, field }: StepJson): PreTokenizerStep {
  // Older files have add_prefix_space in place of prepend_scheme.
  const prefix = optional(json.add_prefix_space, value => asBoolean(value, `${field}.add_prefix_space`)) ?? true
  const prepend = optional(json.prepend_scheme, value => asString(value, `${field}.prepend_scheme`, 256)) ?? (prefix ? 'always' : 'never')
  if (prepend !== 'always' && prepend !== 'first' && prepend !== 'never') {
    throw new UnsupportedTokenizerError(`${field}.prepend_scheme`, prepend)
  }
  return {
    kind: 'metaspace',
    replacement: asString(json.replacement, `${field}.replacement`, 2),
    prepend,
    split: optional(json.split, value => asBoolean(value, `${field}.split`)) ?? true
  }
}
