import type { Link } from '../link.ts'
import type { PeerLimits } from '../types.ts'

/**
 * Memory of frames that have not come whole, over all streams. Whoever sends
 * the beginning of a large frame and no more has it set aside for as long as
 * the stream lives: nobody may hold more than what may be queued for one
 * client, and where all together hold too much, the peer that holds most
 * loses its largest.
 */
export interface ArrivingBytes {
  /** `link` holds so many now; may abort it, or another one */
  hold (link: Link, bytes: number): void
}

export function createArrivingBytes ({ queuedBytesPerClient, queuedBytes }: Pick<PeerLimits, 'queuedBytesPerClient' | 'queuedBytes'>): ArrivingBytes {
  const held = new Map<Link, number>()
  const byPeer = new Map<string, number>()
  let all = 0

  function set (link: Link, bytes: number): void {
    const change = bytes - (held.get(link) ?? 0)
    const own = (byPeer.get(link.peer) ?? 0) + change
    all += change
    if (bytes > 0) held.set(link, bytes)
    else held.delete(link)
    if (own > 0) byPeer.set(link.peer, own)
    else byPeer.delete(link.peer)
  }

  function giveUp (peer: string, why: string): void {
    const [link] = [...held].filter(([{ peer: other }]) => other === peer).reduce((most, one) => one[1] > most[1] ? one : most)
    set(link, 0)
    link.abort(new Error(why))
  }

  return {
    hold (link, bytes) {
      set(link, bytes)
      while ((byPeer.get(link.peer) ?? 0) > queuedBytesPerClient) giveUp(link.peer, `more than ${queuedBytesPerClient} bytes of one peer's frames have come in part`)
      for (;;) {
        if (all <= queuedBytes) return
        const [most] = [...byPeer].reduce((most, one) => one[1] > most[1] ? one : most)
        giveUp(most, `more than ${queuedBytes} bytes of frames have come in part, most of them of this peer`)
      }
    }
  }
}
