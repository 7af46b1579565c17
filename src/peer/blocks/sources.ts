import { multiaddr } from '@multiformats/multiaddr'
import { DEFAULT_DEADLINES } from '../constants.ts'
import { InvalidAddressError, PeerError, PeerUnreachableError } from '../errors.ts'
import { startedNode } from '../node.ts'
import type { PeerNode } from '../types.ts'
import { openBlockSource } from './block-source.ts'
import type { BlockSource } from './block-source.ts'
import type { SourcePeer } from './fetch-all.ts'

export interface Sources {
  readonly peers: SourcePeer[]
  close (): void
}

/** Peers to fetch from, none of them connected yet. Throws InvalidAddressError, NotStartedError. */
export function createSources ({ node, addresses }: { node: PeerNode, addresses: readonly string[] }): Sources {
  const { libp2p } = startedNode(node)
  const connect = async (address: string, signal: AbortSignal): Promise<BlockSource> => {
    const both = AbortSignal.any([signal, AbortSignal.timeout(DEFAULT_DEADLINES.info)])
    try {
      return await openBlockSource(await libp2p.dial(multiaddr(address), { signal: both }), both)
    } catch (error) {
      signal.throwIfAborted()
      throw error instanceof PeerError ? error : new PeerUnreachableError(address, error)
    }
  }
  const peers = [...new Set(addresses)].map((address): SourcePeer => {
    try {
      multiaddr(address)
    } catch (error) {
      throw new InvalidAddressError(address, 'is not a multiaddr', error)
    }
    return { address, connect: async signal => await connect(address, signal), lacks: new Set(), source: undefined, dropped: undefined }
  })
  return {
    peers,
    close () {
      for (const peer of peers) {
        peer.source?.close()
        peer.source = undefined
      }
    }
  }
}
