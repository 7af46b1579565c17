/**
 * Who hosts what, and who runs what: how many units a machine can hold, by
 * bytes; the split of a model over given machines that makes the slowest stage,
 * or one session, the fastest; where a peer joins a swarm and when it moves; the
 * route of a session; how a session changes hands. Pure functions of plain data:
 * time is an argument, and where something is to differ, a seed.
 */
export * from './types.ts'
export * from './errors.ts'
export { BASE_BYTES, HOP_SECONDS } from './constants.ts'
export { modelCosts, totalWork } from './model-costs.ts'
export { capacityOf, keyValuePositions, peerBytes, rangeBytes } from './capacity.ts'
export type { Capacity, CapacityInit } from './capacity.ts'
export { planSplit } from './plan-split.ts'
export * from './route/index.ts'
export * from './measure/index.ts'
export * from './placement/index.ts'
export { chooseHandOver, handOverSeconds } from './hand-over.ts'
export type { HandOver, HandOverInit } from './hand-over.ts'
