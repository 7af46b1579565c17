import type { UnitRange } from '../../model/index.ts'
import { capacityOf, rangeBytes } from '../../partition/index.ts'
import type { ModelCosts } from '../../partition/index.ts'
import type { PlacementBudget } from './types.ts'

/** For each unit the longest range that begins with it and fits. */
export interface Room {
  /** where nothing else is in memory */
  readonly capacity: UnitRange[]
  /** beside these ranges; undefined where there is room for nothing */
  beside (ranges: readonly UnitRange[]): UnitRange[] | undefined
}

/** Throws InvalidPlanOptionError. */
export function createRoom (costs: ModelCosts, budget: PlacementBudget): Room {
  const { memoryBytes, positions, baseBytes } = budget
  const known = new Map<string, UnitRange[] | undefined>()
  return {
    capacity: capacityOf(costs, budget).ranges,
    beside (ranges) {
      const key = ranges.map(({ from, to }) => `${from}:${to}`).sort().join()
      if (!known.has(key)) {
        let left = memoryBytes
        for (const range of ranges) {
          const { weightBytes, keyValueBytes } = rangeBytes(costs, range, positions)
          left -= weightBytes + keyValueBytes
        }
        const capacity = left > 0 ? capacityOf(costs, { memoryBytes: left, positions, baseBytes }) : undefined
        known.set(key, capacity === undefined || capacity.most === 0 ? undefined : capacity.ranges)
      }
      return known.get(key)
    }
  }
}
