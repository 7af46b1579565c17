import type { ComponentLogger } from '@libp2p/interface'
import type { Engine } from '../../engine/index.ts'
import type { UnitRange } from '../../model/index.ts'
import type { HostedRange, ModelCosts, PlacementPhase, PlacementTiming } from '../../partition/index.ts'
import type { Clock, Directory, PeerRecord } from '../directory/index.ts'
import type { AbortOptions, DrainOptions, ModelIdentity, PeerNode } from '../types.ts'

/** Where ranges come from: files of this machine, or other peers. After an abort both reject, and leave no engine. */
export interface RangeLoader {
  /** brings the files of a range onto this machine, where they are not */
  fetch (range: UnitRange, options: { signal: AbortSignal }): Promise<void>
  /** an engine over a range whose files are here; whoever gets it stops it */
  load (range: UnitRange, options: { signal: AbortSignal }): Promise<Engine>
}

/** What a peer may take, and gives: `capacityOf` makes ranges of it. */
export interface PlacementBudget {
  /** all in all */
  memoryBytes: number
  /** of KV cache that every hosted layer has room for: what engines of the loader have */
  positions: number
  /** beside weights and KV cache; default that of `capacityOf` */
  baseBytes?: number
}

export type PlacementEvent =
  /** it has announced where it wants to go, and waits whether others were first */
  | { type: 'placement:claim', range: UnitRange }
  /** it goes nowhere */
  | { type: 'placement:cancel', range: UnitRange }
  /** `disk`: its files alone, since there is no room for both ranges in memory */
  | { type: 'placement:load', range: UnitRange, into: 'memory' | 'disk' }
  | { type: 'placement:stored', range: UnitRange }
  | { type: 'placement:serve', range: UnitRange }
  | { type: 'placement:failed', range: UnitRange, error: Error }
  /** nobody is to rely on it any more; it waits until others have said that they stay */
  | { type: 'placement:withdraw', range: UnitRange }
  /** nobody else stays there: it is served on */
  | { type: 'placement:resume', range: UnitRange }
  | { type: 'placement:drain', range: UnitRange, sessions: number }
  | { type: 'placement:drop', range: UnitRange }

export interface PlacementInit {
  /** a started node that has been given the model and hosts nothing of it, with `discovery` */
  node: PeerNode
  model: ModelIdentity
  costs: ModelCosts
  budget: PlacementBudget
  loader: RangeLoader
  /** bytes of weights a second that this machine computes, until a range has been loaded and measured */
  workPerSecond?: number
  /** how long clients have to move their sessions from a range that is left; default 30,000. To fill a gap 2,000 at most */
  drainMilliseconds?: number
  timing?: Partial<PlacementTiming>
  onEvent?: (event: PlacementEvent) => void
  /** libp2p's component logger; namespace `efedllm:placement`. Default: that of the node */
  logger?: ComponentLogger
  /** default: that of the node */
  directory?: Pick<Directory, 'records' | 'onChange' | 'refresh' | 'exchange'>
  /** for tests, as what follows */
  clock?: Clock
  /** bytes of weights a second of a peer; 0 where it does not do what it says, undefined where that cannot be said now */
  timePeer?: (record: PeerRecord, options: { signal: AbortSignal }) => Promise<number | undefined>
  /** seconds of a step of one row */
  timeEngine?: (engine: Engine, options: { signal: AbortSignal }) => Promise<number>
}

/**
 * Finds the range that a peer hosts, and moves it (docs/placement.md). Between
 * `start` and `stop` it alone decides what its node hosts and announces.
 * Nothing that it does fails: what goes wrong is an event, and is tried again.
 */
export interface Placement {
  readonly phase: PlacementPhase
  /** ranges that the node has, is getting or is leaving */
  readonly hosted: readonly HostedRange[]
  /** bytes of weights a second, as this machine measured it; 0 before */
  readonly speed: number
  /** asks for the records of others once, and begins. Throws the signal's reason */
  start (options?: AbortOptions): Promise<void>
  /** decides nothing more, gives up what is being loaded, drains what is served, and stops the engines. Never throws; after an abort nobody is waited for */
  stop (options?: DrainOptions): Promise<void>
}
