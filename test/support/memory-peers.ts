import { randomBytes } from 'node:crypto'
import { generateKeyPair } from '@libp2p/crypto/keys'
import type { Connection, Stream } from '@libp2p/interface'
import { defaultLogger } from '@libp2p/logger'
import { peerIdFromPrivateKey } from '@libp2p/peer-id'
import { DEFAULT_LIMITS } from '../../src/peer/constants.ts'
import type { HostedRange, PeerEvent, PeerLimits } from '../../src/peer/index.ts'
import { createLinkPool } from '../../src/peer/link-pool.ts'
import { createHost } from '../../src/peer/stage/host.ts'
import type { Host } from '../../src/peer/stage/host.ts'
import { createHostedRange } from '../../src/peer/stage/hosted-range.ts'
import { createStageServer } from '../../src/peer/stage/stage-server.ts'
import type { StageServer } from '../../src/peer/stage/stage-server.ts'
import type { Engine } from '../../src/engine/index.ts'
import type { UnitRange } from '../../src/model/index.ts'
import { MemoryStream } from './memory-stream.ts'
import { stubModel } from './peers.ts'
import { createRawLink } from './raw-link.ts'
import type { RawLink } from './raw-link.ts'
import { createRawRoute } from './raw-route.ts'
import type { RawRoute } from './raw-route.ts'
import { createStubEngine } from './stub-engine.ts'
import type { StubEngine, StubEngineOptions } from './stub-engine.ts'

export interface MemoryPeer {
  peerId: string
  range: UnitRange
  engine: StubEngine
  server: StageServer
  hosted: HostedRange
  events: PeerEvent[]
  /** hosts one more engine */
  host (engine: Engine): HostedRange
}

export interface MemoryPeerOptions extends StubEngineOptions {
  limits?: Partial<PeerLimits>
}

/** Stage servers of one process with streams of memory between them: the whole stage protocol without a network, in microtasks. */
export function createMemoryNetwork () {
  const log = defaultLogger().forComponent('efedllm:test')
  const servers = new Map<string, StageServer>()
  const models = new Map<string, string>()
  const pools: Array<{ stop (): Promise<void> }> = []
  const streams: Array<{ peers: [string, string], stream: MemoryStream, far: MemoryStream }> = []
  /** pairs that cannot reach each other */
  const apart = new Set<string>()
  const pair = (one: string, other: string): string => [one, other].sort().join(' ')

  function connect (from: string, to: string): MemoryStream {
    const server = servers.get(to)
    if (server === undefined || apart.has(pair(from, to))) throw new Error('it does not answer')
    const [near, far] = MemoryStream.pair()
    streams.push({ peers: [from, to], stream: near, far })
    server.accept(far as unknown as Stream, { remotePeer: { toString: () => from }, remoteAddr: { toString: () => '/memory' } } as unknown as Connection)
    return near
  }

  function cut (one: string, other?: string): void {
    for (const { peers, stream } of streams) {
      if (peers.includes(one) && (other === undefined || peers.includes(other))) stream.abort(new Error('cut by the test'))
    }
  }

  const network = {
    /** reached by `dials`: who connected to whom */
    dials: [] as string[],
    async peer (from: number, to: number, { limits, ...options }: MemoryPeerOptions = {}): Promise<MemoryPeer> {
      const key = await generateKeyPair('Ed25519')
      const peerId = peerIdFromPrivateKey(key).toString()
      const links = createLinkPool(log)
      const hosts: Host[] = []
      const events: PeerEvent[] = []
      const engine = createStubEngine({ from, to }, options)
      const model = stubModel(engine.architecture)
      models.set(peerId, model.modelId)
      const server = createStageServer({
        hosts,
        model,
        limits: { ...DEFAULT_LIMITS, ...limits },
        self: peerId,
        addresses: () => [],
        sign: bytes => key.sign(bytes),
        links,
        connect: async ({ downstream }) => {
          network.dials.push(`${peerId} ${downstream}`)
          return { remoteAddr: { toString: () => '/memory' }, newStream: async () => connect(peerId, downstream) } as unknown as Connection
        },
        log,
        onEvent: event => events.push(event)
      })
      servers.set(peerId, server)
      pools.push(links)
      const host = (engine: Engine): HostedRange => {
        const added = createHost(engine)
        hosts.push(added)
        return createHostedRange({ host: added, store: () => server.store, onChange: () => {}, onRemove: () => { hosts.splice(hosts.indexOf(added), 1) } })
      }
      return { peerId, range: { from, to }, engine, server, events, hosted: host(engine), host }
    },
    link (self: string, peerId: string, session: string): RawLink {
      return createRawLink({ self, stream: connect(self, peerId) as unknown as Stream, peer: peerId, remoteAddress: '/memory', session, modelId: models.get(peerId)!, log })
    },
    /** a session of a client of its own */
    route (self = `client-${randomBytes(8).toString('hex')}`, session = randomBytes(16).toString('hex')): RawRoute & { self: string, session: string } {
      const route = createRawRoute(async ({ peerId }) => network.link(self, peerId, session))
      return Object.assign(route, { self, session })
    },
    /** ends all streams of a peer, or those between two, without a word */
    cut,
    /** and lets them connect no more */
    part (one: string, other: string): void {
      apart.add(pair(one, other))
      cut(one, other)
    },
    /** `to` reads no more, or again, what `from` sends on streams that it opened */
    pause (from: string, to: string, on: boolean): void {
      for (const { peers, far } of streams) {
        if (peers[0] !== from || peers[1] !== to) continue
        if (on) far.pause()
        else far.resume()
      }
    },
    /** as the death of a process */
    kill (peer: MemoryPeer): void {
      servers.delete(peer.peerId)
      cut(peer.peerId)
    },
    async stop (): Promise<void> {
      await Promise.all([...servers.values()].map(async server => await server.stop()))
      await Promise.all(pools.map(async pool => await pool.stop()))
    }
  }
  return network
}

/** A step of a stub engine that waits until the test lets it go on. */
export function createGate () {
  let gate: PromiseWithResolvers<void> | undefined
  let entered = Promise.withResolvers<void>()
  return {
    /** of a stub engine */
    async wait (): Promise<void> {
      if (gate === undefined) return
      entered.resolve()
      await gate.promise
    },
    close (): void {
      gate = Promise.withResolvers()
      entered = Promise.withResolvers()
    },
    open (): void {
      gate?.resolve()
      gate = undefined
    },
    /** resolves once a step waits */
    get entered (): Promise<void> {
      return entered.promise
    }
  }
}
