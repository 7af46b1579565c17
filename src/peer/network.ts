import type { GossipSub } from '@libp2p/gossipsub'
import { identify } from '@libp2p/identify'
import type { Identify } from '@libp2p/identify'
import type { Libp2p, PrivateKey, ServiceMap } from '@libp2p/interface'
import type { AddressManager, TransportManager } from '@libp2p/interface-internal'
import type { KadDHT } from '@libp2p/kad-dht'
import { defaultLogger } from '@libp2p/logger'
import { noise } from '@libp2p/noise'
import { ping } from '@libp2p/ping'
import type { Ping } from '@libp2p/ping'
import { tcp } from '@libp2p/tcp'
import { yamux } from '@libp2p/yamux'
import { createLibp2p } from 'libp2p'
import type { ServiceFactoryMap } from 'libp2p'
import {
  ADDRESS_DIAL_MILLISECONDS, INBOUND_CONNECTIONS_PER_SECOND, LIBP2P_CONNECTIONS, LIBP2P_PENDING_CONNECTIONS, MAXIMUM_STREAMS_PER_CONNECTION, PENDING_INBOUND_CONNECTIONS,
  READ_BUFFER_BYTES, SOFTWARE, STREAM_WINDOW_BYTES, WRITE_BUFFER_BYTES
} from './constants.ts'
import { BoundedDatastore, canonicalPeerId, createGater, createPendingConnections, dhtService, gossipService, mdnsDiscovery, preSharedKeyProtector, relayParts } from './directory/index.ts'
import type { PeerNodeInit } from './types.ts'

/** Parts of libp2p that it does not show to its users. */
export interface NetworkInternals {
  addressManager: AddressManager
  transportManager: TransportManager
}

/** A libp2p node, not started, and what was built into it. */
export interface Network {
  libp2p: Libp2p
  internals: NetworkInternals
  gossip: GossipSub | undefined
  /** multiaddrs to tell others, without `/p2p/<own id>` */
  addresses (): string[]
}

interface Services extends ServiceMap {
  internals: NetworkInternals
  identify: Identify
  ping: Ping
  gossip?: GossipSub
  dht?: KadDHT
}

const withKey = new WeakSet<Libp2p>()

/** Whether connections need a network key: who has another one cannot be told from who does not answer. */
export function hasNetworkKey (libp2p: Libp2p): boolean {
  return withKey.has(libp2p)
}

/** Whether a node says and hears announcements as they come: those that host something, unless told otherwise. */
export function gossips ({ discovery, engine }: Pick<PeerNodeInit, 'discovery' | 'engine'>): boolean {
  return discovery !== undefined && (discovery.gossip ?? engine !== undefined)
}

/** Composes libp2p. What only some nodes want is loaded only for them: a client starts with as little as there was before. */
export async function createNetwork (init: PeerNodeInit, privateKey: PrivateKey): Promise<Network> {
  const { discovery = {}, network = {}, onEvent } = init
  const [gossip, dht, mdns, relay, connectionProtector] = await Promise.all([
    gossips(init) ? gossipService() : undefined,
    discovery.dht === true ? dhtService() : undefined,
    discovery.mdns === true ? mdnsDiscovery(network.key) : undefined,
    discovery.relay === undefined ? undefined : relayParts(discovery.relay),
    network.key === undefined ? undefined : preSharedKeyProtector(network.key)
  ])
  const internals = (components: NetworkInternals): NetworkInternals => ({ addressManager: components.addressManager, transportManager: components.transportManager })
  const services: ServiceFactoryMap<Services> = {
    internals,
    identify: identify(),
    ping: ping(),
    ...gossip === undefined ? {} : { gossip },
    ...dht === undefined ? {} : { dht },
    ...relay?.services
  }
  const libp2p: Libp2p<Services> = await createLibp2p<Services>({
    privateKey,
    start: false,
    nodeInfo: { userAgent: SOFTWARE },
    logger: init.logger ?? defaultLogger(),
    addresses: { listen: init.listen ?? [], announce: init.announce ?? [] },
    datastore: new BoundedDatastore(),
    transports: [tcp(), ...relay?.transports ?? []],
    connectionEncrypters: [noise()],
    connectionProtector,
    connectionGater: createGater({
      allow: network.allow === undefined ? undefined : new Set(network.allow.map(canonicalPeerId)),
      connections: peerId => libp2p.getConnections(peerId),
      pending: createPendingConnections(PENDING_INBOUND_CONNECTIONS),
      onRefused: (peerId, reason) => onEvent?.({ type: 'peer:refused', peerId, reason })
    }),
    streamMuxers: [yamux({ maxInboundStreams: MAXIMUM_STREAMS_PER_CONNECTION, streamOptions: { maxStreamWindowSize: STREAM_WINDOW_BYTES, maxReadBufferLength: READ_BUFFER_BYTES, maxWriteBufferLength: WRITE_BUFFER_BYTES } })],
    connectionManager: {
      maxConnections: LIBP2P_CONNECTIONS,
      inboundConnectionThreshold: INBOUND_CONNECTIONS_PER_SECOND,
      maxIncomingPendingConnections: LIBP2P_PENDING_CONNECTIONS,
      addressDialTimeout: ADDRESS_DIAL_MILLISECONDS
    },
    // a stream for every ping, on every connection, every ten seconds, is a third of what a peer costs at rest; stages have their own probes
    connectionMonitor: { enabled: false },
    peerDiscovery: mdns === undefined ? [] : [mdns],
    services
  })
  if (network.key !== undefined) withKey.add(libp2p)
  return {
    libp2p,
    internals: libp2p.services.internals,
    gossip: libp2p.services.gossip,
    addresses: () => addressesToTell(libp2p, libp2p.services.internals.addressManager)
  }
}

/**
 * libp2p tells nobody of a public address that no peer has confirmed, so the
 * first peer of a swarm would keep its own to itself. A public IPv4 address of
 * an interface is that of a server; IPv6 ones are often behind a firewall.
 */
function addressesToTell (libp2p: Libp2p<Services>, addressManager: AddressManager): string[] {
  const unconfirmed = addressManager.getAddressesWithMetadata().filter(({ type, verified, multiaddr }) => type === 'transport' && !verified && multiaddr.toString().startsWith('/ip4/'))
  const all = [...libp2p.getMultiaddrs(), ...unconfirmed.map(({ multiaddr }) => multiaddr)]
  return [...new Set(all.map(address => withoutPeer(address.toString(), libp2p.peerId.toString())))]
}

function withoutPeer (address: string, peerId: string): string {
  const suffix = `/p2p/${peerId}`
  return address.endsWith(suffix) ? address.slice(0, -suffix.length) : address
}
