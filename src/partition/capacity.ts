import { BASE_BYTES } from './constants.ts'
import { InvalidPlanOptionError } from './errors.ts'
import { createProblem } from './problem.ts'
import { furthestEnds } from './reach.ts'
import type { UnitRange } from '../model/index.ts'
import type { ModelCosts, RangeBytes } from './types.ts'

export interface CapacityInit {
  /** bytes that a peer may take, all in all */
  memoryBytes: number
  /** positions of KV cache that every hosted layer has room for */
  positions: number
  /** work per second, and seconds that a token may take here: without both, memory alone decides */
  speed?: number
  stageSeconds?: number
  /** bytes that a peer takes beside weights and KV cache; default BASE_BYTES */
  baseBytes?: number
}

export interface Capacity {
  /** for each unit, the longest range that begins with it and fits; it is empty (`to` = `from`) where the unit alone does not fit */
  ranges: UnitRange[]
  /** units of the longest of them */
  most: number
}

/** How many units a machine can host, wherever the range begins: counted by their bytes, for units differ. */
export function capacityOf (costs: ModelCosts, { memoryBytes, positions, speed, stageSeconds, baseBytes }: CapacityInit): Capacity {
  const problem = createProblem(costs, [{ name: 'machine', memoryBytes, speed: speed ?? 1 }], { positions, baseBytes })
  const ends = furthestEnds(problem, problem.groups[0], speed === undefined ? Infinity : stageSeconds ?? Infinity)
  const ranges = Array.from(ends.subarray(0, costs.units.length), (to, from) => ({ from, to }))
  return { ranges, most: Math.max(...ranges.map(({ from, to }) => to - from)) }
}

/** Bytes of a range of units with KV cache for `positions` positions. */
export function rangeBytes ({ units, tied }: ModelCosts, { from, to }: UnitRange, positions: number): RangeBytes {
  const hosted = units.slice(from, to)
  const whole = hosted.length === units.length
  const sum = (of: (unit: ModelCosts['units'][number]) => number) => hosted.reduce((total, unit) => total + of(unit), 0)
  return {
    weightBytes: sum(unit => unit.memoryBytes) - (whole ? tied.memoryBytes : 0),
    keyValueBytes: sum(unit => unit.keyValueBytes) * positions,
    storedBytes: sum(unit => unit.storedBytes) - (whole ? tied.storedBytes : 0)
  }
}

/** Bytes that a peer takes with a range of units, all in all. */
export function peerBytes (costs: ModelCosts, range: UnitRange, { positions, baseBytes = BASE_BYTES }: { positions: number, baseBytes?: number }): number {
  const { weightBytes, keyValueBytes } = rangeBytes(costs, range, positions)
  return weightBytes + keyValueBytes + baseBytes
}

/** Positions of KV cache for sessions of `context` positions each: a session takes whole pages. */
export function keyValuePositions ({ pagePositions }: ModelCosts, context: number, sessions: number): number {
  for (const [field, value] of [['context', context], ['sessions', sessions]] as const) {
    if (!Number.isSafeInteger(value) || value < 0) throw new InvalidPlanOptionError(field, 'is no whole number from 0 up')
  }
  return Math.ceil(context / pagePositions) * pagePositions * sessions
}
