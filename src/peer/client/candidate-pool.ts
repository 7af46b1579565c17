import { peerIdFromString } from '@libp2p/peer-id'
import { multiaddr } from '@multiformats/multiaddr'
import type { Connection, Libp2p } from '@libp2p/interface'
import { untilDirect } from '../direct-connection.ts'
import { PeerUnreachableError } from '../errors.ts'
import type { CandidateRecord, CandidateSource } from '../types.ts'

/** All peers that may be stages of a route, from wherever one knows them. */
export interface CandidatePool {
  /** one record for each peer; what the peer has said to us itself goes before what is announced */
  records (): CandidateRecord[]
  onChange (listener: () => void): () => void
  refresh (signal: AbortSignal): Promise<void>
  suspect (peerId: string, reason: string): void
}

export function createCandidatePool (sources: readonly CandidateSource[], modelId: string, self: string): CandidatePool {
  return {
    records () {
      const all = new Map<string, CandidateRecord>()
      for (const source of sources) {
        for (const record of source.records(modelId)) if (record.peerId !== self && !all.has(record.peerId)) all.set(record.peerId, record)
      }
      return [...all.values()]
    },
    onChange (listener) {
      const ends = sources.map(source => source.onChange(listener))
      return () => { for (const end of ends) end() }
    },
    async refresh (signal) {
      await Promise.all(sources.map(async source => await source.refresh(modelId, { signal })))
    },
    suspect (peerId, reason) {
      for (const source of sources) source.suspect(peerId, reason)
    }
  }
}

/** A connection to a peer: the one that is there, or a new one. */
export async function connectTo (libp2p: Libp2p, peerId: string, addresses: readonly string[], signal: AbortSignal): Promise<Connection> {
  const present = openConnections(libp2p, peerId)
  if (present.length > 0) return await untilDirect(libp2p, present[0], signal)
  const suffix = `/p2p/${peerId}`
  // an address that somebody typed may do without the PeerId
  const known = new Set(addresses.map(address => address.endsWith(suffix) ? address : `${address}${suffix}`))
  return await untilDirect(libp2p, await libp2p.dial([...known].map(address => multiaddr(address)), { signal }), signal)
}

export function disconnectFrom (libp2p: Libp2p, peerId: string): void {
  for (const connection of openConnections(libp2p, peerId)) connection.abort(new PeerUnreachableError(peerId, new Error('it gives no sign of life')))
}

function openConnections (libp2p: Libp2p, peerId: string): Connection[] {
  return libp2p.getConnections(peerIdFromString(peerId)).filter(({ status }) => status === 'open')
}
