/** Numbers of this folder, each with its reason. */

/** Ranks are multiples of this: left factors are stored in blocks of 8 along the rank, and a prefix of ranks must be a prefix of blocks. */
export const RANK_STEP = 8

/** `p` of Halko et al. at least: 5 to 10 extra columns make a failure of the random sketch improbable (their section 4.2); 10 is common practice. */
export const OVERSAMPLING = 10

/**
 * Extra columns for each of the rank, where that is more: with 10, matrices of SmolLM2 and sotu-4m were up to 3.7 % above
 * the optimum at rank 128, with a quarter of the rank up to 2.1 %, with half of it 1.3 %.
 */
export const OVERSAMPLING_SHARE = 0.5

/** `q` of Halko et al.: flat spectra of weights need two to come within 2 % of the optimum; one leaves 3 % at rank 64. */
export const POWER_ITERATIONS = 2

/** What couples a row to the rest of a matrix whose largest element is 1 is left out below this: far below rounding errors, and its square is still a normal number. */
export const NEGLIGIBLE_COUPLING = 1e-30

/** Steps of implicit QL for one eigenvalue; two are usual, and 30 have been the limit since Bowdler et al. (1968). */
export const MAX_QL_STEPS = 60

/** Solves of inverse iteration for one eigenvector; two suffice, a start that is nearly orthogonal to it takes one more. */
export const MAX_INVERSE_ITERATIONS = 8

/** ‖T·v - λ·v‖ ÷ ‖T‖ at which inverse iteration stops: some rounding errors of one product. */
export const SOLVED_RESIDUAL = 1e-13

/** The same, at which an eigenvector is refused. Final Rayleigh-Ritz steps make up for anything smaller. */
export const USABLE_RESIDUAL = 1e-9

/** ‖U·S·Vᵀ - A‖ ÷ ‖A‖ at which a decomposition is refused; right ones are near 1e-14. */
export const MAX_RECONSTRUCTION_ERROR = 1e-10

/** Seed of the starts of inverse iteration and of replaced directions: any will do, one makes results repeatable. */
export const START_SEED = 0x5eed

/** A vector that shrinks by this much when others are projected out of it was rounding noise; it is replaced. */
export const NEGLIGIBLE_REST = 1e-12

/** Rounds of improving an allocation by exchanges. Each lowers the error, and a dozen are rarely needed; the limit keeps the time bounded. */
export const MAX_EXCHANGE_ROUNDS = 200

/** A worker thread with nothing to do ends after this; starting one takes about 50 ms, and its heap is some 10 MB. */
export const IDLE_MILLISECONDS = 2000

/** Progress is passed on to another thread after at least this share: a hundred messages a task at most. */
export const PROGRESS_STEP = 0.01
