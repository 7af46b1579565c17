import type { UnitRange } from '../../model/index.ts'
import type { AbortOptions, HostedUnits } from '../types.ts'

/** What a peer announces, signed with the key of its PeerId. Everything in it is its own claim. */
export interface PeerRecord {
  peerId: string
  /** multiaddrs, each ending in `/p2p/<peerId>` */
  addresses: string[]
  modelId: string
  /** at most 4; none (and no claim) where the peer says goodbye */
  ranges: HostedUnits[]
  /** placement: a lease on a range that the peer is about to host, renewed by announcing */
  claim?: RangeClaim
  sessions: number
  queuedSteps: number
  freePositions: number
  /** work per second (bytes of weights, as partition/Machine.speed) that the peer says it measured: an upper bound at most */
  speed: number
  /** strictly rising for a peer: milliseconds since 1970 of its clock when it announced, or the last one + 1 */
  sequence: number
}

export interface RangeClaim {
  range: UnitRange
  /** chosen by the peer; at most 64 bytes */
  id: string
}

/** The part of a record that changes while a node runs. */
export type AnnouncedState = Pick<PeerRecord, 'ranges' | 'claim' | 'sessions' | 'queuedSteps' | 'freePositions' | 'speed'>

/** Who hosts what now, as far as a node knows. */
export interface Directory {
  /** peers that are alive, without this one: their records are younger than 15 s, and they are not suspected */
  records (modelId: string): PeerRecord[]
  /** takes a peer out of `records` until it has announced itself anew, and for at least 5 s, then 10 s, then 20 s */
  suspect (peerId: string, reason: string): void
  /** called after `records` may have changed; gives back how to end that */
  onChange (listener: () => void): () => void
  /** asks some connected peers for their records now; throws nothing but the signal's reason */
  refresh (modelId: string, options?: AbortOptions): Promise<void>
  /**
   * Gives a peer what this node announces, as things are at the call, and takes what the peer announces as it is when it
   * answers. Throws PeerUnreachableError, NothingHostedError, DirectoryBusyError, IncompatibleVersionError, FrameError, or the
   * signal's reason.
   */
  exchange (peerId: string, modelId: string, options?: AbortOptions): Promise<PeerRecord>
  /** how many announcements were taken and dropped, by reason, since the start */
  readonly counts: Readonly<Record<Verdict, number>>
}

/**
 * What becomes of a record: `accepted`, or dropped, because it is not newer
 * than one seen before (`stale`), too far from our clock (`clock`), of a peer
 * that announces too often (`often`), one too many (`full`), of another model
 * than where it came (`model`), not what the protocol says (`malformed`), or
 * not signed by its peer (`forged`).
 */
export type Verdict = 'accepted' | 'stale' | 'clock' | 'often' | 'full' | 'model' | 'malformed' | 'forged'

/** Time, and what it brings; tests have their own. */
export interface Clock {
  /** milliseconds since 1970; may jump */
  wall (): number
  /** milliseconds of a clock that never jumps */
  steady (): number
  /** calls `action` once, later; gives back how to call that off. Does not keep the process alive */
  after (milliseconds: number, action: () => void): () => void
}
