/** `normalizer` of tokenizer.json. */
import { MAX_PATTERN_LENGTH } from './constants.ts'
import { UnsupportedTokenizerError } from './errors.ts'
import { asString } from './fields.ts'
import { flattenSteps, readPattern, type StepJson } from './steps-json.ts'
import type { NormalizerStep } from './types.ts'

/** @throws TokenizerFormatError, UnsupportedTokenizerError */
export function readNormalizer (value: unknown, field: string): NormalizerStep[] {
  return flattenSteps(value, field, 'normalizers').map(readStep)
}

function readStep ({ type, json, field }: StepJson): NormalizerStep {
  switch (type) {
    case 'NFC': case 'NFD': case 'NFKC': case 'NFKD': return { kind: 'unicode', form: type }
    case 'Lowercase': return { kind: 'lowercase' }
    case 'Prepend': return { kind: 'prepend', content: asString(json.prepend, `${field}.prepend`, MAX_PATTERN_LENGTH) }
    case 'Replace': return {
      kind: 'replace',
      pattern: readPattern(json.pattern, `${field}.pattern`),
      content: asString(json.content, `${field}.content`, MAX_PATTERN_LENGTH)
    }
    default: throw new UnsupportedTokenizerError(`${field}.type`, type)
  }
}
