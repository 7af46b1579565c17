import { layOutArenas } from './arena-layout.ts'
import { ALIGNMENT, ARENA_WEIGHT_BYTES, PAGE_TILES, TILE } from './constants.ts'
import type { Architecture, UnitSource } from '../../model/index.ts'
import type { ArenaLayout } from './arena-layout.ts'

/** Bytes that an engine's memory takes, beside scratch memory of a few megabytes. */
export interface MemoryNeeds {
  /** weights of each unit in order, when it is hosted by itself */
  units: number[]
  /** weights that are there once where one engine hosts all units: a tied embedding */
  shared: number
  /** KV cache of one layer for one position */
  keyValueBytes: number
  /** positions that a session takes at a time: it has whole pages */
  pagePositions: number
}

/**
 * What each unit of a model needs in an engine's memory, from the very layout
 * that engines use. Reads no weights.
 *
 * @throws UnsupportedModelError where the engine cannot host the model
 */
export function memoryNeeds ({ architecture, unit }: { architecture: Architecture, unit: (index: number) => UnitSource }): MemoryNeeds {
  const unitCount = architecture.layerCount + 2
  const arenas = (from: number, to: number) => layOutArenas({
    architecture, range: { from, to }, unit, threads: 1, keyValuePositions: 1, contextLength: TILE, arenaBytes: ARENA_WEIGHT_BYTES
  })
  const single = Array.from({ length: unitCount }, (_, index) => arenas(index, index + 1)[0])
  const units = single.map(weightBytes)
  const whole = arenas(0, unitCount).reduce((sum, arena) => sum + weightBytes(arena), 0)
  return {
    units,
    shared: units.reduce((sum, bytes) => sum + bytes, 0) - whole,
    keyValueBytes: single[1].pageBytes / (PAGE_TILES * TILE),
    pagePositions: PAGE_TILES * TILE
  }
}

/** Weights lie between the barriers and the counters. */
function weightBytes ({ innerBarrier, counters }: ArenaLayout): number {
  return counters - innerBarrier - ALIGNMENT
}
