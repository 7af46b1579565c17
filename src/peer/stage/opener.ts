import { randomBytes } from 'node:crypto'
import { sameRange } from '../../engine/index.ts'
import { MAXIMUM_OPEN_MILLISECONDS, PREFIX_STRIDE } from '../constants.ts'
import type { Link } from '../link.ts'
import type { ModelIdentity, PeerLimits } from '../types.ts'
import { decodeOpen, encodeOpened, ErrorCode, Kind, NONCE_BYTES } from '../wire/index.ts'
import type { Frame, OpenRecord } from '../wire/index.ts'
import type { KeptOutputs } from './history/index.ts'
import { chooseHost } from './host.ts'
import type { Host } from './host.ts'
import { refuse, reply } from './replies.ts'
import type { Failure } from './replies.ts'
import type { SessionStore } from './session-store.ts'
import { complete, controlledBy, cutNames } from './stage-session.ts'
import type { Binding, StageSession } from './stage-session.ts'

export interface OpenerInit {
  hosts: readonly Host[]
  model: ModelIdentity
  limits: PeerLimits
  self: string
  rowsPerStep: number
  store: SessionStore
  kept: KeptOutputs
}

/** Takes sessions, and binds those that it has to other neighbours: docs/protocol.md, Opening a route. */
export interface Opener {
  open (link: Link, frame: Frame): void
  /** to be called when a neighbour has come: a session that has both is no longer being opened */
  settle (session: StageSession): void
}

export function createOpener (init: OpenerInit): Opener {
  const { hosts, model, limits, self, store, kept, rowsPerStep } = init
  const { architecture } = model.manifest
  const contextLength = Math.min(limits.contextLength, architecture.contextLength)

  function open (link: Link, frame: Frame): void {
    const record = decodeOpen(frame.record!)
    const here = { stage: record.stage, peer: self }
    const present = store.get(frame.session)
    if (present !== undefined && (!controlledBy(present, link) || frame.epoch <= present.binding.epoch)) return refuse(link, frame, { code: ErrorCode.busy, message: 'the session id is in use', retryable: true, ...here })
    const problem = openProblem(link, record)
    if (problem !== undefined) return refuse(link, frame, { ...here, ...problem })
    const moves = present !== undefined && !sameRange(present.range, record.range)
    let session = moves ? undefined : present
    if (session === undefined) {
      const host = chooseHost(hosts, record.range)
      const problem = placeProblem(record, host) ?? (moves ? undefined : roomProblem(link))
      if (problem !== undefined) return refuse(link, frame, { ...here, ...problem })
      if (moves) store.remove(present!, 'opened anew with another range', { keep: true })
      try {
        session = newSession(host!, link, frame, record)
      } catch (error) {
        return refuse(link, frame, { code: ErrorCode.capacity, message: (error as Error).message, retryable: true, ...here })
      }
      store.add(session)
    } else {
      store.unbind(session)
      // what it holds was computed from another upstream's results
      cutNames(session, 0)
      session.formerUpstreamLink = session.binding.upstreamLink ?? session.formerUpstreamLink
      session.lastActivity = performance.now()
      session.binding = newBinding(link, frame, record)
    }
    armTimer(session, frame.deadline)
    const held = Math.min(session.expectedLength, session.host.engine.sessionLength(session.named.engineSession))
    reply(link, frame, {
      kind: Kind.opened,
      record: encodeOpened({ nonce: session.binding.nonce!, window: limits.window, rowsPerStep, capacity: session.capacity, held, kept: Math.min(held, session.history?.length ?? 0) })
    })
  }

  function newBinding (link: Link, { epoch }: Frame, { stage, stages, upstream, downstream }: OpenRecord): Binding {
    const nonce = randomBytes(NONCE_BYTES)
    return {
      epoch,
      stage,
      stages,
      upstream,
      downstream,
      nonce,
      takeNonce: nonce,
      upstreamLink: upstream === link.peer ? link : undefined,
      downstreamLink: downstream === link.peer ? link : undefined,
      over: new AbortController()
    }
  }

  /** Throws KeyValueBudgetError, SessionLimitError. */
  function newSession (host: Host, link: Link, frame: Frame, record: OpenRecord): StageSession {
    const { engine, cache, histories } = host
    const { range } = record
    const owner = link.peer
    const capacity = record.capacity === 0 ? contextLength : record.capacity
    const wanted = limits.keptSessionsPerClient === 0 ? [] : record.prefix.slice(0, Math.floor(capacity / PREFIX_STRIDE))
    const { engineSession, prefix } = store.withRoom(host, () => {
      const prefix = cache.find(owner, wanted, range)
      return { engineSession: engine.openSession({ capacity: record.capacity === 0 ? undefined : record.capacity, prefix, range }), prefix }
    })
    const held = prefix?.length ?? 0
    const hostsHead = range.to === architecture.layerCount + 2
    const source = prefix === undefined ? undefined : histories.get(prefix.session)
    const history = hostsHead ? undefined : kept.open(source && { history: source, length: held })
    return {
      id: frame.session,
      client: link.peer,
      clientLink: link,
      host,
      range,
      takesTokens: range.from === 0,
      hostsHead,
      named: {
        owner,
        engineSession,
        names: wanted.slice(0, held / PREFIX_STRIDE),
        onClosed: () => {
          history?.close()
          histories.delete(engineSession)
        }
      },
      history,
      capacity,
      promised: record.capacity,
      binding: newBinding(link, frame, record),
      established: false,
      pending: new Map(),
      replays: [],
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
    if (record.modelId !== model.modelId) return { code: ErrorCode.model, message: `it hosts model ${model.modelId.slice(0, 12)}…, not ${record.modelId.slice(0, 12)}…` }
    if (record.upstream === self || record.downstream === self) return { code: ErrorCode.range, message: 'it cannot be its own neighbour' }
    const first = record.stage === 1
    const last = record.stage === record.stages
    if ((first && record.upstream !== link.peer) || (last && record.downstream !== link.peer)) return { code: ErrorCode.range, message: 'the client is the neighbour of the first and of the last stage' }
    return undefined
  }

  function placeProblem ({ range: { from, to }, capacity }: OpenRecord, host: Host | undefined): Failure | undefined {
    if (hosts.length === 0) return { code: ErrorCode.notServing, message: 'it hosts nothing' }
    if (host === undefined) return { code: ErrorCode.range, message: `it hosts units ${hosts.map(({ engine: { range } }) => `${range.from}:${range.to}`).join(', ')}, not ${from}:${to}` }
    if (host.state !== 'serving') return { code: ErrorCode.draining, message: `it is about to stop hosting units ${from}:${to}`, retryable: true }
    if (capacity > contextLength) return { code: ErrorCode.capacity, message: `a session of ${capacity} positions, ${contextLength} are allowed` }
    return undefined
  }

  function roomProblem (link: Link): Failure | undefined {
    if (store.countOf(link.peer) >= limits.sessionsPerClient) return { code: ErrorCode.busy, message: `a client may have ${limits.sessionsPerClient} sessions`, retryable: true }
    if (store.size >= limits.sessions && !store.makePlace(link.peer)) return { code: ErrorCode.busy, message: `all ${limits.sessions} sessions are taken`, retryable: true }
    return undefined
  }

  function armTimer (session: StageSession, deadline: number): void {
    clearTimeout(session.timer)
    if (complete(session.binding)) return settle(session)
    const milliseconds = openMilliseconds(deadline)
    session.timer = setTimeout(() => {
      const failure = { code: ErrorCode.expired, message: `the route was not complete after ${milliseconds} ms` }
      // its client may still bind what it has to other neighbours
      if (session.established) store.park(session, failure)
      else store.fail(session, failure)
    }, milliseconds)
  }

  function settle (session: StageSession): void {
    if (!complete(session.binding)) return
    clearTimeout(session.timer)
    session.established = true
  }

  return { open, settle }
}

/** How long an opening may take that asks for so much. */
export function openMilliseconds (deadline: number): number {
  return deadline === 0 ? MAXIMUM_OPEN_MILLISECONDS : Math.min(deadline, MAXIMUM_OPEN_MILLISECONDS)
}
