import { randomBytes } from 'node:crypto'
import type { Link } from '../../src/peer/link.ts'
import type { LinkPool, Subscriber } from '../../src/peer/link-pool.ts'
import type { CandidateRecord } from '../../src/peer/index.ts'
import type { UnitRange } from '../../src/model/index.ts'
import { decodeFrame, decodeOpen, encodeError, encodeFrame, encodeLeaving, encodeOpened, encodeProbed, ErrorCode, Kind } from '../../src/peer/wire/index.ts'
import type { ErrorNumber, Frame, FrameInit, OpenRecord } from '../../src/peer/wire/index.ts'
import { createStubEngine, STUB_ARCHITECTURE } from './stub-engine.ts'
import type { StubEngine } from './stub-engine.ts'

/** What may go wrong at a peer when a step or a replay reaches it. */
export type Fault = 'kill' | 'freeze' | 'stall' | 'garbage' | 'evict' | 'engine' | 'forget' | 'leave'

interface StubSession {
  record: OpenRecord
  epoch: number
  engine: StubEngine
  engineSession: number
  /** outputs of the positions, one row each */
  kept: Float32Array[]
  suspended: boolean
  subscriber: Subscriber
  received: number
  finished: number
}

export interface StubStagePeer {
  readonly peerId: string
  readonly ranges: UnitRange[]
  alive: boolean
  /** it takes nothing any more, and its streams stay */
  frozen: boolean
  /** steps and replays that have come */
  steps: number
  /** opens that it refuses from now on */
  refusals: number
  /** called for each step and replay before it is taken */
  onStep?: (peer: StubStagePeer, count: number) => Fault | undefined
  readonly sessions: Map<string, StubSession>
}

/** Peers that speak the stage protocol within this process, one frame after another, without sockets, keys or time. */
export interface StubStages {
  readonly links: LinkPool
  readonly peers: Map<string, StubStagePeer>
  add (peerId: string, ...ranges: UnitRange[]): StubStagePeer
  records (): CandidateRecord[]
  /** its streams end, at both ends */
  kill (peerId: string): void
  /** two peers lose each other, until `mend` */
  cut (one: string, other: string): void
  mend (one: string, other: string): void
  /** bytes of hidden state that the client has sent and received */
  readonly clientHiddenBytes: number
}

export function createStubStages (): StubStages {
  const peers = new Map<string, StubStagePeer>()
  const cuts = new Set<string>()
  let clientHiddenBytes = 0

  const pair = (one: string, other: string): string => [one, other].sort().join(' ')
  const reach = (one: string, other: string): boolean => peers.get(other)?.alive === true && !cuts.has(pair(one, other))

  /** Over the wire, as bytes, in a later task. */
  function toClient (peer: StubStagePeer, session: StubSession | undefined, subscriber: Subscriber, init: FrameInit): void {
    const bytes = encodeFrame(init)
    queueMicrotask(() => {
      if (!peer.alive) return
      try {
        const frame = decodeFrame(bytes)
        clientHiddenBytes += frame.hidden?.byteLength ?? 0
        subscriber.onFrame(frame)
      } catch (error) {
        // the stream is aborted, and its session ends with it
        peer.sessions.delete(init.session)
        subscriber.onClose(error as Error)
        neighboursLost(peer.peerId)
      }
    })
  }

  function tell (peer: StubStagePeer, session: StubSession, id: string, sequence: number, code: ErrorNumber, more: { sessionLost?: boolean, stage?: number, accused?: string } = {}): void {
    const { record: { stage }, subscriber, epoch } = session
    const record = encodeError({ code, retryable: true, sessionLost: more.sessionLost ?? false, stage: more.stage ?? stage, peer: more.accused ?? peer.peerId, message: `stub ${code}` })
    toClient(peer, session, subscriber, { kind: Kind.error, session: id, epoch, sequence, record })
  }

  function suspend (peer: StubStagePeer, id: string, session: StubSession, accused: string, sequence = 0): void {
    if (session.suspended) return
    session.suspended = true
    const { stage, upstream } = session.record
    tell(peer, session, id, sequence, ErrorCode.peerLost, { stage: accused === upstream ? stage - 1 : stage + 1, accused })
  }

  function neighboursLost (peerId: string, only?: string): void {
    for (const other of peers.values()) {
      if (!other.alive || (only !== undefined && other.peerId !== only)) continue
      for (const [id, session] of other.sessions) if (session.record.upstream === peerId || session.record.downstream === peerId) suspend(other, id, session, peerId)
    }
  }

  function kill (peerId: string): void {
    const peer = peers.get(peerId)!
    if (!peer.alive) return
    peer.alive = false
    const sessions = [...peer.sessions.values()]
    peer.sessions.clear()
    queueMicrotask(() => {
      for (const { subscriber } of sessions) subscriber.onClose(new Error('killed'))
      neighboursLost(peerId)
    })
  }

  function open (peer: StubStagePeer, frame: Frame, subscriber: Subscriber): void {
    const record = decodeOpen(frame.record!)
    const present = peer.sessions.get(frame.session)
    const refuse = (code: ErrorNumber): void => toClient(peer, present, subscriber, { kind: Kind.error, session: frame.session, epoch: frame.epoch, sequence: frame.sequence, record: encodeError({ code, retryable: true, sessionLost: false, stage: record.stage, peer: peer.peerId, message: 'stub refuses' }) })
    if (!peer.ranges.some(({ from, to }) => from <= record.range.from && record.range.to <= to)) return refuse(ErrorCode.range)
    const same = present !== undefined && present.record.range.from === record.range.from && present.record.range.to === record.range.to
    if (!same && peer.refusals > 0) {
      peer.refusals--
      return refuse(ErrorCode.busy)
    }
    if (present !== undefined && frame.epoch <= present.epoch) return refuse(ErrorCode.busy)
    let session: StubSession
    if (same) {
      session = Object.assign(present, { record, epoch: frame.epoch, suspended: false })
    } else {
      const engine = createStubEngine(record.range)
      session = { record, epoch: frame.epoch, engine, engineSession: engine.openSession(), kept: [], suspended: false, subscriber, received: 0, finished: 0 }
      peer.sessions.set(frame.session, session)
    }
    const held = session.engine.sessionLength(session.engineSession)
    const kept = Math.min(held, session.kept.length)
    reply(peer, frame, subscriber, { kind: Kind.opened, record: encodeOpened({ nonce: new Uint8Array(16), window: 3, rowsPerStep: 16, capacity: 500, held, kept }) })
  }

  function reply (peer: StubStagePeer, { session, epoch, sequence }: Frame, subscriber: Subscriber, init: Omit<FrameInit, 'session' | 'epoch' | 'sequence'>): void {
    toClient(peer, undefined, subscriber, { ...init, session, epoch, sequence })
  }

  /** What comes from the client or from the stage before. */
  async function receive (peer: StubStagePeer, frame: Frame, from: string, subscriber?: Subscriber): Promise<void> {
    if (!peer.alive || peer.frozen) return
    if (frame.kind === Kind.open) return open(peer, frame, subscriber!)
    const session = peer.sessions.get(frame.session)
    if (session === undefined) {
      if (subscriber !== undefined && frame.kind !== Kind.close && frame.kind !== Kind.name) reply(peer, frame, subscriber, { kind: Kind.error, record: encodeError({ code: ErrorCode.unknownSession, retryable: false, sessionLost: true, stage: 0, peer: peer.peerId, message: 'no such session' }) })
      return
    }
    if (frame.epoch !== session.epoch) return
    const { record } = session
    switch (frame.kind) {
      case Kind.confirm: return reply(peer, frame, subscriber!, { kind: Kind.confirmed, record: new Uint8Array(8) })
      case Kind.connect:
        if (reach(peer.peerId, record.downstream)) return reply(peer, frame, subscriber!, { kind: Kind.done })
        return suspend(peer, frame.session, session, record.downstream, frame.sequence)
      case Kind.probe: return reply(peer, frame, subscriber!, { kind: Kind.probed, record: encodeProbed({ received: session.received, finished: session.finished, queued: 0 }) })
      case Kind.cancel: return reply(peer, frame, subscriber!, { kind: Kind.done })
      case Kind.truncate:
        if (frame.position < session.engine.sessionLength(session.engineSession)) session.engine.truncate(session.engineSession, frame.position)
        session.kept.length = Math.min(session.kept.length, frame.position)
        return reply(peer, frame, subscriber!, { kind: Kind.done })
      case Kind.close:
        peer.sessions.delete(frame.session)
        for (const other of [record.upstream, record.downstream]) if (peers.has(other)) neighboursLostBy(peer.peerId, other, frame.session)
        return
      case Kind.step:
      case Kind.replay: return await step(peer, session, frame, from)
    }
  }

  function neighboursLostBy (peerId: string, other: string, id: string): void {
    const neighbour = peers.get(other)!
    const session = neighbour.sessions.get(id)
    if (neighbour.alive && session !== undefined && (session.record.upstream === peerId || session.record.downstream === peerId)) suspend(neighbour, id, session, peerId)
  }

  async function step (peer: StubStagePeer, session: StubSession, frame: Frame, from: string): Promise<void> {
    const { record, engine, engineSession } = session
    if (session.suspended || from !== (frame.kind === Kind.replay ? 'client' : peers.has(record.upstream) ? record.upstream : 'client')) return
    peer.steps++
    session.received = frame.sequence
    const fault = peer.onStep?.(peer, peer.steps)
    if (fault === 'kill') return kill(peer.peerId)
    if (fault === 'freeze') peer.frozen = true
    if (fault === 'freeze' || fault === 'stall') return
    if (fault === 'leave') toClient(peer, session, session.subscriber, { kind: Kind.leaving, session: frame.session, epoch: session.epoch, sequence: 0, record: encodeLeaving({ milliseconds: 1000 }) })
    if (fault === 'engine') return tell(peer, session, frame.session, frame.sequence, ErrorCode.engine)
    if (fault === 'forget') session.kept.length = 0
    if (fault === 'evict') {
      peer.sessions.delete(frame.session)
      tell(peer, session, frame.session, 0, ErrorCode.evicted, { sessionLost: true })
      for (const other of [record.upstream, record.downstream]) if (peers.has(other)) neighboursLostBy(peer.peerId, other, frame.session)
      return
    }
    const { position, rows, until } = frame
    let hidden: Float32Array | undefined
    let results: Frame['results']
    if (frame.kind === Kind.replay) {
      if (position + rows > session.kept.length) return tell(peer, session, frame.session, frame.sequence, ErrorCode.historyLost)
      hidden = join(session.kept.slice(position, position + rows))
    } else {
      const hidden0 = frame.hidden
      const wrong = (record.range.from === 0) !== (hidden0 === undefined) || (hidden0 !== undefined && hidden0.length !== rows * STUB_ARCHITECTURE.hiddenSize)
      // the step before it may have failed here
      if (position > engine.sessionLength(engineSession)) return tell(peer, session, frame.session, frame.sequence, ErrorCode.invalidStep)
      if (wrong) return peers.has(record.upstream) ? suspend(peer, frame.session, session, record.upstream) : tell(peer, session, frame.session, frame.sequence, ErrorCode.invalidStep)
      const [result] = await engine.run([{ session: engineSession, position, tokens: frame.tokens, hidden: frame.hidden, outputs: record.range.to === STUB_ARCHITECTURE.layerCount + 2 ? frame.outputs : undefined }])
      hidden = result.hidden
      results = result.rows
      session.kept.length = Math.min(session.kept.length, position)
      if (hidden !== undefined && session.kept.length === position) for (let row = 0; row < rows; row++) session.kept.push(hidden.slice(row * STUB_ARCHITECTURE.hiddenSize, (row + 1) * STUB_ARCHITECTURE.hiddenSize))
    }
    if (!peer.alive || peer.frozen || session.suspended || session.epoch !== frame.epoch || peer.sessions.get(frame.session) !== session) return
    session.finished = frame.sequence
    if (fault === 'garbage') hidden = hidden?.slice(1)
    const common = { session: frame.session, epoch: frame.epoch, sequence: frame.sequence, position, rows: fault === 'garbage' && hidden === undefined ? rows + 1 : rows, spans: [...frame.spans, 1] }
    if (frame.kind === Kind.step && until === record.stage) return toClient(peer, session, session.subscriber, { ...common, kind: Kind.replayed })
    if (!peers.has(record.downstream)) return toClient(peer, session, session.subscriber, { ...common, kind: Kind.answer, hidden: hidden?.length === 0 ? undefined : hidden, results: results?.length === 0 ? undefined : results })
    if (!reach(peer.peerId, record.downstream)) return suspend(peer, frame.session, session, record.downstream)
    if (fault === 'garbage') {
      // what breaks the rules of the stream ends it: the next stage says who did
      const next = peers.get(record.downstream)!
      const other = next.sessions.get(frame.session)
      if (other !== undefined) suspend(next, frame.session, other, peer.peerId)
      return
    }
    post(peers.get(record.downstream)!, encodeFrame({ ...common, kind: Kind.step, hidden, outputs: frame.outputs, until }), peer.peerId)
  }

  /** frames of each receiver, one after another */
  const queues = new Map<StubStagePeer, Promise<void>>()

  function post (peer: StubStagePeer, bytes: Uint8Array, from: string, subscriber?: Subscriber): void {
    const before = queues.get(peer) ?? Promise.resolve()
    queues.set(peer, before.then(async () => await receive(peer, decodeFrame(bytes), from, subscriber)))
  }

  return {
    peers,
    get clientHiddenBytes () {
      return clientHiddenBytes
    },
    add (peerId, ...ranges) {
      const peer: StubStagePeer = { peerId, ranges, alive: true, frozen: false, steps: 0, refusals: 0, sessions: new Map() }
      peers.set(peerId, peer)
      return peer
    },
    records: () => [...peers.values()].map(({ peerId, ranges }) => ({ peerId, addresses: [], ranges: ranges.map(range => ({ range, state: 'serving' as const })) })),
    kill,
    cut (one, other) {
      cuts.add(pair(one, other))
      neighboursLost(one, other)
      neighboursLost(other, one)
    },
    mend (one, other) {
      cuts.delete(pair(one, other))
    },
    links: {
      stopped: new AbortController().signal,
      async subscribe (peerId, session, subscriber) {
        const peer = peers.get(peerId)
        if (peer?.alive !== true) throw new Error(`peer ${peerId} cannot be reached`)
        const link: Link = {
          peer: peerId,
          protocol: '',
          remoteAddress: '',
          get closed () { return !peer.alive },
          queuedBytes: 0,
          send (init) {
            const bytes = encodeFrame(init)
            clientHiddenBytes += init.hidden?.byteLength ?? 0
            post(peer, bytes, 'client', subscriber)
          },
          onDrain: () => {},
          close: async () => {},
          abort: () => {}
        }
        return { link, release: () => {} }
      },
      stop: async () => {}
    }
  }
}

function join (rows: Float32Array[]): Float32Array {
  const result = new Float32Array(rows.length * STUB_ARCHITECTURE.hiddenSize)
  for (const [index, row] of rows.entries()) result.set(row, index * STUB_ARCHITECTURE.hiddenSize)
  return result
}

/** A session id like any other. */
export function sessionId (): string {
  return randomBytes(16).toString('hex')
}
