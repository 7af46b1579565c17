/**
 * The one place that touches `@huggingface/tokenizers`.
 *
 * Taken from it: the translation of Oniguruma patterns, in which tokenizer
 * files are written, to JavaScript. Not taken: its encoder and decoder, which
 * cannot leave special tokens unparsed or decode step by step (more in `index.ts`).
 */
import * as library from '@huggingface/tokenizers'
import { MAX_PATTERN_LENGTH } from './constants.ts'
import { TokenizerFormatError, UnsupportedTokenizerError } from './errors.ts'
import type { Pattern } from './types.ts'

// Its declarations use imports without extension, which nodenext resolution does not follow.
const { SplitPreTokenizer } = library as unknown as {
  SplitPreTokenizer: new (config: { type: 'Split', pattern: Pattern, behavior: string, invert: boolean }) => { pattern: RegExp | null }
}

/**
 * Global regular expression of a pattern.
 * @throws TokenizerFormatError, UnsupportedTokenizerError
 */
export function compilePattern (pattern: Pattern, field: string): RegExp {
  const source = 'Regex' in pattern ? pattern.Regex : pattern.String
  if (source.length > MAX_PATTERN_LENGTH) {
    throw new TokenizerFormatError(field, `a pattern of ${source.length} characters is longer than ${MAX_PATTERN_LENGTH}`)
  }
  let compiled: RegExp | null
  try {
    compiled = new SplitPreTokenizer({ type: 'Split', pattern, behavior: 'Isolated', invert: false }).pattern
  } catch (cause) {
    throw new TokenizerFormatError(field, `pattern does not compile: ${cause instanceof Error ? cause.message : String(cause)}`, { cause })
  }
  if (compiled === null) throw new UnsupportedTokenizerError(field, source)
  return compiled
}
