/** `post_processor` of tokenizer.json: the ids before and after a single text. */
import { MAX_ADDED_IDS } from './constants.ts'
import { TokenizerFormatError, UnsupportedTokenizerError } from './errors.ts'
import { asArray, asId, asObject, asString } from './fields.ts'
import { flattenSteps, type StepJson } from './steps-json.ts'

export interface AddedIds { prefix: number[], suffix: number[] }

/** @throws TokenizerFormatError, UnsupportedTokenizerError */
export function readPostProcessor (value: unknown, field: string, vocabularySize: number): AddedIds {
  const around: AddedIds = { prefix: [], suffix: [] }
  for (const step of flattenSteps(value, field, 'processors')) {
    const added = readStep(step, vocabularySize)
    around.prefix.unshift(...added.prefix)
    around.suffix.push(...added.suffix)
  }
  return around
}

function readStep (step: StepJson, vocabularySize: number): AddedIds {
  const { type, json, field } = step
  switch (type) {
    // Trims offsets only.
    case 'ByteLevel': return { prefix: [], suffix: [] }
    case 'TemplateProcessing': return readTemplate(step, vocabularySize)
    case 'BertProcessing': case 'RobertaProcessing': {
      const id = (name: string): number =>
        asId(asArray(json[name], `${field}.${name}`, 2)[1], `${field}.${name}[1]`, vocabularySize)
      return { prefix: [id('cls')], suffix: [id('sep')] }
    }
    default: throw new UnsupportedTokenizerError(`${field}.type`, type)
  }
}

function readTemplate ({ json, field }: StepJson, vocabularySize: number): AddedIds {
  const special = asObject(json.special_tokens ?? {}, `${field}.special_tokens`)
  const parts = asArray(json.single, `${field}.single`, MAX_ADDED_IDS)
  const before: number[] = []
  let after: number[] | undefined
  for (let i = 0; i < parts.length; i++) {
    const at = `${field}.single[${i}]`
    const part = asObject(parts[i], at)
    if (part.Sequence !== undefined) {
      if (after !== undefined) throw new UnsupportedTokenizerError(at, 'Sequence', 'the text comes twice')
      after = []
      continue
    }
    const name = asString(asObject(part.SpecialToken, `${at}.SpecialToken`).id, `${at}.SpecialToken.id`, 1024)
    const entry = `${field}.special_tokens[${JSON.stringify(name)}]`
    const ids = asArray(asObject(Object.hasOwn(special, name) ? special[name] : undefined, entry).ids, `${entry}.ids`, MAX_ADDED_IDS)
    const list = after ?? before
    for (let k = 0; k < ids.length; k++) list.push(asId(ids[k], `${entry}.ids[${k}]`, vocabularySize))
  }
  if (after === undefined) throw new TokenizerFormatError(`${field}.single`, 'has no place for the text')
  return { prefix: before, suffix: after }
}
