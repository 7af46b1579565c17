import type { Connection, Libp2p, Logger } from '@libp2p/interface'
import { multiaddr } from '@multiformats/multiaddr'
import { BoundedMap } from './bounded-map.ts'
import { chooseDials } from './choose-dials.ts'
import type { DialCandidate, DialHistory } from './choose-dials.ts'
import { DIAL_MILLISECONDS, DIALS_AT_ONCE, DIRECTORY_PROTOCOL, FIND_MILLISECONDS, LEAST_NEIGHBOURS, MAXIMUM_NAMED_PEERS, PROBE_PAUSE_MILLISECONDS, WANTED_NEIGHBOURS } from './constants.ts'
import type { Providers } from './providers.ts'
import type { RememberedList } from './remembered-list.ts'
import type { RunningDirectory } from './directory.ts'
import type { Clock, PeerRecord } from './types.ts'

export interface FinderInit {
  libp2p: Libp2p
  running: RunningDirectory
  /** the model whose peers are wanted as neighbours, if any are */
  modelId: () => string | undefined
  remembered?: RememberedList
  providers?: Providers
  clock: Clock
  log: Logger
}

/** Finds peers, and keeps a node connected with some of its model. */
export interface Finder {
  start (): void
  stop (): void
}

/**
 * Peers come from everywhere at once: records, peers of earlier days, mDNS and
 * the DHT, beside the addresses to join. None of them has to work for the
 * others to.
 */
export function createFinder (init: FinderInit): Finder {
  const { libp2p, running, modelId, remembered, providers, clock, log } = init
  const self = libp2p.peerId.toString()
  /** from mDNS and the DHT */
  const named = new BoundedMap<string, DialCandidate>(MAXIMUM_NAMED_PEERS)
  const history = new BoundedMap<string, DialHistory>(MAXIMUM_NAMED_PEERS)
  const probed = new BoundedMap<string, number>(MAXIMUM_NAMED_PEERS)
  const dialling = new Set<string>()
  let cancel = (): void => {}
  let stopped = true

  const recorded = (id = modelId()): PeerRecord[] => id === undefined ? [] : running.directory.records(id)

  async function dial (candidate: DialCandidate): Promise<void> {
    const { peerId, addresses } = candidate
    dialling.add(peerId)
    try {
      await libp2p.dial(addresses.map(address => multiaddr(withPeer(address, peerId))), { signal: AbortSignal.timeout(DIAL_MILLISECONDS) })
      history.delete(peerId)
    } catch (error) {
      history.set(peerId, { failures: (history.get(peerId)?.failures ?? 0) + 1, at: clock.steady() })
      // with nobody else there it may be our own network that is down
      if (libp2p.getPeers().length > 0) remembered?.failed(peerId)
      log.trace('%s cannot be reached: %s', peerId, (error as Error).message)
      throw error
    } finally {
      dialling.delete(peerId)
    }
  }

  /** For as long as it has hardly any neighbours: others come in meanwhile, and each connection costs both sides a handshake. */
  function hurry (): void {
    look(LEAST_NEIGHBOURS)
  }

  function look (most = WANTED_NEIGHBOURS): void {
    const id = modelId()
    if (stopped || id === undefined) return
    const records = recorded(id)
    const connected = new Set(libp2p.getPeers().map(String))
    for (const record of records) if (connected.has(record.peerId)) remembered?.met(record)
    const near = new Set([...running.neighbours(id), ...records.map(({ peerId }) => peerId)].filter(peerId => connected.has(peerId)))
    const wanted = most - near.size
    if (wanted <= 0) return
    const room = Math.min(wanted, DIALS_AT_ONCE - dialling.size)
    const chosen = chooseDials({
      groups: [records, [...named].map(([, candidate]) => candidate), remembered?.peers(id) ?? []],
      taken: new Set([self, ...connected, ...dialling]),
      history: peerId => history.get(peerId),
      wanted: room,
      now: clock.steady(),
      random: Math.random
    })
    for (const candidate of chosen) dial(candidate).then(hurry, () => {})
    if (chosen.length < room) providers?.look()
  }

  function tick (): void {
    cancel = clock.after(FIND_MILLISECONDS, tick)
    look()
  }

  const onIdentify = ({ detail: { connection, protocols } }: { detail: { connection: Connection, protocols: string[] } }): void => {
    if (!stopped && protocols.includes(DIRECTORY_PROTOCOL)) running.greet(connection).then(hurry, () => {})
  }

  const onDiscovery = ({ detail }: { detail: { id: { toString (): string }, multiaddrs: Array<{ toString (): string }> } }): void => {
    const peerId = detail.id.toString()
    if (stopped || peerId === self || detail.multiaddrs.length === 0) return
    const known = named.get(peerId) !== undefined
    named.set(peerId, { peerId, addresses: detail.multiaddrs.map(String) })
    if (!known) hurry()
  }

  /** Its own end of a connection tells nothing: whoever died does not answer any more. */
  const onDisconnect = ({ detail }: { detail: { toString (): string } }): void => {
    const peerId = detail.toString()
    const record = recorded().find(record => record.peerId === peerId)
    const now = clock.steady()
    if (stopped || record === undefined || dialling.has(peerId) || now - (probed.get(peerId) ?? -Infinity) < PROBE_PAUSE_MILLISECONDS) return
    probed.set(peerId, now)
    dial(record).catch(error => {
      if (!stopped) running.directory.suspect(peerId, `it is disconnected and cannot be reached: ${(error as Error).message}`)
    })
  }

  return {
    start () {
      stopped = false
      libp2p.addEventListener('peer:identify', onIdentify)
      libp2p.addEventListener('peer:discovery', onDiscovery)
      libp2p.addEventListener('peer:disconnect', onDisconnect)
      providers?.start(peer => onDiscovery({ detail: peer }))
      tick()
    },
    stop () {
      stopped = true
      cancel()
      providers?.stop()
      libp2p.removeEventListener('peer:identify', onIdentify)
      libp2p.removeEventListener('peer:discovery', onDiscovery)
      libp2p.removeEventListener('peer:disconnect', onDisconnect)
    }
  }
}

function withPeer (address: string, peerId: string): string {
  return address.endsWith(`/p2p/${peerId}`) ? address : `${address}/p2p/${peerId}`
}
