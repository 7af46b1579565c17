import type { SamplingSettings } from './options.ts'

type PenaltySettings = Pick<SamplingSettings, 'repetitionPenalty' | 'presencePenalty' | 'frequencyPenalty'>

/** Whether any token's logit can change. */
export function hasPenalties (settings: PenaltySettings): boolean {
  return settings.repetitionPenalty !== 1 || settings.presencePenalty !== 0 || settings.frequencyPenalty !== 0
}

/**
 * The logit of a token that occurs `count` ≥ 1 times in the context. It never
 * falls when `logit` rises (each of its operations is monotone, also rounded),
 * which bounds the logits of penalised tokens that were not seen.
 *
 * Repetition penalty: Keskar et al., "CTRL", 2019, with the sign rule that
 * became usual. Presence and frequency penalties as in the OpenAI API.
 */
export function penalise (logit: number, count: number, settings: PenaltySettings): number {
  const repeated = logit > 0 ? logit / settings.repetitionPenalty : logit * settings.repetitionPenalty
  return (repeated - settings.frequencyPenalty * count) - settings.presencePenalty
}

/** How often each id occurs. */
export type TokenCounts = Map<number, number>

/** Adds the ids to the counts. */
export function countTokens (counts: TokenCounts, ids: ArrayLike<number>): void {
  for (let i = 0; i < ids.length; i++) counts.set(ids[i], (counts.get(ids[i]) ?? 0) + 1)
}
