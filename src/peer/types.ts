import type { ComponentLogger } from '@libp2p/interface'
import type { Architecture, BlockStore, Manifest, UnitRange } from '../model/index.ts'
import type { Engine, RowOutput, RowResult } from '../engine/index.ts'
import type { Clock, Directory, PeerRecord, Reachability } from './directory/index.ts'

/** What names a model on the wire; an opened `Model` is one. */
export interface ModelIdentity {
  /** SHA-256, lower-case hex, of the canonical encoding of the manifest */
  modelId: string
  manifest: Manifest
}

/** What a peer grants to others. Every number is checked on the wire before memory is reserved. */
export interface PeerLimits {
  /** sessions over all clients */
  sessions: number
  /** sessions of one client */
  sessionsPerClient: number
  /** rows of one step frame */
  rowsPerStep: number
  /** steps of one session that may be under way at once (end-to-end credits) */
  window: number
  /** positions of one session */
  contextLength: number
  /** bytes of queued steps of one client */
  queuedBytesPerClient: number
  /** bytes of queued steps of all clients */
  queuedBytes: number
  /** bytes of outputs of live sessions that are kept in memory, for stages that take the place of lost ones */
  keptBytes: number
  /** and beyond that in a file; with 0 for both nothing is kept */
  keptDiskBytes: number
  /** bytes of keys and values that have come from other peers, or are on their way, and are not yet in the KV cache, over all sessions */
  takenBytes: number
  /** frames a second on one stream, averaged; four times as many in a burst */
  framesPerSecond: number
  /** milliseconds after which a session without a frame is closed */
  sessionIdleMilliseconds: number
  /** milliseconds without a step after which a session may be ended for want of KV cache */
  evictIdleMilliseconds: number
  /** closed sessions of one client that are kept while there is room, for sessions of the same client that begin alike; 0 keeps none and shares nothing */
  keptSessionsPerClient: number
  /** new connections to other peers that one client may cause in a minute without their coming about; four times as many may */
  dialsPerClientAndMinute: number
  /** bytes a second of shared packages, over all peers */
  sharedBytesPerSecond: number
  /** bytes a second of shared packages for one peer */
  sharedBytesPerSecondAndPeer: number
}

/** `joining`: not yet; `draining`: no new sessions. */
export type HostedState = 'joining' | 'serving' | 'draining'

/** A range that a peer hosts, and whether it takes sessions there. */
export interface HostedUnits {
  range: UnitRange
  state: HostedState
}

/** What a node is to host. */
export interface HostInit {
  engine: Engine
  /** the same for all that a node hosts */
  model: ModelIdentity
}

export interface DrainOptions extends AbortOptions {
  /** how long to wait for sessions to be moved; default 30,000 */
  milliseconds?: number
}

/** A range that a node hosts, until it is removed. The engine stays with the caller. */
export interface HostedRange extends HostedUnits {
  readonly range: UnitRange
  readonly state: HostedState
  /** of this range, right now */
  readonly sessions: number
  /**
   * Takes no more sessions, tells the clients of those that are there, and waits until they have moved or the time is
   * over; what is left is ended then. After an abort nothing is ended, and the range goes on draining.
   */
  drain (options?: DrainOptions): Promise<void>
  /** takes sessions again, where it drains; a `drain` under way is over then, and ends nobody */
  resume (): void
  /** ends its sessions at once; when it resolves, the engine is in no more use here */
  remove (): Promise<void>
}

/** What a peer says about itself over the info protocol. */
export interface PeerInfo {
  peerId: string
  /** multiaddrs, each ending in `/p2p/<peerId>` */
  addresses: string[]
  /** undefined where the peer hosts nothing */
  hosted?: {
    modelId: string
    manifest: Manifest
    /** the first range that serves, or else the first; most peers have one */
    range: UnitRange
    /** at least one; several while the peer moves from one to another */
    ranges: HostedUnits[]
    limits: Pick<PeerLimits, 'sessionsPerClient' | 'rowsPerStep' | 'window' | 'contextLength'>
    /** of all clients */
    sessions: number
    /** steps that have arrived and not been passed on */
    queuedSteps: number
    /** positions of KV cache that a new session may find */
    freePositions: number
  }
  /** name and version of the software, for people; compatibility is decided by protocol ids and modelId */
  software: string
}

export interface PeerNodeInit {
  /** hosts `engine.range` of `model`; without it the node is only a client */
  engine?: Engine
  /** needed with `engine`; without one, the model whose ranges are going to be hosted */
  model?: ModelIdentity
  /** packages that other peers may fetch from this one; works without an engine too */
  share?: BlockStore
  /** multiaddrs to listen on, e.g. `/ip4/127.0.0.1/tcp/0`; default none */
  listen?: string[]
  /** multiaddrs to announce instead of those listened on (port forwarding) */
  announce?: string[]
  /** the key is kept here as `peer.key`, mode 0600; without it the identity lasts until `stop` */
  dataDirectory?: string
  limits?: Partial<PeerLimits>
  /** `known`: connect onward only to peers that are connected already or in `join`; default `confirmed` (docs/protocol.md, section Dialling) */
  dialPolicy?: 'confirmed' | 'known'
  /** multiaddrs of peers to stay connected with; those that do not answer are reported as events */
  join?: string[]
  /** how the node finds others and is found; without it there is no directory */
  discovery?: DiscoveryInit
  /** who may take part */
  network?: NetworkInit
  /** libp2p's component logger; namespaces `efedllm:*` */
  logger?: ComponentLogger
  onEvent?: (event: PeerEvent) => void
}

export interface DiscoveryInit {
  /** as `join` of the node */
  join?: string[]
  /** peers of the local network; default false */
  mdns?: boolean
  /** peers by way of a distributed hash table; default false */
  dht?: boolean
  /** `use`: connections by way of others where there is no other way; `serve`: let others come by way of this node, too. Default: neither */
  relay?: 'use' | 'serve'
  /** good neighbours are written down in the data directory, and tried after a restart; default true */
  remember?: boolean
  /**
   * whether the node hears announcements as they come, and passes them on. Default: where it has a model. Without it the
   * directory knows what `refresh` brings: enough for a client, and a faster start
   */
  gossip?: boolean
  /** ids of models to follow from the start, beside the one that is hosted */
  models?: string[]
  /** for tests: where the time comes from */
  clock?: Clock
}

export interface NetworkInit {
  /** 32 bytes that all peers of a private swarm have; others cannot connect */
  key?: Uint8Array
  /** PeerIds that may connect, and nobody else; this node's own need not be among them */
  allow?: string[]
}

export type PeerEvent =
  | { type: 'peer:start', peerId: string, addresses: string[] }
  | { type: 'peer:join', address: string, error?: Error }
  | { type: 'peer:session-open', session: string, client: string, sessions: number }
  | { type: 'peer:session-suspend', session: string, client: string, reason: string }
  | { type: 'peer:session-close', session: string, client: string, sessions: number, reason: string }
  /** somebody was not let in, or too often */
  | { type: 'peer:refused', peerId: string, reason: string }
  /** it has become known, or has changed, whether others can connect */
  | { type: 'peer:reachability' } & Reachability
  | { type: 'peer:stop' }

/** A libp2p node that serves a range, or is only a client. `start` and `stop` are idempotent. */
export interface PeerNode {
  /** throws NotStartedError before `start` */
  readonly peerId: string
  /** multiaddrs that others can be given, each ending in `/p2p/<peerId>`; empty where nothing is listened on */
  readonly addresses: string[]
  /** sessions served right now */
  readonly sessions: number
  /** ranges that it hosts */
  readonly hosted: readonly HostedRange[]
  start (options?: AbortOptions): Promise<void>
  stop (): Promise<void>
  /** hosts `engine.range` too, at once, or from `start` on. Throws InvalidRequestError for a second model, a range that is hosted already, or too many */
  host (init: HostInit): HostedRange
  /** who hosts what, as far as this node knows; undefined without `discovery` */
  readonly directory: Directory | undefined
  /** adds to what the node announces beside what it hosts; what is `undefined` is no longer announced */
  announce (update: AnnounceUpdate): void
  /** asks connected peers whether they can connect to this node; throws nothing but the signal's reason, and NotStartedError */
  reachability (options?: AbortOptions): Promise<Reachability>
  /** asks a peer what it hosts; throws PeerUnreachableError, IncompatibleVersionError, DeadlineError */
  info (address: string, options?: AbortOptions): Promise<PeerInfo>
}

/** `ranges`: what is said of them instead of what is hosted: at most 4, of the model that is hosted, or of `model` where nothing is yet. */
export type AnnounceUpdate = Partial<Pick<PeerRecord, 'claim' | 'speed' | 'ranges'>>

export interface AbortOptions {
  signal?: AbortSignal
}

/** Milliseconds. */
export interface Deadlines {
  /** dial a peer and ask what it hosts; default 8,000 */
  info: number
  /** open the session on all stages; default 15,000 */
  open: number
  /** an answer to a chunk, counted from the later of sending it and the answer before it; default 60,000 */
  step: number
  /** the same where the session knows how long its steps take, and another peer can go on: then this, or 20 times the usual where that is longer; default 5,000 */
  stall: number
  /** somebody who goes on with units that were lost, beginning with the loss; what is replayed takes as long as it takes. Default 30,000 */
  repair: number
}

/** What is known of a peer that may be a stage. It is asked itself before anything depends on it. */
export interface CandidateRecord {
  peerId: string
  /** multiaddrs */
  addresses: string[]
  ranges: HostedUnits[]
  /** steps that wait there, where it says so */
  queuedSteps?: number
}

/** Where candidates come from; a directory of peers is one. */
export interface CandidateSource {
  records (modelId: string): CandidateRecord[]
  /** called when `records` may have changed; gives what ends that */
  onChange (listener: () => void): () => void
  /** asks anew; never throws but the signal's reason */
  refresh (modelId: string, options?: AbortOptions): Promise<void>
  /** the peer has failed before our eyes */
  suspect (peerId: string, reason: string): void
}

export interface ConnectRouteInit {
  /** a started node */
  node: PeerNode
  /** multiaddrs of peers that host the model; more than are needed are spares */
  addresses: string[]
  /** further peers that may be stages, and how one hears of them; default: the directory of the node, where it has one */
  candidates?: CandidateSource
  /** the model, or its id */
  model: ModelIdentity | string
  /** engines on this machine that are stages of the route, in process; each runs its whole range */
  local?: Engine[]
  /**
   * positions the session may grow to, which the stages promise: they refuse a session that they might not have room
   * for. Default: the least of the stages' context lengths, and nothing is promised
   */
  capacity?: number
  /**
   * ids that the session will begin with, a whole prompt for instance. Stages that hold the beginning of them for
   * another session of this node, also for one that is closed, give it to this one: its `length` says how much. They
   * do not see the ids, only names that mean nothing to others
   */
  promptIds?: ArrayLike<number>
  /** whether stages may take over positions from and for other sessions of this node; default: where `promptIds` are given */
  sharePrefixes?: boolean
  /** rows of a prefill chunk; default 64 */
  chunkRows?: number
  /**
   * how what a leaving stage holds gets to the peer that takes its place: `replay` computes it anew, `transfer` has the
   * keys and values sent from peer to peer, `split` does the one for the first half and the other for the rest. Default
   * `measured`: what takes least by times measured at the beginning of the move
   */
  handOver?: HandOverMode
  deadlines?: Partial<Deadlines>
  onProgress?: (event: RouteProgress) => void
}

export type HandOverMode = 'measured' | 'replay' | 'transfer' | 'split'

export interface LocalRouteOptions extends Pick<ConnectRouteInit, 'promptIds' | 'sharePrefixes' | 'chunkRows'> {
  /** positions the session may grow to; room is set aside for them. Default: as many as the model allows, as long as there is room */
  capacity?: number
}

export type RouteProgress =
  | { type: 'route:info', address: string, info: PeerInfo }
  | { type: 'route:unusable', address: string, error: Error }
  | { type: 'route:planned', route: StageDescription[] }
  | { type: 'route:open', session: string, route: StageDescription[] }
  /** stages that can no longer be relied on; what follows is `route:repaired`, or an error of the next step */
  | { type: 'route:failed', session: string, failures: Error[] }
  /** nobody hosts these units now */
  | { type: 'route:waiting', session: string, missing: number[] }
  | { type: 'route:repaired', session: string, repair: RouteRepair }

/** How a session went on after it had lost stages, or had moved away from one that was going to leave. */
export interface RouteRepair {
  /** what was wrong with them; empty where they only said that they would leave */
  failures: Error[]
  /** stages that are no longer part of the route, as they were */
  lost: StageDescription[]
  /** that took their place */
  replacements: StageDescription[]
  /** as it is now */
  route: StageDescription[]
  /** from the failure to the route that works again */
  milliseconds: number
  /** positions that went through stages once more */
  replayedPositions: number
  /** routes that were tried */
  attempts: number
  /** how positions came from stages that were leaving; undefined where it was no hand-over, or nothing was to be chosen */
  handOver?: HandOverReport
}

/** A hand-over from a stage that is leaving: the choice by the model of KVPR, and what became of it. */
export interface HandOverReport {
  method: 'replay' | 'transfer' | 'split'
  /** that the choice was about: without those of the trial that came before it */
  positions: number
  /** of these, the first ones, which were replayed; the keys and values of the others were sent from peer to peer */
  split: number
  /** positions whose keys and values were sent, with those of the trial */
  transferredPositions: number
  /** seconds for `positions`; undefined where the rates were not measured */
  predictedSeconds?: number
  measuredSeconds: number
  /** what each method would have taken; `split` at its best */
  predictions?: { replay: number, transfer: number, split: number }
  /** measured by the peer that took over, on its link to the one that leaves */
  bytesPerSecond?: number
  /** measured: positions that the new stage, and those before it, computed again */
  positionsPerSecond?: number
  /** why keys and values did not come as they should have, so that their positions were replayed */
  problem?: string
}

/** A stage of a route. Numbers start at 1, as in error messages. */
export interface StageDescription {
  stage: number
  range: UnitRange
  local: boolean
  /** of the peer; undefined for a local stage */
  peerId?: string
  addresses?: string[]
}

export interface StepRequest {
  /** ids, at least one */
  tokens: Uint32Array
  /** position of the first token; default `length`; positions from here on are forgotten first */
  position?: number
  /** rows of `tokens` that want an output, ascending; default none */
  outputs?: Array<{ row: number, output: RowOutput }>
}

/** Where the time of a step went. */
export interface StepTimings {
  /** from the call of `step` to its result */
  totalMilliseconds: number
  /** milliseconds of computation for each stage of the route in order, summed over chunks */
  computeMilliseconds: number[]
  chunks: number
}

/**
 * One session along a route. Steps run in the order of the calls. After a
 * rejected step the session holds the positions below the step's first one. A
 * stage that fails is replaced, what it held is computed again, and the step
 * goes on: it only takes longer. Where nobody can replace it in time, the step
 * is rejected with RouteLostError; the next one tries again.
 */
export interface RouteSession {
  readonly id: string
  /** as it is now: it changes when a stage is replaced */
  readonly route: StageDescription[]
  readonly architecture: Architecture
  /** positions held; not 0 at first where `promptIds` were found */
  readonly length: number
  /** ids of the positions held; changes as the session does */
  readonly heldIds: readonly number[]
  /** positions the session can grow to; may become less when a stage is replaced */
  readonly capacity: number
  /** of the last step that completed */
  readonly lastTimings: StepTimings | undefined
  /**
   * Runs tokens through all stages; long inputs go in chunks that pipeline.
   * Gives a result for each row asked for, rows as in the request. Throws
   * RouteLostError, and StageFailedError where a stage cannot run the step and
   * no other can either.
   */
  step (request: StepRequest, options?: AbortOptions): Promise<RowResult[]>
  /** forgets all positions from `length` on, on all stages */
  truncate (length: number, options?: AbortOptions): Promise<void>
  /** idempotent; never throws */
  close (): Promise<void>
}
