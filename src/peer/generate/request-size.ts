import type { RowOutput } from '../../engine/index.ts'
import { DEFAULT_TOP_COUNT, GREEDY_TOP_COUNT, TOP_COUNT_GROWTH, TOP_COUNT_LIMIT } from './constants.ts'
import type { GenerationSettings } from './options.ts'
import { hasPenalties } from './penalties.ts'

/**
 * How many logits to ask for first. Greedy needs one. A top-k that fits is
 * covered exactly, were it not for penalties, which push some of the k out of
 * it. The rest is a guess: any number gives the same tokens.
 */
export function initialCount (settings: GenerationSettings, vocabularySize: number): number {
  const spare = hasPenalties(settings) ? GREEDY_TOP_COUNT : 0
  const greedy = settings.temperature === 0 || settings.topK === 1
  const needed = greedy
    ? 1 + spare
    : settings.topK > 0 && settings.topK <= DEFAULT_TOP_COUNT ? settings.topK + spare : DEFAULT_TOP_COUNT
  return Math.min(Math.max(needed, settings.logProbabilities ?? 0), vocabularySize)
}

/** The output to ask for so many logits; the count beyond which nothing is left to ask is `vocabularySize`. */
export function outputFor (count: number, vocabularySize: number): RowOutput {
  return count > TOP_COUNT_LIMIT && count >= vocabularySize ? { kind: 'logits' } : { kind: 'top', count }
}

/** How many to ask for after `count` did not decide; at most `vocabularySize`. */
export function nextCount (count: number, vocabularySize: number): number {
  const next = count * TOP_COUNT_GROWTH
  return next > TOP_COUNT_LIMIT || next >= vocabularySize ? vocabularySize : next
}

/**
 * How many to ask for at the next position. One that was needed is likely to
 * be needed again soon; it is forgotten over the next twenty positions or so.
 */
export function adaptedCount (settled: number, floor: number): number {
  return Math.max(floor, Math.min(TOP_COUNT_LIMIT, settled - Math.ceil(settled / 8)))
}
