import {
  BLOCK_COLUMNS, MAX_CONTEXT_LENGTH, MAX_FEED_FORWARD_SIZE, MAX_HEADS, MAX_HEAD_SIZE, MAX_HIDDEN_SIZE, MAX_LAYERS, MAX_VOCABULARY
} from '../constants.ts'
import { isJsonObject } from '../json-file.ts'
import type { JsonObject } from '../json-file.ts'
import type { Architecture } from '../types.ts'

/** Reports what is wrong with a field; must throw. */
export type Fail = (field: string, reason: string) => never

const FAMILIES = ['llama', 'mistral', 'qwen2', 'qwen3']

const KEYS: Readonly<Record<keyof Architecture, true>> = {
  family: true,
  layerCount: true,
  hiddenSize: true,
  feedForwardSize: true,
  headCount: true,
  keyValueHeadCount: true,
  headSize: true,
  vocabularySize: true,
  contextLength: true,
  normEpsilon: true,
  ropeTheta: true,
  ropeScaling: true,
  queryKeyNorm: true,
  slidingWindows: true,
  tiedEmbedding: true
}

/**
 * Checks plain data, from a file or from the network, against the type and
 * against what profile `exact-1` can compute. Pure.
 *
 * @returns the same value, now of the type
 */
export function checkArchitecture (value: unknown, fail: Fail): Architecture {
  if (!isJsonObject(value)) return fail('architecture', 'is not an object')
  checkKeys(value, Object.keys(KEYS), '', fail)
  if (!FAMILIES.includes(value.family as string)) fail('family', `is not one of ${FAMILIES.join(', ')}`)
  const layers = integer(value, 'layerCount', 1, MAX_LAYERS, fail)
  const hidden = integer(value, 'hiddenSize', 1, MAX_HIDDEN_SIZE, fail)
  const feedForward = integer(value, 'feedForwardSize', 1, MAX_FEED_FORWARD_SIZE, fail)
  const heads = integer(value, 'headCount', 1, MAX_HEADS, fail)
  const keyValueHeads = integer(value, 'keyValueHeadCount', 1, heads, fail)
  const headSize = integer(value, 'headSize', 2, MAX_HEAD_SIZE, fail)
  integer(value, 'vocabularySize', 1, MAX_VOCABULARY, fail)
  const context = integer(value, 'contextLength', 1, MAX_CONTEXT_LENGTH, fail)
  number(value, 'normEpsilon', 0, 1, fail)
  number(value, 'ropeTheta', 1, 1e15, fail)
  if (heads % keyValueHeads !== 0) fail('keyValueHeadCount', `${heads} heads cannot share ${keyValueHeads} key and value heads evenly`)
  if (headSize !== 16 && headSize % BLOCK_COLUMNS !== 0) fail('headSize', `${headSize} is neither 16 nor a multiple of ${BLOCK_COLUMNS}, as profile exact-1 requires`)
  for (const [field, columns] of [['hiddenSize', hidden], ['feedForwardSize', feedForward], ['headCount', heads * headSize]] as const) {
    if (columns % BLOCK_COLUMNS !== 0) fail(field, `matrices of ${columns} columns: profile exact-1 needs a multiple of ${BLOCK_COLUMNS}`)
  }
  for (const field of ['queryKeyNorm', 'tiedEmbedding']) {
    if (typeof value[field] !== 'boolean') fail(field, 'is not true or false')
  }
  if (value.ropeScaling !== null) checkScaling(value.ropeScaling, headSize, fail)
  const windows = value.slidingWindows
  if (!Array.isArray(windows) || windows.length !== layers) return fail('slidingWindows', `is not a list of ${layers}`)
  for (const window of windows) {
    if (window !== null && !isInteger(window, 1, context)) fail('slidingWindows', 'has something that is neither null nor a window')
  }
  return value as unknown as Architecture
}

function checkScaling (scaling: unknown, headSize: number, fail: Fail): void {
  const field = 'ropeScaling'
  const failIn: Fail = (name, reason) => fail(`${field}.${name}`, reason)
  if (!isJsonObject(scaling)) return fail(field, 'is neither null nor an object')
  switch (scaling.kind) {
    case 'linear':
      checkKeys(scaling, ['kind', 'factor'], field, fail)
      number(scaling, 'factor', 1e-6, 1e6, failIn)
      return
    case 'llama3': {
      checkKeys(scaling, ['kind', 'factor', 'lowFrequencyFactor', 'highFrequencyFactor', 'originalContextLength'], field, fail)
      number(scaling, 'factor', 1e-6, 1e6, failIn)
      const low = number(scaling, 'lowFrequencyFactor', 1e-6, 1e6, failIn)
      const high = number(scaling, 'highFrequencyFactor', 1e-6, 1e6, failIn)
      if (high <= low) failIn('highFrequencyFactor', `${high} is not above lowFrequencyFactor ${low}`)
      integer(scaling, 'originalContextLength', 1, MAX_CONTEXT_LENGTH, failIn)
      return
    }
    case 'factors': {
      checkKeys(scaling, ['kind', 'factors'], field, fail)
      const factors = scaling.factors
      if (!Array.isArray(factors) || factors.length !== headSize / 2) return failIn('factors', `is not a list of ${headSize / 2}`)
      if (!factors.every(factor => isNumber(factor, 1e-6, 1e6))) failIn('factors', 'has something that is not a positive number')
      return
    }
    default:
      fail(`${field}.kind`, 'is not linear, llama3 or factors')
  }
}

/** Refuses missing and unknown keys, so that equal meanings have equal encodings. */
export function checkKeys (value: JsonObject, keys: string[], field: string, fail: Fail): void {
  const prefix = field === '' ? '' : `${field}.`
  for (const key of keys) if (!Object.hasOwn(value, key)) fail(prefix + key, 'is missing')
  for (const key of Object.keys(value)) if (!keys.includes(key)) fail(prefix + key.slice(0, 80), 'is an unknown field')
}

export function isInteger (value: unknown, least: number, most: number): value is number {
  return Number.isInteger(value) && (value as number) >= least && (value as number) <= most
}

export function isNumber (value: unknown, least: number, most: number): value is number {
  return typeof value === 'number' && value >= least && value <= most
}

function integer (value: JsonObject, field: string, least: number, most: number, fail: Fail): number {
  const found = value[field]
  return isInteger(found, least, most) ? found : fail(field, `${describe(found)} is not an integer from ${least} to ${most}`)
}

function number (value: JsonObject, field: string, least: number, most: number, fail: Fail): number {
  const found = value[field]
  return isNumber(found, least, most) ? found : fail(field, `${describe(found)} is not a number from ${least} to ${most}`)
}

export function describe (value: unknown): string {
  return value === undefined ? 'nothing' : String(JSON.stringify(value)).slice(0, 60)
}
