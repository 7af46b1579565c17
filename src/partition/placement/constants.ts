import type { PlacementTiming } from './types.ts'

/** Numbers of placement, each with its reason. */

/**
 * A peer moves only where the weakest unit of the swarm comes to at least this much more than it was. A move costs a download
 * and the sessions' time; below a third that is not won back, and speeds are not known that well.
 */
export const GAIN = 4 / 3

/** Throughputs that differ by less than this share are equal: sums of floats in another order differ in their last bits. */
export const TIE = 1e-9

/** Peers that are asked at once, to confirm or to be measured, for one range: more than enough that one of them answers. */
export const ASKED_AT_ONCE = 8

/** Digits of the time in a claim's id: enough until the year 10889. */
export const CLAIM_TIME_DIGITS = 12

/** Bytes, as characters, that a claim's id has at most. */
export const MAX_CLAIM_ID = 64

/** Milliseconds. */
export const PLACEMENT_TIMING: Readonly<PlacementTiming> = {
  /** from a claim until it stands: two announcements (5 s), so that one may be lost */
  settle: 10_000,
  /** the same for a peer that serves nothing: somebody waits for it to start, and a mistake costs nobody a session */
  joinSettle: 3_000,
  /** a peer that serves nothing begins to load after this, even if others' claims keep changing its mind */
  joinPatience: 30_000,
  /** a claim that is not served by then counts no more: 9 GB at 10 MB/s */
  claimLife: 900_000,
  /** how far clocks of honest peers may differ */
  clockSkew: 30_000,
  /** between looks at the swarm, give or take half of it, so that peers do not look at the same moment */
  check: 30_000,
  /** a gap must have lasted so long: two lives of a connection attempt, in which a peer that was restarted is back */
  gapPatience: 10_000,
  /** the same of a weak unit: a minute's load is no reason to move */
  movePatience: 60_000,
  /** twice as many peers as before may claim after each such time: enough that all have seen the claim of the first */
  turn: 15_000,
  /** after a move, none for a better place */
  rest: 600_000,
  /** after a move, none at all; after a claim that was given up, no other */
  pause: 60_000,
  /** between questions to others */
  ask: 3_000,
  /** a confirmation older than this is none: what was true then need not be true now */
  confirmLife: 5_000,
  /** after a withdrawal that came to nothing, until the next */
  retry: 20_000
}
