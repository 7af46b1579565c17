import { createHash } from 'node:crypto'
import type { CircuitRelayServerComponents, CircuitRelayTransportComponents } from '@libp2p/circuit-relay-v2'
import type { DCUtRServiceComponents } from '@libp2p/dcutr'
import type { KadDHT, KadDHTComponents } from '@libp2p/kad-dht'
import type { MulticastDNSComponents } from '@libp2p/mdns'
import type { ConnectionProtector, PeerDiscovery, PeerInfo, Transport } from '@libp2p/interface'
import type { ProtectorComponents } from '@libp2p/pnet'
import { DHT_PROTOCOL, DHT_SELF_MILLISECONDS, DHT_SIZE, MDNS_MILLISECONDS, RELAY_RESERVATIONS } from './constants.ts'
import { formatNetworkKey } from './network-key.ts'

// Parts of libp2p that not every node has, loaded where they are wanted.

/** What kad-dht calls with every peer that it is connected with, or has only heard of. */
interface Learning {
  onPeerConnect (peer: Pick<PeerInfo, 'id'>): Promise<void>
}

/** A DHT of our own: no other software of libp2p takes part in it. */
export async function dhtService (): Promise<(components: KadDHTComponents) => KadDHT> {
  const { kadDHT, passthroughMapper } = await import('@libp2p/kad-dht')
  const nothing = (): never => {
    throw new Error('only providers of models are kept here')
  }
  const create = kadDHT({
    protocol: DHT_PROTOCOL,
    // swarms at home have private addresses only; by default those are left out, and nodes are clients until they have a public one
    clientMode: false,
    peerInfoMapper: passthroughMapper,
    // nobody of us puts values; others could fill our memory with them
    validators: { pk: nothing, ipns: nothing },
    ...DHT_SIZE,
    // a question comes first of all where a node knows nobody, and need not wait for the node to look at its surroundings
    allowQueryWithZeroPeers: true,
    initialQuerySelfInterval: DHT_SELF_MILLISECONDS * (1 + Math.random())
  })
  return components => {
    const dht: KadDHT = create(components)
    // everybody who is named in an answer would be dialled, to see whether it lives: in a swarm that starts, everybody by
    // everybody. Who is asked something is connected with, and learnt then
    const learning = dht as unknown as Learning
    const learn = learning.onPeerConnect.bind(dht)
    learning.onPeerConnect = async peer => { if (components.connectionManager.getConnections(peer.id).length > 0) await learn(peer) }
    return dht
  }
}

/** Peers of the local network; those of a private swarm have their own name there, which does not tell the key. */
export async function mdnsDiscovery (networkKey: Uint8Array | undefined): Promise<(components: MulticastDNSComponents) => PeerDiscovery> {
  const { mdns } = await import('@libp2p/mdns')
  const swarm = networkKey === undefined ? '' : `-${createHash('sha256').update('efedllm-mdns-1').update(networkKey).digest('hex').slice(0, 12)}`
  return mdns({ serviceTag: `_efedllm${swarm}._udp.local`, interval: MDNS_MILLISECONDS })
}

export async function preSharedKeyProtector (networkKey: Uint8Array): Promise<(components: ProtectorComponents) => ConnectionProtector> {
  const { preSharedKey } = await import('@libp2p/pnet')
  return preSharedKey({ psk: Buffer.from(formatNetworkKey(networkKey)) })
}

export interface RelayParts {
  transports: Array<(components: CircuitRelayTransportComponents) => Transport>
  services: {
    dcutr: (components: DCUtRServiceComponents) => unknown
    relay?: (components: CircuitRelayServerComponents) => unknown
  }
}

/**
 * Connections by way of others. `use`: dial through relays, take a place at one
 * where nobody can connect, and turn what comes through it into a direct
 * connection where that is possible. `serve`: be one as well, without the
 * limits that are meant for strangers, so that activations may pass too.
 */
export async function relayParts (mode: 'use' | 'serve'): Promise<RelayParts> {
  const [{ circuitRelayTransport, circuitRelayServer }, { dcutr }] = await Promise.all([import('@libp2p/circuit-relay-v2'), import('@libp2p/dcutr')])
  return {
    transports: [circuitRelayTransport()],
    services: {
      dcutr: dcutr(),
      ...mode === 'serve' ? { relay: circuitRelayServer({ reservations: { maxReservations: RELAY_RESERVATIONS, applyDefaultLimit: false } }) } : {}
    }
  }
}
