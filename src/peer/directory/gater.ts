import type { Connection, ConnectionGater, PeerId } from '@libp2p/interface'
import { MAXIMUM_CONNECTIONS_PER_PEER } from './constants.ts'
import type { PendingConnections } from './pending-connections.ts'

export interface GaterInit {
  /** PeerIds that may connect; undefined: anybody */
  allow: ReadonlySet<string> | undefined
  connections: (peerId: PeerId) => Connection[]
  pending: PendingConnections
  /** a peer was refused, and why */
  onRefused: (peerId: string, reason: string) => void
}

/**
 * Who may connect. Decided as soon as noise has proved who it is: a stranger
 * gets no stream, and so no answer to any question.
 */
export function createGater ({ allow, connections, pending, onRefused }: GaterInit): ConnectionGater {
  const deny = (peerId: PeerId, direction: string): boolean => {
    if (allow === undefined || allow.has(peerId.toString())) return false
    onRefused(peerId.toString(), `${direction} is not in the allow-list`)
    return true
  }
  return {
    denyDialPeer: peerId => deny(peerId, 'it was to be dialled, and'),
    denyInboundConnection (connection) {
      pending.add(connection)
      return false
    },
    denyInboundEncryptedConnection: peerId => deny(peerId, 'it wanted to connect, and'),
    denyOutboundEncryptedConnection: peerId => deny(peerId, 'it answered, and'),
    denyInboundUpgradedConnection (peerId, connection) {
      pending.remove(connection)
      if (connections(peerId).length < MAXIMUM_CONNECTIONS_PER_PEER) return false
      onRefused(peerId.toString(), `it has ${MAXIMUM_CONNECTIONS_PER_PEER} connections already`)
      return true
    }
  }
}
