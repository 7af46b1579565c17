import { BoundedMap } from './bounded-map.ts'
import { MAXIMUM_SUSPECT_MILLISECONDS, MAXIMUM_SUSPECTS, SUSPECT_MEMORY_MILLISECONDS, SUSPECT_MILLISECONDS } from './constants.ts'

/** Which peers have failed before our eyes. Pure but for what it remembers; `now` is of a clock that never jumps. */
export interface Suspicions {
  /** `sequence` of the last record that is known of the peer */
  add (peerId: string, sequence: number, now: number): void
  /** a record with this sequence number is not to be believed */
  covers (peerId: string, sequence: number, now: number): boolean
}

interface Suspicion {
  since: number
  until: number
  sequence: number
  times: number
}

export function createSuspicions (): Suspicions {
  const entries = new BoundedMap<string, Suspicion>(MAXIMUM_SUSPECTS)
  return {
    add (peerId, sequence, now) {
      const last = entries.get(peerId)
      // several sessions may see the same failure
      if (last !== undefined && now < last.until && sequence <= last.sequence) return
      const times = last !== undefined && now - last.since < SUSPECT_MEMORY_MILLISECONDS ? last.times + 1 : 1
      entries.set(peerId, { since: now, until: now + Math.min(MAXIMUM_SUSPECT_MILLISECONDS, SUSPECT_MILLISECONDS * 2 ** (times - 1)), sequence, times })
    },
    covers (peerId, sequence, now) {
      const last = entries.get(peerId)
      return last !== undefined && (now < last.until || sequence <= last.sequence)
    }
  }
}
