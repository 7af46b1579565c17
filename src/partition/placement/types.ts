import type { UnitRange } from '../../model/index.ts'

/** A lease on a range that its owner is about to serve, instead of what it serves now; renewed by announcing it. */
export interface PlacementClaim {
  range: UnitRange
  /** as `claimId` makes it: the time of the claim, in milliseconds since 1970, decides who was first */
  id: string
}

export type PlacementRangeState = 'joining' | 'serving' | 'draining'

export interface PlacementRange {
  range: UnitRange
  /** `joining`: being loaded; `draining`: about to go: nobody is to rely on it, but what runs there runs on */
  state: PlacementRangeState
}

/** What a peer announces of its place: a PeerRecord of the directory is one. */
export interface PlacementRecord {
  peerId: string
  ranges: readonly PlacementRange[]
  claim?: PlacementClaim
  /** work per second that it says it does */
  speed: number
}

/** What a peer knows of the others. */
export interface PlacementView {
  /** alive; the peer's own may be among them */
  records: readonly PlacementRecord[]
  /** work per second of peers that somebody has measured lately: `probe` asks for more; 0 where a peer does not do what it says */
  speeds: ReadonlyMap<string, number>
  /**
   * of peers that records were exchanged with (`confirm`): when the last
   * exchange began that was answered, by the own clock
   */
  confirmed: ReadonlyMap<string, number>
}

/** A range that the own node has, or is getting. */
export interface HostedRange {
  range: UnitRange
  /**
   * `stored`: its files are there, nothing is in memory; `drained`: it runs
   * nothing any more; `failed`: it could not be loaded, and takes nothing
   */
  state: 'loading' | 'stored' | 'serving' | 'draining' | 'drained' | 'failed'
}

/** What the own node can do and does. */
export interface OwnPlace {
  peerId: string
  /** work of each unit (`routeWork`) */
  unitWork: readonly number[]
  /** work per second, measured by itself */
  speed: number
  /** for each unit the longest range that begins with it and fits (`capacityOf`) */
  capacity: readonly UnitRange[]
  /** the same with what it serves beside; where that is nothing, a new range is loaded after the old one is dropped */
  capacityBeside?: readonly UnitRange[]
  hosted: readonly HostedRange[]
}

/** What the reducer remembers. Plain data; `createPlacementState` makes it. */
export interface PlacementState {
  phase: PlacementPhase
  /** when the phase began, in milliseconds */
  since: number
  /** what the peer serves; undefined where nothing yet */
  range?: UnitRange
  /** what it is going to serve instead */
  claim?: PlacementClaim
  /** the claimed range is served beside the old one */
  beside: boolean
  /** since when the old range is announced as draining: what others say of theirs counts from then on */
  withdrawnAt?: number
  /** no move before for a better place, and none at all */
  restUntil: number
  pauseUntil: number
  /** since when there is a place where the peer would be of more use */
  need?: { gap: boolean, since: number }
  /** when something was last asked of others */
  askedAt: number
  /** since when others have claims, so that nobody keeps a place free for ever */
  claimants: Readonly<Record<string, Claimant>>
  /** of the jitter */
  draws: number
}

export interface Claimant {
  since: number
  seen: number
}

/**
 * `joining`: serves nothing and seeks a place; `resting`: serves; `claiming`: has
 * announced where it wants to go, and waits whether others were first; `loading`:
 * loads the new range and serves the old one; `leaving`: has the new one, and
 * seeks leave to drop the old one; `draining`: ends the sessions of the old
 * one; `reloading`: has dropped the old one and loads the new one.
 */
export type PlacementPhase = 'joining' | 'resting' | 'claiming' | 'loading' | 'leaving' | 'draining' | 'reloading'

/**
 * What is to be done now. Actions are not repeated, but for `probe` and
 * `confirm`; what comes of them is seen in `hosted`, `speeds`, `confirmed`.
 */
export type PlacementAction =
  /** announce at once: the claim, or that it is given up */
  | { type: 'claim', claim: PlacementClaim }
  | { type: 'cancel', claim: PlacementClaim }
  /** get the range's files and, unless `into` is `disk`, serve it beside what is served */
  | { type: 'load', range: UnitRange, into: 'memory' | 'disk' }
  /** announce the range as draining, and serve it as before */
  | { type: 'withdraw', range: UnitRange }
  /** serve it, and announce it as served, again */
  | { type: 'resume', range: UnitRange }
  /** take no new sessions for it and send the present ones away */
  | { type: 'drain', range: UnitRange }
  /** stop serving it, or loading it, and give its memory back; of a range that failed to load, forget that */
  | { type: 'drop', range: UnitRange }
  /** measure the speed of these peers */
  | { type: 'probe', peers: string[] }
  /** send these peers the own record as it is now and take theirs as it is then */
  | { type: 'confirm', peers: string[] }

export interface PlacementStep {
  state: PlacementState
  actions: PlacementAction[]
  /** what the own record is to say from now on */
  announcement: { ranges: PlacementRange[], claim?: PlacementClaim }
  /** when to ask again at the latest, in milliseconds: or earlier, when anything has changed */
  wakeAt: number
}

/** Milliseconds; PLACEMENT_TIMING has the defaults and their reasons. */
export interface PlacementTiming {
  settle: number
  joinSettle: number
  joinPatience: number
  claimLife: number
  clockSkew: number
  check: number
  gapPatience: number
  movePatience: number
  turn: number
  rest: number
  pause: number
  ask: number
  confirmLife: number
  retry: number
}
