/** Logits to ask for where the drawn token is usually among very few: greedy with penalties. */
export const GREEDY_TOP_COUNT = 16

/**
 * Logits to ask for first where no top-k bounds the need: 2 KiB on the wire.
 * The next token of a language model is almost always among them; the count
 * then follows the text.
 */
export const DEFAULT_TOP_COUNT = 256

/**
 * Each further request of the same position asks for this many times more. It
 * costs the computation of a row, far more than the bytes, so few and large
 * steps: at most four requests up to `TOP_COUNT_LIMIT`, then all logits.
 */
export const TOP_COUNT_GROWTH = 8

/** Above this many, sorted ids and values cost the last stage and the wire more than all logits do. */
export const TOP_COUNT_LIMIT = 4096

/** Ids must fit beside a 32-bit key into the 53 bits of a binary64; the largest vocabularies have 2^18. */
export const VOCABULARY_LIMIT = 2 ** 21

/** Wider ranges have no use, and these keep every intermediate result finite. */
export const TEMPERATURE_LIMIT = 100
export const TEMPERATURE_LEAST = 1e-3
export const REPETITION_PENALTY_LIMIT = 100
export const PENALTY_LIMIT = 100

/** Alternatives per token that a client can ask log-probabilities for; each costs 8 bytes a token. */
export const TOP_LOG_PROBABILITIES_LIMIT = 1024

/** Stop strings are searched after every token: few and short. */
export const STOP_STRINGS_LIMIT = 64
export const STOP_STRING_LENGTH_LIMIT = 1024

/**
 * Relative error of the sum in the log-sum-exp of docs/numerics.md, section 8:
 * half an ulp of 87 for the rounding of logit − maximum to a float, doubled to
 * hold the error of `exp` as well. The binary64 additions add less than 2^-38.
 */
export const LOG_SUM_EXP_ERROR = 2 ** -17

/** Generous bound of the relative error of a few binary64 operations and exponentials of arguments below 2^16. */
export const BINARY64_SLACK = 2 ** -30
