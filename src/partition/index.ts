/**
 * Who hosts what: how many units a machine can hold, by bytes, and the split of
 * a model over given machines that makes the slowest stage, or one session, the
 * fastest. Pure functions of plain data.
 */
export * from './types.ts'
export * from './errors.ts'
export { BASE_BYTES, HOP_SECONDS } from './constants.ts'
export { modelCosts, totalWork } from './model-costs.ts'
export { capacityOf, keyValuePositions, peerBytes, rangeBytes } from './capacity.ts'
export type { Capacity, CapacityInit } from './capacity.ts'
export { planSplit } from './plan-split.ts'
