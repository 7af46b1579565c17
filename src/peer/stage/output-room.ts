import { LINK_HIGH_WATER_BYTES } from '../constants.ts'
import type { Link } from '../link.ts'

/**
 * Whether a stream can take more. What will be put on it is set aside before
 * it is computed or read: a receiver that does not read stops its own
 * sessions, and no others.
 */
export interface OutputRoom {
  /** sets bytes aside, unless too much waits on the stream already */
  take (link: Link, bytes: number): boolean
  /** its receiver has stopped reading, for now */
  isFull (link: Link): boolean
  /** what was set aside has been sent, or will not be */
  give (link: Link, bytes: number): void
  /** a stream that `take` is called for */
  watch (link: Link): void
  /** called when there may be room again for what was refused */
  onRoom (listener: () => void): void
}

export function createOutputRoom (): OutputRoom {
  const reserved = new WeakMap<Link, number>()
  const watched = new WeakSet<Link>()
  const listeners: Array<() => void> = []
  let refused = false

  function tell (): void {
    if (!refused) return
    refused = false
    for (const listener of listeners) listener()
  }

  return {
    take (link, bytes) {
      const present = reserved.get(link) ?? 0
      if (link.queuedBytes + present > LINK_HIGH_WATER_BYTES) {
        refused = true
        return false
      }
      reserved.set(link, present + bytes)
      return true
    },
    isFull: link => link.queuedBytes > LINK_HIGH_WATER_BYTES,
    give (link, bytes) {
      reserved.set(link, reserved.get(link)! - bytes)
      tell()
    },
    watch (link) {
      if (watched.has(link)) return
      watched.add(link)
      link.onDrain(tell)
    },
    onRoom (listener) {
      listeners.push(listener)
    }
  }
}
