import { BINARY64_SLACK } from './constants.ts'
import type { Candidates } from './candidates.ts'
import { log64 } from './math.ts'
import type { SamplingSettings } from './options.ts'
import type { TokenCounts } from './penalties.ts'
import { rank, type Ranking } from './ranking.ts'
import { boundUnseenMass, weightOf } from './unseen-mass.ts'

/**
 * Draws a token, or gives undefined where the candidates do not decide which
 * token all logits would give; with complete candidates it always decides. The
 * token is a pure function of all logits, the ids before it, the options and
 * the seed: how many candidates were seen never shows.
 *
 * Order of operations (docs/sampling.md), in binary64, one rounding each:
 *
 * 1. penalties: repetition, then frequency, then presence;
 * 2. order: highest first, equal logits by lowest id. Temperature 0: the first;
 * 3. top-k: the first K = min(topK, vocabulary);
 * 4. temperature: weight w_i = exp64((l_i − l_1) ÷ temperature), and running
 *    sums C_i = w_1 + … + w_i, added in this order;
 * 5. top-p: the first tokens up to the first i with C_i ≥ topP × C_K;
 * 6. min-p: of these, those with (l_i − l_1) ÷ temperature ≥ log64(minP);
 * 7. draw: with j tokens left, the first i with C_i > uniform × C_j.
 *
 * Steps 3, 5 and 6 each keep a prefix of the same order, so bounds of C_K give
 * bounds of C_j, and these a first and a last token that can be drawn: where
 * they are the same, nothing unseen can change it. All comparisons are monotone
 * in the bounds, also rounded.
 *
 * @param counts occurrences of each id in the context; empty without penalties
 * @param uniform in [0, 1); not used for temperature 0
 */
export function sampleToken (candidates: Candidates, counts: TokenCounts, settings: SamplingSettings, uniform: number): number | undefined {
  const ranking = rank(candidates, counts, settings)
  if (ranking.certain === 0) return undefined
  if (settings.temperature === 0 || settings.topK === 1) return ranking.ids[0]

  const kept = settings.topK === 0 ? candidates.vocabularySize : Math.min(settings.topK, candidates.vocabularySize)
  const sums = runningSums(ranking, kept, settings.temperature)
  const total = boundTotal(candidates, ranking, sums, kept, settings.temperature)
  const mass = boundKeptMass(ranking, sums, kept, total, settings)
  const first = firstAbove(sums, uniform * mass.low)
  const last = firstAbove(sums, uniform * mass.high)
  return first === last && first < sums.length ? ranking.ids[first] : undefined
}

/** An interval that holds a sum. */
interface Bounds { low: number, high: number }

/** C_1 … C_m of the tokens whose place is certain, K of them at most */
function runningSums (ranking: Ranking, kept: number, temperature: number): Float64Array {
  const sums = new Float64Array(Math.min(ranking.certain, kept))
  let sum = 0
  for (let i = 0; i < sums.length; i++) {
    sum += weightOf(ranking.logits[i], ranking.logits[0], temperature)
    sums[i] = sum
  }
  return sums
}

/** Bounds of C_K. */
function boundTotal (candidates: Candidates, ranking: Ranking, sums: Float64Array, kept: number, temperature: number): Bounds {
  const known = sums[sums.length - 1]
  if (sums.length === kept) return { low: known, high: known }
  const best = ranking.logits[0]
  const missing = kept - sums.length
  const unseen = boundUnseenMass(candidates, ranking.unseenPenalised, best, temperature)
  // seen, but unseen tokens may come before them
  let uncertain = 0
  for (let i = sums.length; i < ranking.ids.length; i++) uncertain += weightOf(ranking.logits[i], best, temperature)

  const bounded = missing * weightOf(ranking.bound, best, temperature)
  const high = known + Math.min(bounded, uncertain + unseen.high)
  // with top-k, only the first of them count
  const low = kept === candidates.vocabularySize ? known + uncertain + unseen.low : known
  // C_K is rounded at each of its additions
  const slack = BINARY64_SLACK + kept * Number.EPSILON
  return { low: Math.max(known, low * (1 - slack)), high: high * (1 + slack) }
}

/** Bounds of C_j, the mass of what top-p and min-p keep. */
function boundKeptMass (ranking: Ranking, sums: Float64Array, kept: number, total: Bounds, settings: SamplingSettings): Bounds {
  const { temperature, topP, minP } = settings
  const best = ranking.logits[0]
  const known = sums[sums.length - 1]
  let { low, high } = total
  if (topP < 1) {
    const first = firstAtLeast(sums, topP * total.low)
    const last = firstAtLeast(sums, topP * total.high)
    low = first < sums.length ? sums[first] : Math.max(known, topP * total.low)
    // one token beyond the threshold at most
    high = last < sums.length
      ? sums[last]
      : Math.min(high, (topP * total.high + weightOf(ranking.bound, best, temperature)) * (1 + BINARY64_SLACK))
  }
  if (minP > 0) {
    const threshold = log64(minP)
    const passes = (logit: number): boolean => (logit - best) / temperature >= threshold
    let count = 0
    while (count < sums.length && passes(ranking.logits[count])) count++
    // the first one always passes
    const passed = sums[count - 1]
    low = Math.min(low, passed)
    if (count < sums.length || sums.length === kept || !passes(ranking.bound)) high = Math.min(high, passed)
  }
  return { low, high }
}

/** Index of the first sum above `target`, `sums.length` where there is none. */
function firstAbove (sums: Float64Array, target: number): number {
  let low = 0
  let high = sums.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (sums[middle] > target) high = middle
    else low = middle + 1
  }
  return low
}

/** Index of the first sum of at least `target`, `sums.length` where there is none. */
function firstAtLeast (sums: Float64Array, target: number): number {
  let low = 0
  let high = sums.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (sums[middle] >= target) high = middle
    else low = middle + 1
  }
  return low
}
