import { randomBytes } from 'node:crypto'
import type { Connection } from '@libp2p/interface'
import type { Engine } from '../../engine/index.ts'
import { MAXIMUM_OPEN_MILLISECONDS, PREFIX_STRIDE } from '../constants.ts'
import type { Link } from '../link.ts'
import type { LinkPool } from '../link-pool.ts'
import { prefixCache } from '../prefix-cache.ts'
import type { ModelIdentity, PeerLimits } from '../types.ts'
import { decodeNonce, decodeOpen, encodeOpened, encodeSigned, encodeStatement, ErrorCode, Kind, NONCE_BYTES } from '../wire/index.ts'
import type { Frame, OpenRecord, Statement } from '../wire/index.ts'
import { refuse, refuseStranger, reply } from './replies.ts'
import type { Failure } from './replies.ts'
import type { SessionStore } from './session-store.ts'
import { controlledBy, cutNames } from './stage-session.ts'
import type { StageSession } from './stage-session.ts'
import type { StepRunner } from './step-runner.ts'
import { verifyConfirmation } from './verify-confirmation.ts'

export interface OpenerInit {
  engine: Engine
  model: ModelIdentity
  limits: PeerLimits
  self: string
  /** multiaddrs under which others reach this node, without `/p2p` */
  addresses: () => string[]
  sign: (bytes: Uint8Array) => Uint8Array | Promise<Uint8Array>
  links: LinkPool
  /** connects to a downstream that has confirmed; throws where the rules forbid it */
  connect: (statement: Statement, clientAddress: string, client: string, signal: AbortSignal) => Promise<Connection>
}

interface OpenerParts extends OpenerInit {
  rowsPerStep: number
  store: SessionStore
  steps: StepRunner
  /** called with each stream to a downstream, when a session begins to use it */
  onDownstream: (link: Link) => void
}

/** Makes a session ready for steps: docs/protocol.md, Opening a route. */
export interface Opener {
  open (link: Link, frame: Frame): void
  confirm (session: StageSession, link: Link, frame: Frame): Promise<void>
  connect (session: StageSession, link: Link, frame: Frame): Promise<void>
  /** the upstream's side of `connect` */
  attached (link: Link, frame: Frame): void
}

export function createOpener (init: OpenerParts): Opener {
  const { engine, model, limits, self, store, steps, rowsPerStep } = init
  const cache = prefixCache(engine)
  const contextLength = Math.min(limits.contextLength, engine.architecture.contextLength)

  function open (link: Link, frame: Frame): void {
    const record = decodeOpen(frame.record!)
    const here = { stage: record.stage, peer: self }
    const present = store.get(frame.session)
    if (present !== undefined && (!controlledBy(present, link) || frame.epoch <= present.epoch)) return refuse(link, frame, { code: ErrorCode.busy, message: 'the session id is in use', retryable: true, ...here })
    const problem = openProblem(link, record) ?? (present === undefined ? admissionProblem(link, record) : undefined)
    if (problem !== undefined) return refuse(link, frame, { ...here, ...problem })
    let session = present
    if (session === undefined) {
      try {
        session = newSession(link, frame, record)
      } catch (error) {
        return refuse(link, frame, { code: ErrorCode.capacity, message: (error as Error).message, retryable: true, ...here })
      }
      store.add(session)
    } else {
      steps.drop(session, Infinity)
      session.subscription?.release()
      // what it holds was computed from another upstream's results
      cutNames(session, 0)
      const { stage, stages, upstream, downstream } = record
      Object.assign(session, { epoch: frame.epoch, stage, stages, upstream, downstream, subscription: undefined })
    }
    session.nonce = randomBytes(NONCE_BYTES)
    session.upstreamLink = record.upstream === link.peer ? link : undefined
    session.downstreamLink = record.downstream === link.peer ? link : undefined
    armTimer(session, frame.deadline)
    reply(link, frame, { kind: Kind.opened, record: encodeOpened({ nonce: session.nonce, window: limits.window, rowsPerStep, capacity: session.capacity, held: session.expectedLength, kept: 0 }) })
  }

  /** Throws KeyValueBudgetError, SessionLimitError. */
  function newSession (link: Link, frame: Frame, record: OpenRecord): StageSession {
    const { stage, stages, upstream, downstream } = record
    const owner = link.peer
    const capacity = record.capacity === 0 ? contextLength : record.capacity
    const wanted = limits.keptSessionsPerClient === 0 ? [] : record.prefix.slice(0, Math.floor(capacity / PREFIX_STRIDE))
    const { engineSession, held } = store.withRoom(() => {
      const prefix = cache.find(owner, wanted)
      return { engineSession: engine.openSession({ capacity: record.capacity === 0 ? undefined : record.capacity, prefix }), held: prefix?.length ?? 0 }
    })
    return {
      id: frame.session,
      client: link.peer,
      clientLink: link,
      named: { owner, engineSession, names: wanted.slice(0, held / PREFIX_STRIDE) },
      capacity,
      promised: record.capacity,
      epoch: frame.epoch,
      stage,
      stages,
      upstream,
      downstream,
      pending: new Map(),
      expectedLength: held,
      lastSequence: 0,
      finishedSequence: 0,
      cancelledBelow: 0,
      rewrittenAt: 0,
      lastActivity: performance.now(),
      closed: false
    }
  }

  function openProblem (link: Link, record: OpenRecord): Failure | undefined {
    const { from, to } = engine.range
    if (record.modelId !== model.modelId) return { code: ErrorCode.model, message: `it hosts model ${model.modelId.slice(0, 12)}…, not ${record.modelId.slice(0, 12)}…` }
    if (record.range.from !== from || record.range.to !== to) return { code: ErrorCode.range, message: `it hosts units ${from}:${to} and runs only all of them, not ${record.range.from}:${record.range.to}` }
    if (record.upstream === self || record.downstream === self) return { code: ErrorCode.range, message: 'it cannot be its own neighbour' }
    const first = record.stage === 1
    const last = record.stage === record.stages
    if ((first && record.upstream !== link.peer) || (last && record.downstream !== link.peer)) return { code: ErrorCode.range, message: 'the client is the neighbour of the first and of the last stage' }
    return undefined
  }

  function admissionProblem (link: Link, record: OpenRecord): Failure | undefined {
    if (record.capacity > contextLength) return { code: ErrorCode.capacity, message: `a session of ${record.capacity} positions, ${contextLength} are allowed` }
    if (store.size >= limits.sessions) return { code: ErrorCode.busy, message: `all ${limits.sessions} sessions are taken`, retryable: true }
    if (store.countOf(link.peer) >= limits.sessionsPerClient) return { code: ErrorCode.busy, message: `a client may have ${limits.sessionsPerClient} sessions`, retryable: true }
    return undefined
  }

  const openMilliseconds = (deadline: number): number => deadline === 0 ? MAXIMUM_OPEN_MILLISECONDS : Math.min(deadline, MAXIMUM_OPEN_MILLISECONDS)
  const complete = (session: StageSession): boolean => session.upstreamLink !== undefined && session.downstreamLink !== undefined

  function armTimer (session: StageSession, deadline: number): void {
    clearTimeout(session.openTimer)
    if (complete(session)) return
    const milliseconds = openMilliseconds(deadline)
    session.openTimer = setTimeout(() => store.fail(session, { code: ErrorCode.expired, message: `the route was not complete after ${milliseconds} ms` }), milliseconds)
  }

  function settleTimer (session: StageSession): void {
    if (complete(session)) clearTimeout(session.openTimer)
  }

  async function confirm (session: StageSession, link: Link, frame: Frame): Promise<void> {
    const statement = encodeStatement({
      session: session.id,
      epoch: session.epoch,
      nonce: decodeNonce(frame.record!),
      client: session.client,
      upstream: session.upstream,
      downstream: self,
      modelId: model.modelId,
      range: engine.range,
      addresses: init.addresses()
    })
    reply(link, frame, { kind: Kind.confirmed, record: encodeSigned({ statement, signature: await init.sign(statement) }) })
  }

  async function connect (session: StageSession, link: Link, frame: Frame): Promise<void> {
    const { epoch, downstream, nonce } = session
    session.nonce = undefined
    let statement
    try {
      statement = await verifyConfirmation(frame.record!, { session: session.id, epoch, nonce, client: session.client, upstream: self, downstream, modelId: model.modelId, range: engine.range })
    } catch (error) {
      return refuse(link, frame, { code: ErrorCode.confirmation, message: `the confirmation of ${downstream} does not hold: ${(error as Error).message}`, sessionLost: true, stage: session.stage, peer: self })
    }
    try {
      await attach(session, statement, AbortSignal.timeout(openMilliseconds(frame.deadline)))
    } catch (error) {
      const { name, message } = error as Error
      const failure: Failure = name === 'DialRefusedError'
        ? { code: ErrorCode.dial, message, stage: session.stage, peer: self }
        : { code: ErrorCode.peerLost, message, retryable: true, stage: session.stage + 1, peer: downstream }
      return refuse(link, frame, { ...failure, sessionLost: true })
    }
    reply(link, frame, { kind: Kind.done })
  }

  async function attach (session: StageSession, statement: Statement, signal: AbortSignal): Promise<void> {
    const { epoch, downstream } = session
    const current = (): boolean => !session.closed && session.epoch === epoch
    const next = { code: ErrorCode.peerLost, stage: session.stage + 1, peer: downstream }
    const done = Promise.withResolvers<void>()
    done.promise.catch(() => {})
    signal.addEventListener('abort', () => done.reject(new Error('no answer in time')), { once: true })
    let waiting = true
    const subscription = await init.links.subscribe(downstream, session.id, {
      onFrame: frame => {
        if (frame.epoch !== epoch || !current()) return
        if (waiting && frame.kind === Kind.done) done.resolve()
        else if (waiting && frame.kind === Kind.error) done.reject(new Error('it does not know the session'))
        else if (frame.kind === Kind.error) store.fail(session, { ...next, message: 'it no longer holds the session' })
      },
      onClose: error => {
        done.reject(error ?? new Error('it closed the connection'))
        if (!waiting && current()) store.fail(session, { ...next, message: `stage ${session.stage} lost the connection to it` })
      }
    }, async signal => await init.connect(statement, session.clientLink.remoteAddress, session.client, signal), signal)
    try {
      if (current()) subscription.link.send({ kind: Kind.attach, session: session.id, epoch, sequence: 0 })
      else done.reject(new Error('the session has ended'))
      await done.promise
      if (!current()) throw new Error('the session has ended')
    } catch (error) {
      subscription.release()
      throw error
    }
    waiting = false
    session.subscription = subscription
    session.downstreamLink = subscription.link
    init.onDownstream(subscription.link)
    settleTimer(session)
  }

  function attached (link: Link, frame: Frame): void {
    const session = store.get(frame.session)
    const expected = session !== undefined && session.upstream === link.peer && session.upstream !== session.client && session.upstreamLink === undefined && session.epoch === frame.epoch
    if (!expected) return refuseStranger(link, frame, self)
    session.upstreamLink = link
    settleTimer(session)
    reply(link, frame, { kind: Kind.done })
  }

  return { open, confirm, connect, attached }
}
