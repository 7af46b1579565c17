/**
 * `decoder` of tokenizer.json: byte level, or the pieces of SentencePiece with
 * their marker replaced. Others rewrite text across pieces and cannot be
 * decoded step by step.
 */
import { MAX_PATTERN_LENGTH, MAX_STEPS } from './constants.ts'
import { UnsupportedTokenizerError } from './errors.ts'
import { asId, asString } from './fields.ts'
import { flattenSteps, readPattern, type StepJson } from './steps-json.ts'
import type { DecoderDefinition } from './types.ts'

/** @throws TokenizerFormatError, UnsupportedTokenizerError */
export function readDecoder (value: unknown, field: string): DecoderDefinition {
  const steps = flattenSteps(value, field, 'decoders')
  if (steps.length === 0) throw new UnsupportedTokenizerError(field, 'none', 'a decoder is needed')
  if (steps.length === 1 && steps[0].type === 'ByteLevel') return { kind: 'byteLevel' }

  const replacements: Array<{ from: string, to: string }> = []
  let fused = false
  let stripStart = 0
  for (const step of steps) {
    const { type, json } = step
    if (type === 'Replace' && !fused) replacements.push(readReplacement(step))
    else if (type === 'Fuse') fused = true
    else if (type === 'Strip' && fused) stripStart += readStrip(step)
    else if (type === 'Metaspace' && !fused) {
      replacements.push({ from: asString(json.replacement, `${step.field}.replacement`, 2), to: ' ' })
      if (json.prepend_scheme !== 'never' && json.add_prefix_space !== false) stripStart = 1
    } else if (type !== 'ByteFallback' || fused) throw new UnsupportedTokenizerError(`${step.field}.type`, type)
  }
  return { kind: 'pieces', replacements, stripStart }
}

function readReplacement ({ json, field }: StepJson): { from: string, to: string } {
  const pattern = readPattern(json.pattern, `${field}.pattern`)
  if (!('String' in pattern) || pattern.String === '') {
    throw new UnsupportedTokenizerError(`${field}.pattern`, 'Regex' in pattern ? pattern.Regex : '', 'only literal strings are replaced')
  }
  return { from: pattern.String, to: asString(json.content, `${field}.content`, MAX_PATTERN_LENGTH) }
}

function readStrip ({ json, field }: StepJson): number {
  const content = asString(json.content, `${field}.content`, 256)
  if (content !== ' ' || json.stop !== 0) throw new UnsupportedTokenizerError(field, 'Strip', 'only spaces at the start are stripped')
  return asId(json.start, `${field}.start`, MAX_STEPS)
}
