import { median } from '../median.ts'
import { UNKNOWN_SPEED } from './constants.ts'
import type { RouteHolder } from './types.ts'

type Known = Pick<RouteHolder, 'peer' | 'secondsPerWork' | 'announcedSpeed'>

/**
 * Seconds for a unit of work of each holder: what was measured, or where nothing
 * was the median of the peers that were measured (where none was, of what they
 * announce); but never less than an announced speed allows. So a peer that
 * announces 10⁹ is an ordinary one until it is measured, and then what it is.
 */
export function holderSpeeds (holders: readonly Known[]): number[] {
  const measured = new Map<string, number>()
  const announced = new Map<string, number>()
  for (const { peer, secondsPerWork, announcedSpeed } of holders) {
    if (isKnown(secondsPerWork)) measured.set(peer, secondsPerWork)
    if (isKnown(announcedSpeed)) announced.set(peer, 1 / announcedSpeed)
  }
  const usual = median([...measured.values()]) ?? median([...announced.values()]) ?? 1 / UNKNOWN_SPEED
  return holders.map(({ peer }) => Math.max(measured.get(peer) ?? usual, announced.get(peer) ?? 0))
}

/** Nothing, and what is no number above 0, says nothing. */
function isKnown (value: number | undefined): value is number {
  return value !== undefined && value > 0 && value < Infinity
}
