import type { Connection, Libp2p } from '@libp2p/interface'
import { multiaddr } from '@multiformats/multiaddr'
import { LOWEST_DIALLED_PORT } from '../constants.ts'
import { BoundedMap } from './bounded-map.ts'
import type { DialOutcome } from './codec.ts'
import { DIAL_BACK_MILLISECONDS, DIAL_BACK_PAUSE_MILLISECONDS, DIAL_BACKS_AT_ONCE, MAXIMUM_ASKERS } from './constants.ts'
import type { Clock } from './types.ts'

/** Tells peers whether they can be reached. */
export type DialBack = (connection: Connection, ports: number[]) => Promise<DialOutcome[]>

/**
 * Dials a peer back at the host that its connection comes from, and nowhere
 * else: so nobody can make this node knock at a third machine. A connection
 * that works is closed again; it proves the peer's identity like any other.
 */
export function createDialBack (libp2p: Pick<Libp2p, 'dial'>, clock: Clock): DialBack {
  const asked = new BoundedMap<string, number>(MAXIMUM_ASKERS)
  let underWay = 0

  async function dial (host: string, port: number, peerId: string): Promise<DialOutcome> {
    try {
      const connection = await libp2p.dial(multiaddr(`${host}/tcp/${port}/p2p/${peerId}`), { force: true, signal: AbortSignal.timeout(DIAL_BACK_MILLISECONDS) })
      await connection.close().catch(() => {})
      return 'reached'
    } catch (error) {
      return (error as Error).name === 'UnexpectedPeerError' ? 'otherPeer' : 'unreachable'
    }
  }

  return async (connection, ports) => {
    const peerId = connection.remotePeer.toString()
    const host = observedHost(connection.remoteAddr.toString())
    const now = clock.steady()
    const tooSoon = now - (asked.get(peerId) ?? -Infinity) < DIAL_BACK_PAUSE_MILLISECONDS
    if (host === undefined || tooSoon || underWay >= DIAL_BACKS_AT_ONCE) return ports.map(() => 'notTried')
    asked.set(peerId, now)
    underWay++
    try {
      const outcomes: DialOutcome[] = []
      for (const port of ports) outcomes.push(port < LOWEST_DIALLED_PORT ? 'notTried' : await dial(host, port, peerId))
      return outcomes
    } finally {
      underWay--
    }
  }
}

/** `/ip4/…` or `/ip6/…` of a direct connection; undefined for one through a relay. */
export function observedHost (address: string): string | undefined {
  if (address.includes('/p2p-circuit')) return undefined
  // a socket that listens for both families tells IPv4 peers as mapped addresses
  const match = /^\/(?:ip4\/(\d+\.\d+\.\d+\.\d+)|ip6\/(?:::ffff:(\d+\.\d+\.\d+\.\d+)|([0-9a-fA-F:]+)))\/tcp\//.exec(address)
  if (match === null) return undefined
  return match[3] === undefined ? `/ip4/${match[1] ?? match[2]}` : `/ip6/${match[3]}`
}
