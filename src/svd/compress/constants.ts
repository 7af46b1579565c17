import type { TensorType } from '../../model/index.ts'

/** Numbers of compression, each with its reason. */

/** Tokens of the survey that compares modes before the budget is shared out; their order of merit settles early. */
export const SURVEY_TOKENS = 2048

/** Ranks that the allocator may choose, of corrections and of low-rank products alone; above 64 a base with more bits is the better buy. */
export const SURVEY_RANKS = [8, 16, 24, 32, 48, 64]

/** Rank of a correction where none is given: the smallest that gets most of the gain (docs/compression.md). */
export const DEFAULT_RANK = 16

/** Shares of the diagonal that are tried on held-out text. */
export const SHRINKAGES = [0, 0.001, 0.01, 0.03, 0.1, 0.3]

/** Rank at which they are compared. */
export const SHRINKAGE_RANK = 16

/** Shrinkage of the survey, which has no held-out text. */
export const SURVEY_SHRINKAGE = 0.01

/** Rows of an embedding or another large matrix that are read, encoded and compared at once: some megabytes. */
export const TABLE_ROWS = 1024

/** Positions at which output projections are compared; their logits are held at once. */
export const TABLE_POSITIONS = 64

/** A matrix is replaced by this form to learn what an error of it costs: near the budgets that matter, where cost is linear. */
export const PROBE_TYPE: TensorType = 'Q4_0'

/** Rows of a matrix that stand for all where shrinkages, or errors of rounding before and after a change, are compared. */
export const SAMPLED_ROWS = 128

/** A layer of a large model is calibrated for longer than workers wait by default. */
export const WORKER_IDLE_MILLISECONDS = 60_000

/** Turns of base and factors; the third lowers errors by 3 % (measured on sotu-4m), each takes a decomposition. */
export const ALTERNATIONS = 2
