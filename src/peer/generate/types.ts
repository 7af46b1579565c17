import type { TextStream } from '../../model/index.ts'
import type { RouteSession } from '../types.ts'

/** What generation needs of a session; every `RouteSession` is one. */
export type GenerationSession = Pick<RouteSession, 'architecture' | 'capacity' | 'length' | 'step' | 'truncate'> & Partial<Pick<RouteSession, 'heldIds'>>

/** What generation needs of a tokenizer; every `Tokenizer` is one. */
export interface StreamingTokenizer {
  createTextStream (options?: { skipSpecialTokens?: boolean }): TextStream
}

/** How a token is drawn; docs/sampling.md fixes the meaning and the order of these to the bit. */
export interface SamplingOptions {
  /** 0 (default) is greedy; otherwise 0.001 … 100 */
  temperature?: number
  /** keep the k best; 0 (default) keeps all */
  topK?: number
  /** keep the fewest best tokens with at least this share of the probability, 0 < p ≤ 1; default 1 */
  topP?: number
  /** keep tokens with at least this fraction of the probability of the best, 0 ≤ p ≤ 1; default 0 */
  minP?: number
  /** logits of tokens in the context are divided by it where positive, multiplied where not; 0.01 … 100, default 1 */
  repetitionPenalty?: number
  /** taken off the logits of tokens in the context; −100 … 100, default 0 */
  presencePenalty?: number
  /** taken off once for each occurrence in the context; −100 … 100, default 0 */
  frequencyPenalty?: number
  /** 0 … 2^53 − 1; the same seed draws the same text anywhere. Default: a random one, given in the result */
  seed?: number
}

export interface GenerationOptions extends SamplingOptions {
  /** new tokens at most; default: as many as the context holds */
  maximumTokens?: number
  /** ids that end the text; default none. Usually `model.generation.stopTokenIds` */
  stopTokenIds?: readonly number[]
  /** strings that end the text; they are not part of it */
  stopStrings?: readonly string[]
  /**
   * give log-probabilities of every token, and of this many best alternatives
   * (0 … 1024); they are of the model's own distribution, before penalties and
   * at temperature 1. Default: none
   */
  logProbabilities?: number
  /** leave special tokens out of the text; default true */
  skipSpecialTokens?: boolean
}

export type StopReason = 'stop-token' | 'stop-string' | 'length' | 'context' | 'aborted'

export interface TokenLogProbability {
  id: number
  logProbability: number
}

export type GenerationEvent =
  /** the prompt is computed */
  | { type: 'prompt', tokens: number, reusedTokens: number, milliseconds: number }
  /** a token was drawn; `position` is its index in prompt and text */
  | { type: 'token', id: number, position: number, logProbability?: number, top?: TokenLogProbability[] }
  /** text that is certain to be part of the result */
  | { type: 'text', text: string }

export interface GenerationTimings {
  /** computing the prompt */
  promptMilliseconds: number
  /** from the start to the first token */
  firstTokenMilliseconds: number
  /** all tokens after the first; time that the consumer spends between events is not counted */
  decodeMilliseconds: number
  /** prompt tokens that were computed, a second; 0 where it cannot be said */
  promptTokensPerSecond: number
  /** tokens after the first, a second; 0 where there are none */
  tokensPerSecond: number
}

export interface GenerationResult {
  text: string
  /** every token drawn, in order; with stop reason `stop-token` the stop token is the last */
  tokenIds: number[]
  promptTokens: number
  /** of these the session held already */
  reusedTokens: number
  stopReason: StopReason
  /** the stop string that was found */
  stopString?: string
  /** the seed that was used; undefined for greedy */
  seed?: number
  /** ids that the session holds now, to be given as `sessionIds` for the next turn */
  sessionIds: number[]
  /** times that more logits had to be asked for */
  extraRequests: number
  timings: GenerationTimings
}

export interface GenerationInit {
  session: GenerationSession
  tokenizer: StreamingTokenizer
  /** the whole sequence so far: prompt, or chat history and new turn */
  promptIds: ArrayLike<number>
  /**
   * ids of the positions that the session holds; positions that agree with the
   * prompt are not computed again. Default: the `heldIds` of the session; where
   * it has none either, the session starts afresh
   */
  sessionIds?: ArrayLike<number>
  options?: GenerationOptions
  signal?: AbortSignal
}

export interface PerplexityOptions {
  /** ids in a window; default 512 */
  window?: number
  /** windows at most; default all that are full */
  windows?: number
  onProgress?: (event: PerplexityProgress) => void
  signal?: AbortSignal
}

export interface PerplexityProgress {
  type: 'perplexity:window'
  /** windows done */
  done: number
  windows: number
  /** scored tokens so far */
  tokens: number
  /** over the windows done */
  perplexity: number
}

export interface PerplexityResult {
  /** exp of the mean negative log-likelihood */
  perplexity: number
  /** scored tokens: window − 1 for each window */
  tokens: number
  /** natural logarithm, summed over the scored tokens */
  negativeLogLikelihood: number
  /** scored tokens that the model thought the likeliest */
  argmaxHits: number
  windows: Array<{ negativeLogLikelihood: number, tokens: number, argmaxHits: number }>
}
