import type { Connection, Logger, Stream } from '@libp2p/interface'
import { MAXIMUM_FRAME_BYTES, MAXIMUM_LINKS_PER_PEER, MAXIMUM_OUTPUT_BYTES, PREFIX_STRIDE, SMALL_FRAME_BYTES } from '../constants.ts'
import { createLink } from '../link.ts'
import type { Link } from '../link.ts'
import type { PeerEvent, PeerLimits } from '../types.ts'
import { decodeName, encodeProbed, Kind } from '../wire/index.ts'
import type { Frame } from '../wire/index.ts'
import { createArrivingBytes } from './arriving-bytes.ts'
import { createConnector } from './connector.ts'
import type { ConnectorInit } from './connector.ts'
import { createGiver } from './giver.ts'
import { CHUNK_POSITIONS, createKeptOutputs, createSpillFile } from './history/index.ts'
import type { Host } from './host.ts'
import { createOpener } from './opener.ts'
import { createOutputRoom } from './output-room.ts'
import { refuseStranger, reply } from './replies.ts'
import { createReplayer } from './replayer.ts'
import { createSessionStore } from './session-store.ts'
import type { SessionStore } from './session-store.ts'
import { controlledBy, cutNames, stepRole, upstreamOf } from './stage-session.ts'
import type { StageSession } from './stage-session.ts'
import { createStepRunner } from './step-runner.ts'
import { createTaker } from './taker.ts'

export interface StageServerInit extends ConnectorInit {
  /** what is hosted, now and later: the list changes */
  hosts: readonly Host[]
  limits: PeerLimits
  log: Logger
  onEvent?: (event: PeerEvent) => void
}

/** Serves sessions of other peers on the engines of this node (docs/protocol.md, Stage). */
export interface StageServer {
  readonly sessions: number
  /** steps that have arrived and not been passed on */
  readonly queuedSteps: number
  /** where the connections come from that sessions here depend on, as multiaddrs */
  readonly usedAddresses: ReadonlySet<string>
  readonly store: SessionStore
  accept (stream: Stream, connection: Connection): void
  stop (): Promise<void>
}

/** Who may send what is decided here, by the stream a frame comes on; everything else is behind it. */
export function createStageServer (init: StageServerInit): StageServer {
  const { hosts, model, limits, self, log } = init
  const { architecture } = model.manifest
  const { hiddenSize } = architecture
  // a frame with hidden state must fit onward too
  const rowsPerStep = Math.max(1, Math.min(limits.rowsPerStep, Math.floor((MAXIMUM_FRAME_BYTES - MAXIMUM_OUTPUT_BYTES - SMALL_FRAME_BYTES) / (4 * hiddenSize))))
  const spill = createSpillFile(4 * hiddenSize * CHUNK_POSITIONS)
  const kept = createKeptOutputs({
    rowSize: hiddenSize,
    memoryBytes: limits.keptBytes,
    diskBytes: limits.keptDiskBytes,
    spill,
    onDiskError: error => log.error('outputs of sessions are no longer kept on disk: %e', error)
  })
  const store = createSessionStore(init)
  const room = createOutputRoom()
  const giver = createGiver({ ...init, store, room })
  const taker = createTaker({ ...init, store })
  const arriving = createArrivingBytes(limits)
  // whatever this stage grants fits
  const largestFrame = Math.min(MAXIMUM_FRAME_BYTES, 4 * hiddenSize * rowsPerStep + MAXIMUM_OUTPUT_BYTES + SMALL_FRAME_BYTES)
  const steps = createStepRunner({ architecture, limits, rowsPerStep, store, room, onAdvance: session => taker.advance(session) })
  const replayer = createReplayer({ limits, rowsPerStep, hiddenSize, store, room })
  const opener = createOpener({ hosts, model, limits, self, rowsPerStep, store, kept })
  const connector = createConnector({
    ...init,
    store,
    onNeighbour: session => {
      if (session.binding.subscription !== undefined) room.watch(session.binding.subscription.link)
      opener.settle(session)
    }
  })
  room.onRoom(() => { for (const { queue } of hosts) queue.kick() })
  const links = new Set<Link>()
  let stopping = false

  function onFrame (frame: Frame, link: Link): void {
    const session = store.get(frame.session)
    switch (frame.kind) {
      case Kind.open: return opener.open(link, frame)
      case Kind.attach: return connector.attached(session, link, frame)
      case Kind.step: return step(session, link, frame)
      case Kind.fetch: return giver.fetch(session, link, frame)
    }
    if (controlledBy(session, link)) {
      if (frame.epoch === session.binding.epoch) control(session, link, frame)
    } else if (frame.kind !== Kind.close && frame.kind !== Kind.name) {
      // these have no reply, and one that crosses our own error is no news
      refuseStranger(link, frame, self)
    }
  }

  function step (session: StageSession | undefined, link: Link, frame: Frame): void {
    const role = stepRole(session, link, frame.epoch)
    if (role === 'upstream') steps.accept(session!, frame)
    else if (role === 'stranger') refuseStranger(link, frame, self)
    else log('session %s: dropped a step of epoch %d', frame.session, frame.epoch)
  }

  function control (session: StageSession, link: Link, frame: Frame): void {
    switch (frame.kind) {
      case Kind.confirm: return orAbort(link, connector.confirm(session, link, frame))
      case Kind.connect: return orAbort(link, connector.connect(session, link, frame))
      case Kind.truncate: return truncate(session, link, frame)
      case Kind.give: return orAbort(link, giver.give(session, link, frame))
      case Kind.take: return orAbort(link, taker.take(session, frame))
      case Kind.cancel:
        cancelBelow(session, frame.sequence)
        return reply(link, frame, { kind: Kind.done })
      case Kind.replay: return replayer.accept(session, frame)
      case Kind.name: return name(session, frame)
      case Kind.close: return store.remove(session, 'closed by the client', { keep: true })
      case Kind.probe:
        // a client that waits for an answer asks: the session is in use, if not here
        if (session.binding.lost === undefined) session.lastActivity = performance.now()
        return reply(link, frame, { kind: Kind.probed, record: encodeProbed({ received: session.lastSequence, finished: session.finishedSequence, queued: session.pending.size }) })
      default: throw new Error(`kind ${frame.kind} is not for a stage`)
    }
  }

  function cancelBelow (session: StageSession, sequence: number): void {
    session.lastActivity = performance.now()
    session.cancelledBelow = Math.max(session.cancelledBelow, sequence)
    steps.drop(session, sequence)
    replayer.drop(session, sequence)
    taker.cancel(session)
  }

  function truncate (session: StageSession, link: Link, frame: Frame): void {
    const { host: { engine, queue }, named: { engineSession } } = session
    cancelBelow(session, frame.sequence)
    cutNames(session, frame.position)
    session.history?.truncate(frame.position)
    session.expectedLength = Math.min(session.expectedLength, frame.position)
    queue.afterRun(engineSession, () => {
      if (session.closed) return
      if (frame.position < engine.sessionLength(engineSession)) engine.truncate(engineSession, frame.position)
      session.expectedLength = Math.min(session.expectedLength, engine.sessionLength(engineSession))
      reply(link, frame, { kind: Kind.done })
    })
  }

  /** Steps and names come on different streams: what was replaced meanwhile, or has not come, is not named. */
  function name (session: StageSession, frame: Frame): void {
    const { first, names } = decodeName(frame.record!)
    const { named } = session
    const positions = (first + names.length) * PREFIX_STRIDE
    const length = Math.min(session.expectedLength, session.host.engine.sessionLength(named.engineSession))
    if (frame.sequence < session.rewrittenAt || first > named.names.length || positions > length) return
    named.names.splice(first, Infinity, ...names)
  }

  /** The rest of a handler that goes on after its frame: its errors are the sender's too. */
  function orAbort (link: Link, promise: Promise<void>): void {
    promise.catch(error => link.abort(error as Error))
  }

  function onClose (link: Link): void {
    links.delete(link)
    arriving.hold(link, 0)
    for (const session of store.all()) {
      if (session.clientLink === link) store.remove(session, 'the client is gone')
      else if (session.binding.upstreamLink === link) store.suspend(session, { ...upstreamOf(session.binding), message: `stage ${session.binding.stage} lost the connection from it` })
    }
    if (linksOf(link.peer) === 0) for (const { cache } of hosts) cache.drop(link.peer)
  }

  const linksOf = (peer: string): number => [...links].filter(link => link.peer === peer).length

  return {
    get sessions () {
      return store.size
    },
    get queuedSteps () {
      return store.all().reduce((sum, { pending }) => sum + pending.size, 0)
    },
    get usedAddresses () {
      const links = store.all().flatMap(({ clientLink, binding: { upstreamLink, downstreamLink } }) => [clientLink, upstreamLink, downstreamLink])
      return new Set(links.flatMap(link => link === undefined ? [] : [link.remoteAddress]))
    },
    store,
    accept (stream, connection) {
      const peer = connection.remotePeer.toString()
      if (stopping) return stream.abort(new Error('the peer is stopping'))
      if (linksOf(peer) >= MAXIMUM_LINKS_PER_PEER) return stream.abort(new Error(`more than ${MAXIMUM_LINKS_PER_PEER} streams of one peer`))
      const link = createLink({
        stream,
        peer,
        remoteAddress: connection.remoteAddr.toString(),
        cap: largestFrame,
        framesPerSecond: limits.framesPerSecond,
        log,
        handlers: { onFrame, onHeld: (bytes, link) => arriving.hold(link, bytes), onClose }
      })
      links.add(link)
      room.watch(link)
    },
    async stop () {
      stopping = true
      store.stop()
      for (const { cache } of hosts) cache.clear()
      await Promise.all([...links].map(async link => await link.close()))
      await spill.close()
    }
  }
}
