import type { PlacementRecord } from '../../../src/partition/index.ts'
import { chance } from './random.ts'

/** Milliseconds between the announcements of a peer, and that a record lives. */
export const ANNOUNCE = 5_000
export const LIFE = 15_000

/** A peer as the network has it: what it announced when. */
export interface Announcer {
  index: number
  /** announcements come at this plus multiples of ANNOUNCE */
  phase: number
  /** no announcement before, and none after */
  bornAt: number
  goneAt: number
  /** what it announces from when on, in order of time; each change is announced at once */
  changes: Array<{ at: number, record: PlacementRecord }>
  /** records that came in direct exchanges, by index of the peer */
  exchanged: Map<number, { at: number, record: PlacementRecord }>
}

export interface NetworkInit {
  seed: number
  /** milliseconds from peer to peer, of each message between these */
  delay: readonly [number, number]
  /** share of announcements that do not come */
  loss: number
}

export interface Network {
  /** cuts the network from now on: peers of different groups do not hear each other */
  cut: (now: number, groupOf: (index: number) => number) => void
  isConnected: (a: number, b: number, at: number) => boolean
  delay: (from: number, to: number, at: number) => number
  /** what a peer has last heard of another, if that lives */
  heard: (receiver: Announcer, sender: Announcer, now: number) => PlacementRecord | undefined
}

/** Announcements are not sent: what a peer has heard is worked out when it looks, from when each was made and what befell it. */
export function createNetwork ({ seed, delay: [least, most], loss }: NetworkInit): Network {
  const cuts: Array<{ at: number, groupOf: (index: number) => number }> = []

  function isConnected (a: number, b: number, at: number): boolean {
    const cut = cuts.findLast(cut => cut.at <= at)
    return cut === undefined || cut.groupOf(a) === cut.groupOf(b)
  }

  const delay = (from: number, to: number, at: number) => least + (most - least) * chance(from, to, at, seed)

  return {
    cut: (at, groupOf) => { cuts.push({ at, groupOf }) },
    isConnected,
    delay,
    heard (receiver, sender, now) {
      const direct = receiver.exchanged.get(sender.index)
      const until = Math.min(now, sender.goneAt)
      let tick = sender.phase + Math.floor((until - sender.phase) / ANNOUNCE) * ANNOUNCE
      let change = sender.changes.length - 1
      while (change >= 0 && sender.changes[change].at > until) change--
      let last = change
      for (;;) {
        while (last >= 0 && sender.changes[last].at > tick) last--
        // the later one of the next announcement and the next change
        const isChange = change >= 0 && sender.changes[change].at > tick
        const at = isChange ? sender.changes[change].at : tick
        if (at <= now - LIFE || at < sender.bornAt) break
        const current = isChange ? change : last
        if (isChange) change--
        else tick -= ANNOUNCE
        if (current < 0) continue
        if (direct !== undefined && direct.at >= at) return direct.record
        if (at + delay(sender.index, receiver.index, at) > now) continue
        if (chance(receiver.index, sender.index, at, seed + 1) < loss) continue
        if (cuts.length > 0 && !isConnected(sender.index, receiver.index, at)) continue
        return sender.changes[current].record
      }
      return direct !== undefined && direct.at > now - LIFE ? direct.record : undefined
    }
  }
}
