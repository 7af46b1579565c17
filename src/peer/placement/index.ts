/** Which range a peer hosts, and how it moves: the planner of src/partition, and what it decides on. */
export type { Placement, PlacementBudget, PlacementEvent, PlacementInit, RangeLoader } from './types.ts'
export { chooseSources } from './choose-sources.ts'
export { createPlacement } from './placement.ts'
