import type { Connection, Libp2p, Logger } from '@libp2p/interface'
import { multiaddr } from '@multiformats/multiaddr'
import { LOWEST_DIALLED_PORT } from '../constants.ts'
import { isPublicHost } from '../dial-rules.ts'
import type { NetworkInternals } from '../network.ts'
import type { AbortOptions, PeerEvent } from '../types.ts'
import {
  ASK_DIAL_BACK_MILLISECONDS, DIRECTORY_PROTOCOL, MAXIMUM_PORTS, REACHABILITY_AGAIN_MILLISECONDS, REACHABILITY_CHECK_MILLISECONDS, REACHABILITY_FIRST_MILLISECONDS, REACHABILITY_MILLISECONDS, REACHABILITY_PEERS, RELAY_HOP_PROTOCOL
} from './constants.ts'
import { observedHost } from './dial-back.ts'
import { askDialBack } from './exchange.ts'
import { judgeReachability } from './reachability.ts'
import type { DialBackReport, Reachability } from './reachability.ts'
import type { Clock } from './types.ts'

export interface ReachabilityWatchInit {
  libp2p: Libp2p
  internals: NetworkInternals
  /** multiaddrs of forwarded ports, where the user has said so */
  announce: readonly string[]
  /** take a place at a relay where nobody can connect */
  useRelays: boolean
  clock: Clock
  log: Logger
  onEvent?: (event: PeerEvent) => void
  /** other addresses are to be announced */
  onChange: () => void
}

/** Finds out whether others can connect to this node, tells what it learns, and helps itself where it can. */
export interface ReachabilityWatch {
  /** of the last check */
  readonly last: Reachability
  /** asks connected peers now; throws nothing but the signal's reason */
  check (options?: AbortOptions): Promise<Reachability>
  start (): void
  stop (): void
}

export function createReachabilityWatch (init: ReachabilityWatchInit): ReachabilityWatch {
  const { libp2p, internals, announce, clock, log } = init
  let last: Reachability = { status: 'unknown', reason: 'not asked yet', reports: [] }
  let cancel = (): void => {}
  let checking: Promise<Reachability> | undefined

  function ports (): number[] {
    const found = [...announce, ...internals.transportManager.getAddrs().map(String)].map(address => Number(/^\/(?:ip4|ip6|dns4|dns6|dns)\/[^/]+\/tcp\/(\d+)/.exec(address)?.[1]))
    return [...new Set(found)].filter(port => port >= LOWEST_DIALLED_PORT).slice(0, MAXIMUM_PORTS)
  }

  /** Peers to ask: those to which this node comes from outside first. */
  async function whomToAsk (): Promise<Connection[]> {
    const chosen = new Map<string, Connection>()
    for (const connection of libp2p.getConnections()) {
      if (connection.status === 'open' && observedHost(connection.remoteAddr.toString()) !== undefined) chosen.set(connection.remotePeer.toString(), connection)
    }
    const able: Connection[] = []
    for (const connection of chosen.values()) {
      const peer = await libp2p.peerStore.get(connection.remotePeer).catch(() => undefined)
      if (peer?.protocols.includes(DIRECTORY_PROTOCOL) === true) able.push(connection)
    }
    const outside = (connection: Connection): number => isPublicHost(observedHost(connection.remoteAddr.toString()) ?? '') ? 0 : 1
    return able.map(connection => ({ connection, key: outside(connection) + Math.random() })).sort((one, other) => one.key - other.key).slice(0, REACHABILITY_PEERS).map(({ connection }) => connection)
  }

  async function ask (connection: Connection, ports: number[], signal: AbortSignal): Promise<DialBackReport[]> {
    const peerId = connection.remotePeer.toString()
    try {
      const { observed, outcomes } = await askDialBack(connection, ports, AbortSignal.any([signal, AbortSignal.timeout(ASK_DIAL_BACK_MILLISECONDS)]))
      return [{ peerId, observed, ports, outcomes }]
    } catch (error) {
      log('%s was asked to dial back in vain: %s', peerId, (error as Error).message)
      return []
    }
  }

  /** One, whose word is enough where it got through: every dial back costs both a handshake. Else some more, since the one may have a firewall of its own. */
  async function askSome (wanted: number[], signal: AbortSignal): Promise<DialBackReport[]> {
    const [first, ...others] = await whomToAsk()
    const reports = first === undefined ? [] : await ask(first, wanted, signal)
    if (reports.some(({ outcomes }) => outcomes.includes('reached'))) return reports
    return [...reports, ...(await Promise.all(others.map(async connection => await ask(connection, wanted, signal)))).flat()]
  }

  async function examine (signal: AbortSignal): Promise<Reachability> {
    const wanted = ports()
    const reports = wanted.length === 0 ? [] : await askSome(wanted, signal)
    for (const { observed, outcomes } of reports) {
      const host = observedHost(observed)
      outcomes.forEach((outcome, index) => {
        // libp2p tells nobody of a public address before somebody has confirmed it
        if (outcome === 'reached' && host !== undefined && isPublicHost(host)) internals.addressManager.confirmObservedAddr(multiaddr(`${host}/tcp/${wanted[index]}`), { type: 'observed' })
      })
    }
    let judged: Pick<Reachability, 'status' | 'reason'> = judgeReachability(reports, wanted, isPublicHost)
    if (judged.status === 'unreachable' && await relayed()) judged = { status: 'relayed', reason: `${judged.reason}; others come by way of a relay` }
    return { ...judged, reports }
  }

  /** Whether others can come by way of a relay; takes a place at one where that is wanted. */
  async function relayed (): Promise<boolean> {
    const has = (): boolean => libp2p.getMultiaddrs().some(address => address.toString().includes('/p2p-circuit'))
    if (has() || !init.useRelays) return has()
    for (const connection of libp2p.getConnections()) {
      const peer = await libp2p.peerStore.get(connection.remotePeer).catch(() => undefined)
      if (peer?.protocols.includes(RELAY_HOP_PROTOCOL) !== true || observedHost(connection.remoteAddr.toString()) === undefined) continue
      try {
        await internals.transportManager.listen([multiaddr(`${connection.remoteAddr.toString().replace(/\/p2p\/[^/]+$/, '')}/p2p/${connection.remotePeer.toString()}/p2p-circuit`)])
        if (has()) return true
      } catch (error) {
        log('no place at the relay %p: %s', connection.remotePeer, (error as Error).message)
      }
    }
    return has()
  }

  async function check (signal: AbortSignal): Promise<Reachability> {
    checking ??= examine(signal).finally(() => { checking = undefined })
    const before = last.status
    last = await checking
    if (last.status !== before) {
      init.onEvent?.({ type: 'peer:reachability', ...last })
      init.onChange()
    }
    return last
  }

  function plan (milliseconds: number): void {
    cancel = clock.after(milliseconds, () => {
      check(AbortSignal.timeout(REACHABILITY_CHECK_MILLISECONDS))
        .catch(error => log.error('reachability: %e', error))
        .finally(() => plan(last.status === 'direct' ? REACHABILITY_MILLISECONDS : REACHABILITY_AGAIN_MILLISECONDS))
    })
  }

  return {
    get last () {
      return last
    },
    async check (options = {}) {
      const deadline = AbortSignal.timeout(REACHABILITY_CHECK_MILLISECONDS)
      const result = await check(options.signal === undefined ? deadline : AbortSignal.any([options.signal, deadline]))
      options.signal?.throwIfAborted()
      return result
    },
    start: () => plan(REACHABILITY_FIRST_MILLISECONDS),
    stop: () => cancel()
  }
}
