import type { Architecture, UnitRange, UnitSource } from '../model/index.ts'

/**
 * What a row of a step is to give back when the engine hosts the head.
 * `top` with `count` n gives the n best logits, best first, equal logits by
 * lowest id, and the log-sum-exp over all logits; `argmax` is `top` with 1.
 * `score` gives the logits of the given ids, in the given order, the
 * log-sum-exp over all logits and the argmax: what perplexity and the check of
 * a draft need, without sending a whole vocabulary.
 */
export type RowOutput =
  | { kind: 'top', count: number }
  | { kind: 'logits' }
  | { kind: 'score', ids: number[] }

/** Rows of one session in a batch. Give `tokens` where the session's range starts at `embed`, `hidden` otherwise. */
export interface BatchItem {
  /** an id from `openSession` */
  session: number
  /** position of the first row; rows from here on that the session already holds are dropped first */
  position: number
  tokens?: Uint32Array
  /** rows × hiddenSize float32, row-major */
  hidden?: Float32Array
  /** rows that want an output, ascending; only meaningful where the session's range includes `head` */
  outputs?: Array<{ row: number, output: RowOutput }>
}

export interface RowResult {
  row: number
  /** `top`: ids, best first; `score`: the ids asked for, in the order asked */
  ids?: Uint32Array
  /** logits of `ids` */
  values?: Float32Array
  /** natural log of the sum of exp over all logits at temperature 1; `top` and `score` */
  logSumExp?: number
  /** id of the highest logit, the lowest id where several are equal; `score` */
  argmax?: number
  /** all logits, for output kind `logits` */
  logits?: Float32Array
}

export interface BatchResult {
  session: number
  /** rows × hiddenSize; present where the session's range does not include `head`; the caller owns the memory */
  hidden?: Float32Array
  rows?: RowResult[]
  /** milliseconds of computation for this item */
  milliseconds: number
}

export interface AbortOptions {
  signal?: AbortSignal
}

export interface OpenSessionOptions {
  /** positions that are promised to the session: room for them is set aside. Without it the session takes what is free */
  capacity?: number
  /** the session begins with the first `length` positions that another one holds; both go on independently of each other */
  prefix?: { session: number, length: number }
  /** contiguous part of the engine's range that the session runs; default: all of it. Its positions cost the budget as much as others */
  range?: UnitRange
}

/** Runs a contiguous range of units. All implementations give the same interface. */
export interface Engine {
  readonly architecture: Architecture
  readonly range: UnitRange
  /** kernels that it runs, where there is a choice; for reports */
  readonly kernels?: KernelReport
  /** KV positions of the budget that no session holds and none was promised */
  readonly freePositions: number
  /**
   * A new session. Promises are never more than what is free; a session can
   * write as many positions as it was promised, once each. What it begins with
   * costs only the pages that are not shared. A prefix is of a session with
   * the same range. Throws SessionLimitError, KeyValueBudgetError,
   * ContextLengthError, InvalidRangeError, and for a prefix
   * UnknownSessionError and InvalidPrefixError.
   */
  openSession (options?: OpenSessionOptions): number
  /** units that a session runs */
  sessionRange (session: number): UnitRange
  /** number of positions a session holds */
  sessionLength (session: number): number
  /** sets aside what a step will need that writes positions [from, to), beyond what is promised; throws KeyValueBudgetError */
  reserve (session: number, from: number, to: number): void
  /** takes back what was promised or reserved: from now on the session has only what it holds, and grows where others leave room */
  release (session: number): void
  /** forgets all positions from `length` on, and what was reserved for them */
  truncate (session: number, length: number): void
  closeSession (session: number): void
  /**
   * The KV cache of positions [from, to) of a session's layers, as
   * docs/numerics.md, section 11, writes it; those below the first position of
   * a step that is under way can be had all the same. It is copied on the
   * calling thread, a megabyte in two or three milliseconds: ask for a few
   * positions at a time. Throws UnknownSessionError, InvalidKeyValuesError,
   * EngineStoppedError, UnsupportedProfileError.
   */
  readKeyValues (session: number, from: number, to: number): Uint8Array
  /**
   * Gives a session the KV cache of positions [from, to), as `readKeyValues`
   * of any engine gave it; the session holds `to` positions then. Takes pages
   * as a step does. Where the range has no layers there are no bytes, and `to`
   * has to be given. After an error the session is as it was. Throws
   * UnknownSessionError, InvalidKeyValuesError, ContextLengthError,
   * KeyValueBudgetError, SessionBusyError, EngineStoppedError,
   * UnsupportedProfileError.
   */
  writeKeyValues (session: number, from: number, bytes: Uint8Array, to?: number): void
  /**
   * Computes a batch of (session, rows); sessions of a batch may run different
   * ranges. Result bits do not depend on how rows are grouped into items and
   * batches. Throws NotFiniteError naming unit and position,
   * ContextLengthError, KeyValueBudgetError, InvalidBatchError,
   * UnknownSessionError. After an abort or error of one item all sessions of
   * the batch hold what they had before the call, less the positions that an
   * item of theirs dropped or wrote anew.
   */
  run (batch: BatchItem[], options?: AbortOptions): Promise<BatchResult[]>
  stop (): Promise<void>
}

export type KernelVariant = 'relaxed-i32' | 'relaxed-i16' | 'plain'

/**
 * The variants that run products of matrices with one token or few (`vector`)
 * and with many (`tile`), and those of codes of 8 bits with any number (`bytes`),
 * and from how many places at a time one token reads a matrix of codes of 4 bits
 * (`streams`) and of 8 (`byteStreams`).
 */
export interface KernelReport {
  vector: KernelVariant
  tile: KernelVariant
  bytes: KernelVariant
  streams: 1 | 4
  byteStreams: 1 | 4
  /** the system was asked to give memory in large pages, and agreed */
  hugePages: boolean
  /** known from an earlier start, not measured at this one */
  cached: boolean
}

export interface EngineInit {
  architecture: Architecture
  range: UnitRange
  /** where the tensors of each unit of the range are, by unit number */
  unit: (index: number) => UnitSource
  /** compute threads (real engine only); default: number of physical cores */
  threads?: number
  /** kernel variant; default: the fastest by a short measurement */
  variant?: KernelVariant
  /** file that keeps which variants are the fastest, so that this machine measures it once; without it each start measures */
  kernelCache?: string
  /** positions of KV cache over all sessions; default contextLength * 4 */
  keyValuePositions?: number
  onProgress?: (event: EngineProgress) => void
}

export type EngineProgress = { type: 'engine:load', unit: number, loaded: number, total: number }
