import type { Connection, Logger, Stream } from '@libp2p/interface'
import { MAXIMUM_FRAME_BYTES, MAXIMUM_OUTPUT_BYTES, PREFIX_STRIDE, SMALL_FRAME_BYTES } from '../constants.ts'
import { engineQueue } from '../engine-queue.ts'
import { createLink } from '../link.ts'
import type { Link } from '../link.ts'
import { prefixCache } from '../prefix-cache.ts'
import type { PeerEvent } from '../types.ts'
import { decodeName, encodeProbed, ErrorCode, Kind } from '../wire/index.ts'
import type { Frame } from '../wire/index.ts'
import { createOpener } from './opener.ts'
import type { OpenerInit } from './opener.ts'
import { refuseStranger, reply } from './replies.ts'
import { createSessionStore } from './session-store.ts'
import { controlledBy, cutNames, takesFrom } from './stage-session.ts'
import type { StageSession } from './stage-session.ts'
import { createStepRunner } from './step-runner.ts'

export interface StageServerInit extends OpenerInit {
  log: Logger
  onEvent?: (event: PeerEvent) => void
}

/** Serves sessions of other peers on one engine (docs/protocol.md, Stage). */
export interface StageServer {
  readonly sessions: number
  accept (stream: Stream, connection: Connection): void
  stop (): Promise<void>
}

/** Who may send what is decided here, by the stream a frame comes on; everything else is behind it. */
export function createStageServer (init: StageServerInit): StageServer {
  const { engine, limits, self, log } = init
  const queue = engineQueue(engine)
  const cache = prefixCache(engine)
  // a frame with hidden state must fit onward too
  const rowsPerStep = Math.max(1, Math.min(limits.rowsPerStep, Math.floor((MAXIMUM_FRAME_BYTES - MAXIMUM_OUTPUT_BYTES - SMALL_FRAME_BYTES) / (4 * engine.architecture.hiddenSize))))
  const store = createSessionStore(init)
  const steps = createStepRunner({ engine, limits, rowsPerStep, store })
  const opener = createOpener({ ...init, rowsPerStep, store, steps, onDownstream: watchDrain })
  const links = new Set<Link>()
  const watched = new WeakSet<Link>()
  let stopping = false

  function onFrame (frame: Frame, link: Link): void {
    const session = store.get(frame.session)
    switch (frame.kind) {
      case Kind.open: return opener.open(link, frame)
      case Kind.attach: return opener.attached(link, frame)
      case Kind.step:
        if (!takesFrom(session, link)) return refuseStranger(link, frame, self)
        if (frame.epoch === session.epoch) return steps.accept(session, frame)
        log('session %s: dropped a step of epoch %d', session.id, frame.epoch)
        return
    }
    if (controlledBy(session, link)) {
      if (frame.epoch === session.epoch) control(session, link, frame)
    } else if (frame.kind !== Kind.close && frame.kind !== Kind.name) {
      // these have no reply, and one that crosses our own error is no news
      refuseStranger(link, frame, self)
    }
  }

  function control (session: StageSession, link: Link, frame: Frame): void {
    switch (frame.kind) {
      case Kind.confirm: return orAbort(link, opener.confirm(session, link, frame))
      case Kind.connect: return orAbort(link, opener.connect(session, link, frame))
      case Kind.truncate: return truncate(session, link, frame)
      case Kind.cancel:
        cancelBelow(session, frame.sequence)
        return reply(link, frame, { kind: Kind.done })
      case Kind.name: return name(session, frame)
      case Kind.close: return store.remove(session, 'closed by the client', { keep: true })
      case Kind.probe:
        // a client that waits for an answer asks: the session is in use, if not here
        session.lastActivity = performance.now()
        return reply(link, frame, { kind: Kind.probed, record: encodeProbed({ received: session.lastSequence, finished: session.finishedSequence, queued: session.pending.size }) })
      default: throw new Error(`kind ${frame.kind} is not for a stage`)
    }
  }

  function cancelBelow (session: StageSession, sequence: number): void {
    session.lastActivity = performance.now()
    session.cancelledBelow = Math.max(session.cancelledBelow, sequence)
    steps.drop(session, sequence)
  }

  function truncate (session: StageSession, link: Link, frame: Frame): void {
    const { engineSession } = session.named
    cancelBelow(session, frame.sequence)
    cutNames(session, frame.position)
    queue.afterRun(engineSession, () => {
      if (session.closed) return
      if (frame.position < engine.sessionLength(engineSession)) engine.truncate(engineSession, frame.position)
      session.expectedLength = engine.sessionLength(engineSession)
      reply(link, frame, { kind: Kind.done })
    })
  }

  /** Steps and names come on different streams: what was replaced meanwhile, or has not come, is not named. */
  function name (session: StageSession, frame: Frame): void {
    const { first, names } = decodeName(frame.record!)
    const { named } = session
    const positions = (first + names.length) * PREFIX_STRIDE
    if (frame.sequence < session.rewrittenAt || first > named.names.length || positions > engine.sessionLength(named.engineSession)) return
    named.names.splice(first, Infinity, ...names)
  }

  /** The rest of a handler that goes on after its frame: its errors are the sender's too. */
  function orAbort (link: Link, promise: Promise<void>): void {
    promise.catch(error => link.abort(error as Error))
  }

  function onClose (link: Link): void {
    links.delete(link)
    for (const session of store.all()) {
      if (session.clientLink === link) store.remove(session, 'the client is gone')
      else if (session.upstreamLink === link) store.fail(session, { code: ErrorCode.peerLost, message: `stage ${session.stage} lost the connection from it`, stage: session.stage - 1, peer: session.upstream })
    }
    if (![...links].some(({ peer }) => peer === link.peer)) cache.drop(link.peer)
  }

  /** Steps that were held back because a stream was full can go on when it is empty. */
  function watchDrain (link: Link): void {
    if (watched.has(link)) return
    watched.add(link)
    link.onDrain(() => queue.kick())
  }

  return {
    get sessions () {
      return store.size
    },
    accept (stream, connection) {
      if (stopping) return stream.abort(new Error('the peer is stopping'))
      const link = createLink({
        stream,
        peer: connection.remotePeer.toString(),
        remoteAddress: connection.remoteAddr.toString(),
        cap: MAXIMUM_FRAME_BYTES,
        framesPerSecond: limits.framesPerSecond,
        log,
        handlers: { onFrame, onClose }
      })
      links.add(link)
      watchDrain(link)
    },
    async stop () {
      stopping = true
      store.stop()
      await Promise.all([...links].map(async link => await link.close()))
    }
  }
}
