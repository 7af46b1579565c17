import type { RowResult } from '../../engine/index.ts'
import type { PassedStage } from '../prefix-names.ts'
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

/** How a segment shares the beginnings of its sessions; without it nothing is shared. */
export interface Sharing {
  /** of this node: who does not know it cannot tell what a name stands for */
  secret: Uint8Array
  modelId: string
  /** stages of the route before the segment */
  passed: readonly PassedStage[]
  /** ids that are looked for */
  ids: ArrayLike<number>
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
  /** positions of the prompt that all its stages hold at first */
  readonly held: number
  /** set once the segment is of no more use */
  readonly failure: Error | undefined
  /** called at most once, when the segment fails */
  onFailure (listener: (error: Error) => void): void
  process (chunk: Chunk): Promise<ChunkResult>
  /** chunks below `sequence` are dropped; resolves when none of them can have an effect any more */
  cancel (sequence: number): Promise<void>
  /** after which no chunk is under way */
  truncate (sequence: number, length: number): Promise<void>
  /** tells the stages which positions are held after step `sequence`, from `changed` on other ones than told before; absent where prefixes are not shared */
  name?: (sequence: number, ids: ArrayLike<number>, changed: number) => void
  close (): Promise<void>
}
