import {
  PENALTY_LIMIT, REPETITION_PENALTY_LIMIT, STOP_STRING_LENGTH_LIMIT, STOP_STRINGS_LIMIT, TEMPERATURE_LEAST,
  TEMPERATURE_LIMIT, TOP_LOG_PROBABILITIES_LIMIT
} from './constants.ts'
import { InvalidOptionError } from './errors.ts'
import type { GenerationOptions, SamplingOptions } from './types.ts'

/** Sampling options, checked and complete. */
export interface SamplingSettings {
  temperature: number
  /** 0: no limit */
  topK: number
  topP: number
  minP: number
  repetitionPenalty: number
  presencePenalty: number
  frequencyPenalty: number
  seed: number
}

/** Generation options, checked and complete. */
export interface GenerationSettings extends SamplingSettings {
  maximumTokens: number
  stopTokenIds: ReadonlySet<number>
  stopStrings: readonly string[]
  logProbabilities: number | undefined
  skipSpecialTokens: boolean
}

/** `value` where it is a finite number that `accepts`, `fallback` where it is undefined. */
function numberOption (name: string, value: unknown, fallback: number, range: string, accepts: (value: number) => boolean): number {
  if (value === undefined) return fallback
  if (typeof value !== 'number' || !Number.isFinite(value) || !accepts(value)) {
    throw new InvalidOptionError(name, `must be ${range}, not ${describe(value)}`)
  }
  return value
}

function describe (value: unknown): string {
  return typeof value === 'number' ? String(value) : value === null ? 'null' : typeof value
}

/** 53 bits from the system */
function randomSeed (): number {
  const [high, low] = crypto.getRandomValues(new Uint32Array(2))
  return (high >>> 11) * 2 ** 32 + low
}

/** Checks sampling options and fills in defaults. Throws InvalidOptionError. */
export function resolveSampling (options: SamplingOptions): SamplingSettings {
  const penalty = `between -${PENALTY_LIMIT} and ${PENALTY_LIMIT}`
  return {
    temperature: numberOption('temperature', options.temperature, 0,
      `0 (greedy) or between ${TEMPERATURE_LEAST} and ${TEMPERATURE_LIMIT}`,
      value => value === 0 || (value >= TEMPERATURE_LEAST && value <= TEMPERATURE_LIMIT)),
    topK: numberOption('topK', options.topK, 0, 'an integer of at least 0 (0: no limit)',
      value => Number.isSafeInteger(value) && value >= 0),
    topP: numberOption('topP', options.topP, 1, 'above 0 and at most 1', value => value > 0 && value <= 1),
    minP: numberOption('minP', options.minP, 0, 'between 0 and 1', value => value >= 0 && value <= 1),
    repetitionPenalty: numberOption('repetitionPenalty', options.repetitionPenalty, 1,
      `between ${1 / REPETITION_PENALTY_LIMIT} and ${REPETITION_PENALTY_LIMIT}`,
      value => value >= 1 / REPETITION_PENALTY_LIMIT && value <= REPETITION_PENALTY_LIMIT),
    presencePenalty: numberOption('presencePenalty', options.presencePenalty, 0, penalty,
      value => value >= -PENALTY_LIMIT && value <= PENALTY_LIMIT),
    frequencyPenalty: numberOption('frequencyPenalty', options.frequencyPenalty, 0, penalty,
      value => value >= -PENALTY_LIMIT && value <= PENALTY_LIMIT),
    seed: numberOption('seed', options.seed, randomSeed(), 'an integer between 0 and 2^53 - 1',
      value => Number.isSafeInteger(value) && value >= 0)
  }
}

/** Checks generation options and fills in defaults. Throws InvalidOptionError. */
export function resolveOptions (options: GenerationOptions, vocabularySize: number): GenerationSettings {
  const logProbabilityLimit = Math.min(TOP_LOG_PROBABILITIES_LIMIT, vocabularySize)
  return {
    ...resolveSampling(options),
    maximumTokens: numberOption('maximumTokens', options.maximumTokens, Infinity, 'an integer of at least 1',
      value => Number.isSafeInteger(value) && value >= 1),
    // a model's configuration may name ids beyond its vocabulary; they do no harm
    stopTokenIds: new Set(checkIds('stopTokenIds', options.stopTokenIds ?? [], Infinity)),
    stopStrings: checkStopStrings(options.stopStrings ?? []),
    logProbabilities: options.logProbabilities === undefined
      ? undefined
      : numberOption('logProbabilities', options.logProbabilities, 0, `an integer between 0 and ${logProbabilityLimit}`,
        value => Number.isSafeInteger(value) && value >= 0 && value <= logProbabilityLimit),
    skipSpecialTokens: options.skipSpecialTokens ?? true
  }
}

/** A copy of the ids, each below `vocabularySize`. Throws InvalidOptionError naming option and index. */
export function checkIds (name: string, ids: ArrayLike<number>, vocabularySize: number): number[] {
  const checked = Array.from(ids)
  for (let i = 0; i < checked.length; i++) {
    const id = checked[i]
    if (!Number.isInteger(id) || id < 0 || id >= vocabularySize) {
      throw new InvalidOptionError(`${name}[${i}]`, `must be an integer from 0 on and below ${vocabularySize}, not ${describe(id)}`)
    }
  }
  return checked
}

function checkStopStrings (strings: readonly string[]): readonly string[] {
  if (!Array.isArray(strings) || strings.length > STOP_STRINGS_LIMIT) {
    throw new InvalidOptionError('stopStrings', `must be an array of at most ${STOP_STRINGS_LIMIT} strings`)
  }
  strings.forEach((text, i) => {
    if (typeof text !== 'string' || text.length === 0 || text.length > STOP_STRING_LENGTH_LIMIT || !text.isWellFormed()) {
      throw new InvalidOptionError(`stopStrings[${i}]`,
        `must be well-formed text of 1 to ${STOP_STRING_LENGTH_LIMIT} UTF-16 units`)
    }
  })
  return [...strings]
}
