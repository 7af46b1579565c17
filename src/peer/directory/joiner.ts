import type { Libp2p, Logger } from '@libp2p/interface'
import { peerIdFromString } from '@libp2p/peer-id'
import { multiaddr } from '@multiformats/multiaddr'
import { JOIN_INTERVAL_MILLISECONDS } from '../constants.ts'
import type { PeerEvent } from '../types.ts'
import { ALONE_MILLISECONDS, DIAL_MILLISECONDS } from './constants.ts'
import type { Clock } from './types.ts'

/** An address to stay connected with. */
export interface JoinAddress {
  address: string
  /** where the address says it */
  peerId: string | undefined
}

export interface JoinerInit {
  libp2p: Libp2p
  join: readonly JoinAddress[]
  clock: Clock
  log: Logger
  /** 0 ≤ x < 1 */
  random?: () => number
  onEvent?: (event: PeerEvent) => void
}

/** Stays connected with given addresses, and says which do not answer. */
export function createJoiner ({ libp2p, join, clock, log, random = Math.random, onEvent }: JoinerInit): { start (): void, stop (): void } {
  const self = libp2p.peerId.toString()
  const joining = new Set<string>()
  /** who was found at addresses that do not say it: libp2p finds out whom it has dialled twice only after a handshake */
  const found = new Map<string, string>()
  let cancel = (): void => {}
  let stopped = true

  async function joinOne ({ address, peerId = found.get(address) }: JoinAddress): Promise<void> {
    if (joining.has(address) || peerId === self || (peerId !== undefined && libp2p.getConnections(peerIdFromString(peerId)).length > 0)) return
    joining.add(address)
    try {
      const { remotePeer } = await libp2p.dial(multiaddr(address), { signal: AbortSignal.timeout(DIAL_MILLISECONDS) })
      found.set(address, remotePeer.toString())
      if (!stopped) onEvent?.({ type: 'peer:join', address })
    } catch (error) {
      if (stopped) return
      log('cannot join %s: %s', address, (error as Error).message)
      onEvent?.({ type: 'peer:join', address, error: error as Error })
    } finally {
      joining.delete(address)
    }
  }

  function joinAll (): void {
    cancel = clock.after(libp2p.getPeers().length === 0 ? ALONE_MILLISECONDS * (1 + random()) : JOIN_INTERVAL_MILLISECONDS, joinAll)
    for (const entry of join) joinOne(entry)
  }

  return {
    start () {
      stopped = false
      if (join.length > 0) joinAll()
    },
    stop () {
      stopped = true
      cancel()
    }
  }
}
