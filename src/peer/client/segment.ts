import type { RowResult } from '../../engine/index.ts'
import type { StageDescription } from '../types.ts'
import type { OutputRequest } from '../wire/index.ts'
import type { StageState } from './plan-repair.ts'

/** A chunk on its way along the route. */
export interface Chunk {
  sequence: number
  position: number
  rows: number
  tokens?: Uint32Array
  hidden?: Float32Array
  outputs: OutputRequest[]
  /** a replay that ends at this stage, one of the segment's; absent where the chunk goes on from it */
  until?: number
}

/** Outputs that a stage of a segment has kept are sent to the next one. */
export interface ReplayChunk {
  sequence: number
  position: number
  rows: number
  /** the stage that has them, one of the segment's */
  source: number
  /** where the replay ends, perhaps behind the segment */
  until: number
}

export interface ChunkResult {
  /** absent where the chunk has ended */
  hidden?: Float32Array
  results?: RowResult[]
  /** milliseconds of computation for each stage of the segment */
  spans: number[]
}

/** What all stages of a segment allow. */
export interface Grant {
  /** positions a session can have */
  capacity: number
  /** chunks that may be under way */
  window: number
  rowsPerStep: number
}

/**
 * A part of a route: one local engine, or a chain of remote stages. Chunks
 * enter in the order of their sequence numbers and leave in the same order.
 */
export interface Segment {
  readonly stages: readonly StageDescription[]
  readonly grant: Grant
  /** what each stage has of the session, as of its opening */
  readonly states: readonly StageState[]
  process (chunk: Chunk): Promise<ChunkResult>
  replay (chunk: ReplayChunk): Promise<ChunkResult>
  /** chunks below `sequence` are dropped; resolves when none of them can have an effect any more */
  cancel (sequence: number): Promise<void>
  /** after which no chunk is under way */
  truncate (sequence: number, length: number): Promise<void>
  /** tells the stages which positions are held after step `sequence`, from `changed` on other ones than told before; absent where prefixes are not shared */
  name?: (sequence: number, ids: ArrayLike<number>, changed: number) => void
}
