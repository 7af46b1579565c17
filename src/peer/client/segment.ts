import type { RowResult } from '../../engine/index.ts'
import type { StageDescription } from '../types.ts'
import type { OutputRequest } from '../wire/index.ts'

/** A chunk on its way along the route. */
export interface Chunk {
  sequence: number
  position: number
  rows: number
  tokens?: Uint32Array
  hidden?: Float32Array
  outputs: OutputRequest[]
}

export interface ChunkResult {
  hidden?: Float32Array
  results?: RowResult[]
  /** milliseconds of computation for each stage of the segment */
  spans: number[]
}

/**
 * A part of a route: one local engine, or a chain of remote stages. Chunks
 * enter in the order of their sequence numbers and leave in the same order.
 */
export interface Segment {
  readonly stages: StageDescription[]
  /** positions a session can have */
  readonly capacity: number
  /** chunks that may be under way */
  readonly window: number
  readonly rowsPerStep: number
  /** set once the segment is of no more use */
  readonly failure: Error | undefined
  /** called at most once, when the segment fails */
  onFailure (listener: (error: Error) => void): void
  process (chunk: Chunk): Promise<ChunkResult>
  /** chunks below `sequence` are dropped; resolves when none of them can have an effect any more */
  cancel (sequence: number): Promise<void>
  /** after which no chunk is under way */
  truncate (sequence: number, length: number): Promise<void>
  close (): Promise<void>
}
