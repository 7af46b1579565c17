/** Parts of tokenizer.json that are one step or a Sequence of steps, and patterns. */
import { MAX_PATTERN_LENGTH, MAX_STEPS } from './constants.ts'
import { TokenizerFormatError } from './errors.ts'
import { asArray, asObject, asString, type Fields } from './fields.ts'
import type { Pattern } from './types.ts'

export interface StepJson { type: string, json: Fields, field: string }

/** Steps in order, nested sequences opened; none for null. `member` is what a Sequence calls its list. */
export function flattenSteps (value: unknown, field: string, member: string): StepJson[] {
  const steps: StepJson[] = []
  const open = (given: unknown, at: string, depth: number): void => {
    if (given === null || given === undefined) return
    const json = asObject(given, at)
    const type = asString(json.type, `${at}.type`, 256)
    if (type !== 'Sequence') steps.push({ type, json, field: at })
    else if (depth > MAX_STEPS) throw new TokenizerFormatError(at, 'is nested too deeply')
    else Array.from(asArray(json[member], `${at}.${member}`, MAX_STEPS), (item, i) => open(item, `${at}.${member}[${i}]`, depth + 1))
    if (steps.length > MAX_STEPS) throw new TokenizerFormatError(field, `has more than ${MAX_STEPS} steps`)
  }
  open(value, field, 0)
  return steps
}

/** `{"Regex": …}` or `{"String": …}`. */
export function readPattern (value: unknown, field: string): Pattern {
  const json = asObject(value, field)
  if (json.Regex !== undefined) return { Regex: asString(json.Regex, `${field}.Regex`, MAX_PATTERN_LENGTH) }
  return { String: asString(json.String, `${field}.String`, MAX_PATTERN_LENGTH) }
}
