/**
 * Text from a session: sampling that is exact with a part of the logits,
 * penalties, stop conditions, the generation loop and perplexity. The meaning
 * of every sampling option is fixed to the bit by docs/sampling.md.
 */
export type {
  GenerationEvent, GenerationInit, GenerationOptions, GenerationResult, GenerationSession, GenerationTimings,
  PerplexityOptions, PerplexityProgress, PerplexityResult, SamplingOptions, StopReason, StreamingTokenizer,
  TokenLogProbability
} from './types.ts'
export { InvalidOptionError, InvalidRowResultError, PromptTooLongError, TextTooShortError } from './errors.ts'
export { generate, generateText } from './generate.ts'
export { perplexity } from './perplexity.ts'
