import { join as joinPath } from 'node:path'
import type { PrivateKey } from '@libp2p/interface'
import { peerIdFromString } from '@libp2p/peer-id'
import { multiaddr } from '@multiformats/multiaddr'
import type { OwnState } from './announcer.ts'
import { createDialBack } from './dial-back.ts'
import { systemClock } from './clock.ts'
import { DIRECTORY_PROTOCOL, MAXIMUM_DIRECTORY_STREAMS } from './constants.ts'
import { createDirectory } from './directory.ts'
import { createDirectoryServer } from './exchange.ts'
import { createFinder } from './finder.ts'
import { createGossip } from './gossip.ts'
import { createJoiner } from './joiner.ts'
import type { JoinAddress } from './joiner.ts'
import { createProviders } from './providers.ts'
import { createReachabilityWatch } from './reachability-watch.ts'
import type { Reachability } from './reachability.ts'
import { REMEMBERED_FILE } from './remembered-file.ts'
import { openRememberedList } from './remembered-list.ts'
import type { Directory } from './types.ts'
import type { Network } from '../network.ts'
import type { AbortOptions, PeerNodeInit } from '../types.ts'

export interface DiscoveryParts {
  init: Pick<PeerNodeInit, 'discovery' | 'dataDirectory' | 'announce' | 'onEvent'>
  network: Network
  key: PrivateKey
  /** addresses to stay connected with */
  join: readonly JoinAddress[]
  /** what the node announces now; undefined while it has nothing to say */
  state: () => OwnState | undefined
}

/** Finding and announcing of one node. */
export interface Discovery {
  /** undefined where the node wants none */
  readonly directory: Directory | undefined
  /** PeerIds of those that host the same model, as far as they say so and are heard */
  readonly neighbours: ReadonlySet<string>
  /** what this node hosts has changed */
  changed (): void
  reachability (options?: AbortOptions): Promise<Reachability>
  /** after the node has started */
  start (): void
  /** says goodbye; before the node stops */
  stop (): Promise<void>
}

/** Prepares it; handlers are there afterwards, so that identify names them at once. */
export async function prepareDiscovery (parts: DiscoveryParts): Promise<Discovery> {
  const { init: { discovery, dataDirectory, announce, onEvent }, network, state } = parts
  const { libp2p } = network
  const clock = discovery?.clock ?? systemClock
  const log = libp2p.logger.forComponent('efedllm:directory')
  const joiner = createJoiner({ libp2p, join: parts.join, clock, log, onEvent })
  const running = discovery === undefined
    ? undefined
    : createDirectory({
      self: libp2p.peerId.toString(),
      key: parts.key,
      connections: () => libp2p.getConnections(),
      connect: async (peerId, addresses, signal) => {
        const id = peerIdFromString(peerId)
        const present = libp2p.getConnections(id).find(({ status }) => status === 'open')
        return present ?? await libp2p.dial(addresses.length === 0 ? id : addresses.map(address => multiaddr(address)), { signal })
      },
      gossip: network.gossip === undefined ? undefined : createGossip(network.gossip),
      state,
      addresses: () => network.addresses(),
      models: discovery.models ?? [],
      clock,
      log
    })
  const watch = createReachabilityWatch({
    libp2p, internals: network.internals, announce: announce ?? [], useRelays: discovery?.relay !== undefined, clock, log, onEvent, onChange: () => running?.changed()
  })
  if (discovery === undefined || running === undefined) {
    return {
      directory: undefined,
      neighbours: new Set(),
      changed () {},
      reachability: async options => await watch.check(options),
      start: () => joiner.start(),
      async stop () { joiner.stop() }
    }
  }

  const modelId = (): string | undefined => state()?.modelId ?? discovery.models?.[0]
  const remembered = dataDirectory === undefined || discovery.remember === false ? undefined : await openRememberedList(joinPath(dataDirectory, REMEMBERED_FILE), clock, log)
  const providers = discovery.dht === true ? createProviders({ libp2p, modelId, provides: () => (state()?.ranges.length ?? 0) > 0, isKnown: () => running.directory.records(modelId() ?? '').length > 0, clock, log }) : undefined
  const finder = createFinder({ libp2p, running, modelId: network.gossip === undefined ? () => undefined : modelId, remembered, providers, clock, log })
  const server = createDirectoryServer({ records: running.given, dialBack: createDialBack(libp2p, clock), exchange: running.exchanged, clock, log })
  await libp2p.handle(DIRECTORY_PROTOCOL, async (stream, connection) => await server.accept(stream, connection), { maxInboundStreams: MAXIMUM_DIRECTORY_STREAMS, runOnLimitedConnection: true })
  return {
    directory: running.directory,
    get neighbours () {
      const id = modelId()
      return new Set(id === undefined ? [] : running.directory.records(id).map(({ peerId }) => peerId))
    },
    changed: running.changed,
    reachability: async options => await watch.check(options),
    start () {
      running.start()
      finder.start()
      joiner.start()
      if (network.gossip !== undefined) watch.start()
    },
    async stop () {
      joiner.stop()
      watch.stop()
      finder.stop()
      await running.stop()
      await remembered?.close()
    }
  }
}
