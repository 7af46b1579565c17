import type { RowResult } from '../../engine/index.ts'
import { InvalidOptionError, InvalidRowResultError, TextTooShortError } from './errors.ts'
import { exp64 } from './math.ts'
import { checkIds } from './options.ts'
import type { GenerationSession, PerplexityOptions, PerplexityResult } from './types.ts'

/** A usual window, and the one that published figures of small models use. */
const DEFAULT_WINDOW = 512

/**
 * Perplexity of a text: consecutive windows that do not overlap, each run
 * alone from position 0, ids as given (no bos is added); the tokens at
 * positions 1 … window − 1 are scored. An incomplete last window is left out.
 * Sums are in binary64, in order.
 *
 * @throws InvalidOptionError, TextTooShortError, InvalidRowResultError, the
 * signal's reason, and whatever `session.step` throws
 */
export async function perplexity (session: GenerationSession, ids: ArrayLike<number>, options: PerplexityOptions = {}): Promise<PerplexityResult> {
  const { onProgress, signal } = options
  const { architecture } = session
  const window = checkCount('window', options.window ?? DEFAULT_WINDOW, 2, Math.min(architecture.contextLength, session.capacity))
  const available = Math.floor(ids.length / window)
  const count = Math.min(available, checkCount('windows', options.windows ?? Math.max(1, available), 1, Infinity))
  if (count === 0) throw new TextTooShortError(ids.length, window)
  const checked = Uint32Array.from(checkIds('ids', Array.prototype.slice.call(ids, 0, count * window), architecture.vocabularySize))

  const result: PerplexityResult = { perplexity: NaN, tokens: 0, negativeLogLikelihood: 0, argmaxHits: 0, windows: [] }
  for (let i = 0; i < count; i++) {
    signal?.throwIfAborted()
    const tokens = checked.subarray(i * window, (i + 1) * window)
    const rows = await session.step({
      tokens,
      position: 0,
      outputs: Array.from({ length: window - 1 }, (_, row) => ({ row, output: { kind: 'score' as const, ids: [tokens[row + 1]] } }))
    }, { signal })
    const scored = scoreWindow(tokens, rows)
    result.windows.push(scored)
    result.tokens += scored.tokens
    result.negativeLogLikelihood += scored.negativeLogLikelihood
    result.argmaxHits += scored.argmaxHits
    result.perplexity = exp64(result.negativeLogLikelihood / result.tokens)
    onProgress?.({ type: 'perplexity:window', done: i + 1, windows: count, tokens: result.tokens, perplexity: result.perplexity })
  }
  return result
}

function scoreWindow (tokens: Uint32Array, rows: RowResult[]): PerplexityResult['windows'][number] {
  if (rows.length !== tokens.length - 1) throw new InvalidRowResultError('rows', `expected ${tokens.length - 1}, got ${rows.length}`)
  let negativeLogLikelihood = 0
  let argmaxHits = 0
  rows.forEach(({ row, ids, values, logSumExp, argmax }, i) => {
    const next = tokens[i + 1]
    if (row !== i || ids?.length !== 1 || ids[0] !== next || values?.length !== 1 || logSumExp === undefined) {
      throw new InvalidRowResultError('rows', `row ${i} does not score id ${next}`)
    }
    const loss = logSumExp - values[0]
    if (!Number.isFinite(loss)) throw new InvalidRowResultError('rows', `row ${i} is not finite`)
    negativeLogLikelihood += loss
    if (argmax === next) argmaxHits++
  })
  return { negativeLogLikelihood, tokens: rows.length, argmaxHits }
}

function checkCount (name: string, value: number, least: number, most: number): number {
  if (!Number.isSafeInteger(value) || value < least || value > most) {
    throw new InvalidOptionError(name, `must be an integer ${most === Infinity ? `of at least ${least}` : `between ${least} and ${most}`}, not ${value}`)
  }
  return value
}
