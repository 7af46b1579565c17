import type { Logger } from '@libp2p/interface'
import { REBIND_MILLISECONDS, SUSPENDED_EVICT_MILLISECONDS, UNUSED_EVICT_MILLISECONDS } from '../constants.ts'
import type { PeerEvent, PeerLimits } from '../types.ts'
import { encodeLeaving, ErrorCode, Kind } from '../wire/index.ts'
import { chooseEviction, choosePlace } from './eviction.ts'
import type { Host } from './host.ts'
import { errorRecord } from './replies.ts'
import type { Failure } from './replies.ts'
import type { StageSession } from './stage-session.ts'

export interface SessionStoreInit {
  limits: PeerLimits
  self: string
  log: Logger
  onEvent?: (event: PeerEvent) => void
}

/** Why the other side of a hop is of no more use. */
export interface Loss {
  message: string
  /** the stage at fault and its PeerId */
  stage: number
  peer: string
}

/** The sessions a stage holds, and how they are suspended and end. */
export interface SessionStore {
  readonly size: number
  get (id: string): StageSession | undefined
  all (): StageSession[]
  countOf (client: string): number
  add (session: StageSession): void
  /** tells the client of a failure; by default this stage is at fault */
  tell (session: StageSession, failure: Failure, sequence?: number): void
  /** tells the client and ends the session; retryable unless the failure says otherwise */
  fail (session: StageSession, failure: Failure, sequence?: number): void
  /** a neighbour is lost: tells the client, lets go of both, and keeps the rest for a rebinding */
  suspend (session: StageSession, loss: Loss, sequence?: number): void
  /** suspends without a word, for a reason that the client knows better */
  park (session: StageSession, failure: Failure): void
  /** undoes the present binding: nothing that was begun for it goes on */
  unbind (session: StageSession): void
  /** tells the client of a session to take it elsewhere within this time */
  leave (session: StageSession, milliseconds: number): void
  /** `keep`: what it holds may serve another session of its client */
  remove (session: StageSession, why: string, options?: { keep?: boolean }): void
  /**
   * Tries what may lack KV cache of a host; for it kept sessions are closed, then idle
   * ones ended, but not the one that asks. Throws KeyValueBudgetError, SessionLimitError.
   */
  withRoom<T> (host: Host, attempt: () => T, asking?: StageSession): T
  /** ends an idle session of another client than this one, where all places are taken; false where nobody's is idle */
  makePlace (client: string): boolean
  /** called for each session whose binding ends: steps and replays of it must not go on */
  onUnbind (listener: (session: StageSession) => void): void
  stop (): void
}

export function createSessionStore (init: SessionStoreInit): SessionStore {
  const { limits, self, log } = init
  const sessions = new Map<string, StageSession>()
  const listeners: Array<(session: StageSession) => void> = []

  const sweep = setInterval(() => {
    const limit = performance.now() - limits.sessionIdleMilliseconds
    for (const session of sessions.values()) {
      if (session.lastActivity < limit) store.fail(session, { code: ErrorCode.expired, message: `no step for ${limits.sessionIdleMilliseconds / 1000} s` })
    }
  }, Math.max(20, Math.min(limits.sessionIdleMilliseconds / 4, 15_000)))
  sweep.unref()

  function isIdle (session: StageSession, now: number): boolean {
    const patience = session.binding.lost !== undefined ? SUSPENDED_EVICT_MILLISECONDS : session.lastSequence === 0 ? UNUSED_EVICT_MILLISECONDS : Infinity
    const least = Math.min(limits.evictIdleMilliseconds, patience)
    return !session.closed && session.pending.size === 0 && session.replays.length === 0 && session.taking === undefined && now - session.lastActivity >= least
  }

  /** Ends the session of a host that is idle longest, if that may help. */
  function evict ({ sessions, engine }: Host, lacking: number, asking: StageSession | undefined): boolean {
    const now = performance.now()
    const idle = [...sessions].filter(session => session !== asking && isIdle(session, now))
    const victim = chooseEviction(idle.map(session => ({ session, lastActivity: session.lastActivity, positions: Math.max(session.promised, engine.sessionLength(session.named.engineSession)) })), lacking)
    if (victim === undefined) return false
    end(victim.session, now, 'its KV cache')
    return true
  }

  function end (session: StageSession, now: number, wanted: string): void {
    store.fail(session, { code: ErrorCode.evicted, message: `evicted after ${Math.round((now - session.lastActivity) / 1000)} s idle, because ${wanted} was wanted` })
  }

  const store: SessionStore = {
    get size () {
      return sessions.size
    },
    get: id => sessions.get(id),
    all: () => [...sessions.values()],
    countOf: client => [...sessions.values()].filter(session => session.client === client).length,
    add (session) {
      const { id, client, host, named, history } = session
      sessions.set(id, session)
      host.sessions.add(session)
      host.cache.add(named)
      if (history !== undefined) host.histories.set(named.engineSession, history)
      init.onEvent?.({ type: 'peer:session-open', session: id, client, sessions: sessions.size })
    },
    tell (session, failure, sequence = 0) {
      log('session %s: %s', session.id, failure.message)
      const { stage, epoch } = session.binding
      const record = errorRecord({ stage, peer: self, ...failure })
      session.clientLink.send({ kind: Kind.error, session: session.id, epoch, sequence, record })
    },
    fail (session, failure, sequence) {
      if (session.closed) return
      store.tell(session, { retryable: true, ...failure, sessionLost: true }, sequence)
      store.remove(session, failure.message)
    },
    suspend (session, loss, sequence) {
      if (session.closed) return
      const failure = { ...loss, code: ErrorCode.peerLost, retryable: true, sessionLost: false }
      store.tell(session, failure, sequence)
      if (session.binding.lost !== undefined) return
      store.park(session, failure)
      init.onEvent?.({ type: 'peer:session-suspend', session: session.id, client: session.client, reason: loss.message })
    },
    park (session, failure) {
      session.binding.lost = failure
      session.lastActivity = performance.now()
      store.unbind(session)
      session.timer = setTimeout(() => store.fail(session, { code: ErrorCode.expired, message: `not bound anew within ${REBIND_MILLISECONDS / 1000} s: ${failure.message}` }), REBIND_MILLISECONDS)
      session.timer.unref()
    },
    unbind (session) {
      const { binding } = session
      clearTimeout(session.timer)
      binding.nonce = binding.takeNonce = undefined
      binding.over.abort()
      for (const listener of listeners) listener(session)
      binding.source?.subscription.release()
      binding.subscription?.release()
      // late steps of the upstream are told by its stream, which therefore stays
      binding.subscription = binding.downstreamLink = undefined
    },
    leave (session, milliseconds) {
      session.clientLink.send({ kind: Kind.leaving, session: session.id, epoch: session.binding.epoch, sequence: 0, record: encodeLeaving({ milliseconds }) })
    },
    remove (session, why, { keep = false } = {}) {
      if (session.closed) return
      session.closed = true
      const { id, client, host, named } = session
      sessions.delete(id)
      store.unbind(session)
      host.cache.remove(named)
      host.queue.afterRun(named.engineSession, () => {
        if (keep) {
          host.cache.keep(named, limits.keptSessionsPerClient)
        } else {
          host.engine.closeSession(named.engineSession)
          named.onClosed?.()
        }
        // only now is the engine done with it
        host.sessions.delete(session)
        if (host.sessions.size === 0) for (const listener of host.emptyListeners) listener()
      })
      init.onEvent?.({ type: 'peer:session-close', session: id, client, sessions: sessions.size, reason: why })
    },
    withRoom: (host, attempt, asking) => host.cache.withRoom(attempt, error => evict(host, error.needed - error.free, asking)),
    makePlace (client) {
      const now = performance.now()
      const victim = choosePlace(store.all().filter(session => isIdle(session, now)), client, store.countOf)
      if (victim === undefined) return false
      end(victim, now, 'its place')
      return true
    },
    onUnbind (listener) {
      listeners.push(listener)
    },
    stop () {
      clearInterval(sweep)
      for (const session of store.all()) store.fail(session, { code: ErrorCode.stopping, message: 'the peer is stopping' })
    }
  }
  return store
}
