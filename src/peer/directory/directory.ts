import type { Connection, Logger, PrivateKey } from '@libp2p/interface'
import { setImmediate as turn } from 'node:timers/promises'
import { FrameError, NothingHostedError, PeerUnreachableError } from '../errors.ts'
import { createAnnouncer } from './announcer.ts'
import type { Announcer, OwnState } from './announcer.ts'
import { BoundedMap } from './bounded-map.ts'
import type { GivenRecord } from './codec.ts'
import {
  ANNOUNCE_MILLISECONDS, ASK_MILLISECONDS, ASK_PAUSE_MILLISECONDS, CLOCK_SKEW_MILLISECONDS, GOSSIP_MESSAGES_AT_ONCE, GOSSIP_MESSAGES_PER_SECOND, MAXIMUM_ASKERS, MAXIMUM_MODELS,
  NEIGHBOUR_PAUSE_MILLISECONDS, OVERDUE_MILLISECONDS, REFRESH_PEERS, SIGNATURES_AT_ONCE, SWEEP_MILLISECONDS
} from './constants.ts'
import { askExchange, askRecords } from './exchange.ts'
import type { Gossip } from './gossip.ts'
import { createIntake } from './intake.ts'
import { createRecordStore } from './record-store.ts'
import type { HeldRecord, Moment } from './record-store.ts'
import { decodeRecord, decodeSealed } from './record.ts'
import { createTokenBucket } from './token-bucket.ts'
import type { TokenBucket } from './token-bucket.ts'
import type { Clock, Directory, PeerRecord, Verdict } from './types.ts'

export interface DirectoryInit {
  /** PeerId of this node */
  self: string
  key: Pick<PrivateKey, 'sign'>
  /** open connections, to ask over */
  connections: () => Connection[]
  /** a connection to a peer: the one that is there, or a new one */
  connect: (peerId: string, addresses: readonly string[], signal: AbortSignal) => Promise<Connection>
  /** without it, the directory knows only what it asks for */
  gossip?: Gossip
  /** what this node announces; undefined while it has nothing to say */
  state: () => OwnState | undefined
  addresses: () => string[]
  /** further models to follow */
  models: readonly string[]
  clock: Clock
  log: Logger
}

/** The directory of one running node, with what its other parts need of it. */
export interface RunningDirectory {
  readonly directory: Directory
  /** models that are followed */
  readonly models: readonly string[]
  /** PeerIds of connected peers of a model */
  neighbours (modelId: string): string[]
  /** for other peers that ask */
  given (modelId: string): GivenRecord[]
  /** takes the announcement of a peer that asks, and gives that of this node as things are now; no bytes where there is none */
  exchanged (modelId: string, announcement: Uint8Array): Promise<Uint8Array>
  /** asks one peer for all followed models, unless it has just been asked; never throws */
  greet (connection: Connection): Promise<void>
  /** what this node hosts has changed */
  changed (): void
  start (): void
  /** says goodbye */
  stop (): Promise<void>
}

export function createDirectory (init: DirectoryInit): RunningDirectory {
  const { self, clock, gossip, log } = init
  const store = createRecordStore()
  const listeners = new Set<() => void>()
  const counts: Record<Verdict, number> = { accepted: 0, stale: 0, clock: 0, often: 0, full: 0, model: 0, malformed: 0, forged: 0 }
  const models = new Set<string>()
  const buckets = new BoundedMap<string, TokenBucket>(MAXIMUM_ASKERS)
  const greeted = new BoundedMap<string, number>(MAXIMUM_ASKERS)
  let notifying = false
  let cancelSweep = (): void => {}
  let askedAt = -Infinity
  let stopped = true

  const moment = (): Moment => ({ wall: clock.wall(), steady: clock.steady() })

  const announcer: Announcer = createAnnouncer({
    self,
    key: init.key,
    clock,
    log,
    state: init.state,
    addresses: init.addresses,
    publish: async (modelId, bytes) => {
      follow(modelId)
      await gossip?.publish(modelId, bytes)
    }
  })

  const take = createIntake({
    store,
    self,
    ownSequence: () => announcer.sequence,
    clock,
    onAccepted: notify,
    onOwn: ({ sequence }) => announcer.skip(sequence),
    onVerdict: (verdict, problem) => {
      counts[verdict]++
      if (problem !== undefined) log('an announcement was dropped: %s', problem)
    }
  })

  function notify (): void {
    if (notifying) return
    notifying = true
    queueMicrotask(() => {
      notifying = false
      for (const listener of listeners) {
        try {
          listener()
        } catch (error) {
          log.error('a listener for changes failed: %e', error)
        }
      }
    })
  }

  function follow (modelId: string): void {
    if (models.has(modelId) || models.size >= MAXIMUM_MODELS) return
    models.add(modelId)
    gossip?.follow(modelId, async (bytes, neighbour) => {
      const bucket = buckets.get(neighbour) ?? createTokenBucket(GOSSIP_MESSAGES_AT_ONCE, GOSSIP_MESSAGES_PER_SECOND)
      buckets.set(neighbour, bucket)
      if (bucket.take(clock.steady())) return await take(bytes, modelId)
      counts.often++
      return 'often'
    })
  }

  /** Throws what `askRecords` throws. */
  async function askPeer (connection: Connection, modelId: string, signal: AbortSignal): Promise<void> {
    const { clock: theirs, records } = await askRecords(connection, modelId, signal)
    if (Math.abs(theirs - clock.wall()) > CLOCK_SKEW_MILLISECONDS) log.error('our clock and that of %p are %d s apart', connection.remotePeer, Math.round((theirs - clock.wall()) / 1000))
    for (const [index, { bytes, age }] of records.entries()) {
      await take(bytes, modelId, age)
      if (index % SIGNATURES_AT_ONCE === SIGNATURES_AT_ONCE - 1) await turn()
    }
  }

  /** Some of the connected peers, those of the model first. */
  function whomToAsk (modelId: string, count: number): Connection[] {
    const live = new Set([...neighbours(modelId), ...store.live(modelId, moment()).map(({ record }) => record.peerId)])
    const byPeer = new Map(init.connections().filter(({ status }) => status === 'open').map(connection => [connection.remotePeer.toString(), connection]))
    return [...byPeer]
      .map(([peerId, connection]) => ({ connection, key: (live.has(peerId) ? 0 : 1) + Math.random() }))
      .sort((one, other) => one.key - other.key)
      .slice(0, count)
      .map(({ connection }) => connection)
  }

  const neighbours = (modelId: string): string[] => gossip?.neighbours(modelId) ?? []

  function sweep (): void {
    cancelSweep = clock.after(SWEEP_MILLISECONDS, sweep)
    announcer.compare()
    if (store.sweep(moment())) notify()
    // an announcement that is overdue may only have gone astray: somebody else may have it
    const now = clock.steady()
    if (gossip === undefined || now - askedAt < ANNOUNCE_MILLISECONDS) return
    for (const modelId of models) {
      if (!store.live(modelId, moment()).some(({ age }) => age > OVERDUE_MILLISECONDS)) continue
      askedAt = now
      for (const connection of whomToAsk(modelId, 1)) askPeer(connection, modelId, AbortSignal.timeout(ASK_MILLISECONDS)).catch(() => {})
    }
  }

  const directory: Directory = {
    records: modelId => store.live(modelId, moment()).map(({ record }): PeerRecord => record),
    suspect (peerId, reason) {
      log('%s is suspected: %s', peerId, reason)
      store.suspect(peerId, moment())
      notify()
    },
    onChange (listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    async refresh (modelId, options = {}) {
      options.signal?.throwIfAborted()
      follow(modelId)
      const deadline = AbortSignal.timeout(ASK_MILLISECONDS)
      const signal = options.signal === undefined ? deadline : AbortSignal.any([options.signal, deadline])
      await Promise.allSettled(whomToAsk(modelId, REFRESH_PEERS).map(async connection => await askPeer(connection, modelId, signal)))
      options.signal?.throwIfAborted()
    },
    async exchange (peerId, modelId, options = {}) {
      const deadline = AbortSignal.timeout(ASK_MILLISECONDS)
      const signal = options.signal === undefined ? deadline : AbortSignal.any([options.signal, deadline])
      // whatever was decided before the call is in what the peer is given, and was said before it is asked
      const own = await announcer.fresh()
      signal.throwIfAborted()
      const of = (): PeerRecord | undefined => store.live(modelId, moment()).find(({ record }) => record.peerId === peerId)?.record
      let connection: Connection
      try {
        connection = await init.connect(peerId, of()?.addresses ?? [], signal)
      } catch (error) {
        signal.throwIfAborted()
        throw new PeerUnreachableError(peerId, error)
      }
      const { announcement } = await askExchange(connection, modelId, own?.modelId === modelId ? own.bytes : new Uint8Array(0), signal)
      if (announcement.length === 0) throw new NothingHostedError(peerId)
      await take(announcement, modelId)
      const record = of()
      // what was not taken is not known: too many of them, or of somebody else
      if (record === undefined || record.sequence < sequenceOf(announcement, peerId)) throw new PeerUnreachableError(peerId, new Error('its announcement could not be taken'))
      return record
    },
    counts
  }

  // whoever comes asks for what we know; only those who have asked somebody else meanwhile may have missed us
  gossip?.onNeighbour(modelId => { if (modelId === announcer.last?.modelId) announcer.soon(neighbours(modelId).length > 1 ? NEIGHBOUR_PAUSE_MILLISECONDS : undefined) })
  return {
    directory,
    get models () {
      return [...models]
    },
    neighbours,
    given (modelId) {
      if (!models.has(modelId)) return []
      const held: Array<Omit<HeldRecord, 'record'>> = store.known(modelId, moment())
      const { last } = announcer
      return (last?.modelId === modelId ? [last, ...held] : held).map(({ bytes, age }) => ({ bytes, age }))
    },
    async exchanged (modelId, announcement) {
      if (announcement.length > 0 && models.has(modelId)) await take(announcement, modelId)
      const own = await announcer.fresh()
      return own?.modelId === modelId ? own.bytes : new Uint8Array(0)
    },
    async greet (connection) {
      const peer = connection.remotePeer.toString()
      const now = clock.steady()
      if (stopped || now - (greeted.get(peer) ?? -Infinity) < ASK_PAUSE_MILLISECONDS) return
      greeted.set(peer, now)
      for (const modelId of models) {
        try {
          await askPeer(connection, modelId, AbortSignal.timeout(ASK_MILLISECONDS))
        } catch (error) {
          log('%p was asked for records in vain: %s', connection.remotePeer, (error as Error).message)
        }
      }
    },
    changed: () => announcer.soon(),
    start () {
      stopped = false
      for (const modelId of init.models) follow(modelId)
      announcer.start()
      sweep()
    },
    async stop () {
      stopped = true
      cancelSweep()
      await announcer.stop()
    }
  }
}

/** Of a peer's own announcement. Throws FrameError for anything else. */
function sequenceOf (announcement: Uint8Array, peerId: string): number {
  const record = decodeRecord(decodeSealed(announcement).body)
  if (record.peerId !== peerId) throw new FrameError('announcement', `is not of peer ${peerId}`)
  return record.sequence
}
