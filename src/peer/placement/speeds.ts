import { BoundedMap } from '../directory/bounded-map.ts'
import { FAILED_MILLISECONDS, MAXIMUM_MEASURED_PEERS, MEASURED_MILLISECONDS } from './constants.ts'

/** What this node has measured of others, while it is worth anything. */
export interface Speeds {
  /** work a second; 0 of a peer that does not do what it says */
  set (peerId: string, speed: number, now: number): void
  at (now: number): Map<string, number>
}

export function createSpeeds (): Speeds {
  const measured = new BoundedMap<string, { speed: number, until: number }>(MAXIMUM_MEASURED_PEERS)
  return {
    set (peerId, speed, now) {
      measured.set(peerId, { speed, until: now + (speed > 0 ? MEASURED_MILLISECONDS : FAILED_MILLISECONDS) })
    },
    at (now) {
      const speeds = new Map<string, number>()
      for (const [peerId, { speed, until }] of measured) {
        if (until > now) speeds.set(peerId, speed)
        else measured.delete(peerId)
      }
      return speeds
    }
  }
}
