import { BINARY64_SLACK, LOG_SUM_EXP_ERROR } from './constants.ts'
import type { Candidates } from './candidates.ts'
import { exp64, log64 } from './math.ts'

/** The weight of a logit: exp((logit − best) ÷ temperature). One definition, so that its bits are one. */
export function weightOf (logit: number, best: number, temperature: number): number {
  return exp64((logit - best) / temperature)
}

/** Exponents beyond this are no logits of a model, and their rounding would escape the slack. */
const EXPONENT_LIMIT = 65536

export interface UnseenMass {
  /** not more than the sum of the unseen weights */
  low: number
  /** not less than that sum */
  high: number
}

/**
 * Bounds of the sum of the weights of the tokens that `candidates` does not
 * list. `best` is the best adjusted logit, to which weights are relative, and
 * `penalised` holds an upper bound of the adjusted logit of each unseen token
 * that a penalty changes.
 *
 * Let x = exp(l − M) for each of the N unseen and unpenalised logits l, M the
 * best logit. Each is at most that of the worst seen logit, x_b, and the
 * log-sum-exp gives their sum a up to its own error. What is wanted is the sum
 * of x^s with s = 1 ÷ temperature:
 *
 *   s ≥ 1:  N (a ÷ N)^s ≤ Σ x^s ≤ a x_b^(s−1)
 *   s < 1:  a x_b^(s−1) ≤ Σ x^s ≤ N (a ÷ N)^s
 *
 * (x^s = x · x^(s−1), and Jensen's inequality), besides 0 ≤ Σ x^s ≤ N x_b^s.
 */
export function boundUnseenMass (candidates: Candidates, penalised: readonly number[], best: number, temperature: number): UnseenMass {
  const { logits, vocabularySize } = candidates
  const count = vocabularySize - logits.length - penalised.length
  const worst = logits[logits.length - 1]
  let high = count * weightOf(worst, best, temperature)
  let low = 0
  const power = boundByLogSumExp(candidates, penalised.length, best, temperature)
  if (power !== undefined) {
    high = Math.min(high, power.high)
    low = Math.min(high, power.low)
  }
  for (const logit of penalised) high += weightOf(logit, best, temperature)
  return { low: low * (1 - BINARY64_SLACK), high: high * (1 + BINARY64_SLACK) }
}

function boundByLogSumExp (candidates: Candidates, penalisedCount: number, best: number, temperature: number): UnseenMass | undefined {
  const { logits, logSumExp, vocabularySize } = candidates
  if (logSumExp === undefined) return undefined
  const rawBest = logits[0]
  const gap = logits[logits.length - 1] - rawBest
  const s = 1 / temperature
  const shift = (rawBest - best) * s
  const exponents = [gap * s, shift, logSumExp - rawBest, rawBest, best]
  if (exponents.some(exponent => !(exponent > -EXPONENT_LIMIT && exponent < EXPONENT_LIMIT))) return undefined

  const all = exp64(logSumExp - rawBest)
  let seen = 0
  for (let i = 0; i < logits.length; i++) seen += exp64(logits[i] - rawBest)
  const massHigh = all / (1 - LOG_SUM_EXP_ERROR) - seen * (1 - BINARY64_SLACK)
  // penalised tokens are counted apart, so what they may hold is taken off
  const massLow = all / (1 + LOG_SUM_EXP_ERROR) - seen * (1 + BINARY64_SLACK) - penalisedCount * exp64(gap)

  const count = vocabularySize - logits.length - penalisedCount
  if (count === 0) return { low: 0, high: 0 }
  // less than what was seen: the log-sum-exp belongs to other logits
  if (!(massHigh > 0)) return undefined
  const byWorst = (mass: number): number => mass <= 0 ? 0 : mass * exp64(gap * (s - 1) + shift)
  const byMean = (mass: number): number => mass <= 0 ? 0 : exp64(log64(count) * (1 - s) + log64(mass) * s + shift)
  return s >= 1
    ? { low: byMean(massLow), high: byWorst(massHigh) }
    : { low: byWorst(massLow), high: byMean(massHigh) }
}
