import type { RowOutput, RowResult } from '../../engine/index.ts'
import { candidatesFromRow, type Candidates } from './candidates.ts'
import { InvalidRowResultError } from './errors.ts'
import type { GenerationSettings } from './options.ts'
import { countTokens, hasPenalties, type TokenCounts } from './penalties.ts'
import { uniformAt } from './philox.ts'
import { adaptedCount, initialCount, nextCount, outputFor } from './request-size.ts'
import { sampleToken } from './sampler.ts'
import type { TokenLogProbability } from './types.ts'

/** A token and, where asked for, its log-probabilities. */
export interface DrawnToken {
  id: number
  logProbability?: number
  top?: TokenLogProbability[]
}

/** Draws the tokens of one text, and knows which logits to ask for. */
export interface TokenSource {
  /** what the last row of the next step is to give */
  readonly output: RowOutput
  /** times that more logits had to be asked for */
  readonly extraRequests: number
  /**
   * Draws the token at `position` from the answer to `output`. `askAgain`
   * computes the same row again for another output; the bits of its logits are
   * the same (invariant I1).
   */
  draw (row: RowResult, position: number, askAgain: (output: RowOutput) => Promise<RowResult>): Promise<DrawnToken>
}

/** A source for a text that starts with `promptIds`. */
export function createTokenSource (settings: GenerationSettings, promptIds: ArrayLike<number>, vocabularySize: number): TokenSource {
  return new Source(settings, promptIds, vocabularySize)
}

class Source implements TokenSource {
  extraRequests = 0
  readonly #settings: GenerationSettings
  readonly #vocabularySize: number
  readonly #counts: TokenCounts = new Map()
  readonly #penalties: boolean
  readonly #floor: number
  #count: number

  constructor (settings: GenerationSettings, promptIds: ArrayLike<number>, vocabularySize: number) {
    this.#settings = settings
    this.#vocabularySize = vocabularySize
    this.#penalties = hasPenalties(settings)
    if (this.#penalties) countTokens(this.#counts, promptIds)
    this.#floor = initialCount(settings, vocabularySize)
    this.#count = this.#floor
  }

  get output (): RowOutput {
    return outputFor(this.#count, this.#vocabularySize)
  }

  async draw (row: RowResult, position: number, askAgain: (output: RowOutput) => Promise<RowResult>): Promise<DrawnToken> {
    const uniform = this.#settings.temperature === 0 ? 0 : uniformAt(this.#settings.seed, position)
    let candidates = candidatesFromRow(row, this.output, this.#vocabularySize)
    let { logSumExp } = candidates
    let id = sampleToken(candidates, this.#counts, this.#settings, uniform)
    while (id === undefined) {
      // complete candidates always decide; a loop without end would be the worst way to be wrong about that
      if (candidates.ids.length === this.#vocabularySize) throw new InvalidRowResultError('logits', 'no token can be drawn from them')
      this.#count = nextCount(this.#count, this.#vocabularySize)
      this.extraRequests++
      candidates = candidatesFromRow(await askAgain(this.output), this.output, this.#vocabularySize)
      logSumExp ??= candidates.logSumExp
      id = sampleToken(candidates, this.#counts, this.#settings, uniform)
    }
    this.#count = adaptedCount(this.#count, this.#floor)
    if (this.#penalties) countTokens(this.#counts, [id])
    if (this.#settings.logProbabilities === undefined) return { id }
    return logProbabilities(id, candidates, logSumExp, this.#settings.logProbabilities)
  }
}

/**
 * Natural logarithms of probabilities of the model's own distribution, before
 * penalties and at temperature 1: logit − log-sum-exp.
 */
function logProbabilities (id: number, candidates: Candidates, logSumExp: number | undefined, count: number): DrawnToken {
  const { ids, logits } = candidates
  if (logSumExp === undefined) throw new InvalidRowResultError('logSumExp', 'missing')
  const of = (i: number): TokenLogProbability => ({ id: ids[i], logProbability: logits[i] - logSumExp })
  return {
    ...of(Array.prototype.indexOf.call(ids, id)),
    top: Array.from({ length: Math.min(count, ids.length) }, (_, i) => of(i))
  }
}
