/**
 * Truncated singular value decompositions of weight matrices, whitened by the
 * activations they meet (evidence and formulas in docs/compression.md), the
 * errors they leave, and the choice of a storage mode for every matrix of a
 * model under a byte budget. Pure functions of float64 matrices; a pool of
 * worker threads runs the long ones.
 */
export * from './types.ts'
export * from './errors.ts'
export { subtract, transpose, lowRankProduct, reconstruct } from './matrix.ts'
export { matrixProduct } from './product/index.ts'
export { shrinkGram } from './gram.ts'
export { whitenedFactors, residualFactors, plainFactors } from './whitened-factors.ts'
export { truncatedSvd } from './truncated-svd.ts'
export { randomisedSvd } from './randomised-svd.ts'
export { frobeniusError, predictedError, truncateFactors, weightedError } from './factor-errors.ts'
export { breakEvenRank, candidateRanks, rankForShare } from './ranks.ts'
export { allocate, allocateRanges } from './allocate.ts'
export { createTaskPool } from './task-pool.ts'
export type { RunOptions, TaskPool, TaskPoolInit } from './task-pool.ts'
export { serveTasks } from './serve-tasks.ts'
export { createDecompositionPool } from './decomposition-pool.ts'
export type { DecompositionPool } from './decomposition-pool.ts'
export * from './calibration/index.ts'
export * from './compress/index.ts'
