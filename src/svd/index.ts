/**
 * Truncated singular value decompositions of weight matrices, whitened by the
 * activations they meet (evidence and formulas in docs/compression.md), the
 * errors they leave, and the choice of a storage mode for every matrix of a
 * model under a byte budget. Pure functions of float64 matrices; a pool of
 * worker threads runs the long ones.
 */
export * from './types.ts'
export * from './errors.ts'
