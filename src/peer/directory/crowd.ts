import type { Connection, Libp2p } from '@libp2p/interface'
import { chooseClosed } from './choose-closed.ts'
import { hostOf } from './host-of.ts'

export interface CrowdInit {
  libp2p: Pick<Libp2p, 'getConnections' | 'addEventListener'>
  /** connections that are kept */
  maximum: number
  /** a session depends on it */
  inUse: (connection: Connection) => boolean
  /** the other side is of use to this node, or the other way round */
  known: (connection: Connection) => boolean
}

/**
 * Keeps connections to their number. libp2p would refuse whoever comes when
 * they are full, so that anybody who comes first and stays keeps all others
 * out; here a newcomer gets the place of the one that is missed least.
 */
export function keepCrowd ({ libp2p, maximum, inUse, known }: CrowdInit): void {
  libp2p.addEventListener('connection:open', () => {
    const connections = libp2p.getConnections()
    const excess = connections.length - maximum
    if (excess <= 0) return
    const held = connections.map(connection => ({
      connection,
      host: hostOf(connection.remoteAddr.toString()),
      inbound: connection.direction === 'inbound',
      inUse: inUse(connection),
      known: known(connection),
      opened: connection.timeline.open
    }))
    for (const { connection } of chooseClosed(held, excess)) connection.abort(new Error('others want to connect, and this connection was used least'))
  })
}
