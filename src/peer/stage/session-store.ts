import type { Logger } from '@libp2p/interface'
import type { Engine } from '../../engine/index.ts'
import { engineQueue } from '../engine-queue.ts'
import { prefixCache } from '../prefix-cache.ts'
import type { PeerEvent, PeerLimits } from '../types.ts'
import { ErrorCode, Kind } from '../wire/index.ts'
import { chooseEviction } from './eviction.ts'
import { errorRecord } from './replies.ts'
import type { Failure } from './replies.ts'
import type { StageSession } from './stage-session.ts'

export interface SessionStoreInit {
  engine: Engine
  limits: PeerLimits
  self: string
  log: Logger
  onEvent?: (event: PeerEvent) => void
}

/** The sessions a stage holds, and how they end. */
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
  /** `keep`: what it holds may serve another session of its client */
  remove (session: StageSession, why: string, options?: { keep?: boolean }): void
  /**
   * Tries what may lack KV cache; for it kept sessions are closed, then idle
   * ones ended, but not the one that asks. Throws KeyValueBudgetError, SessionLimitError.
   */
  withRoom<T> (attempt: () => T, asking?: StageSession): T
  /** called for each session before its memory is freed */
  onRemove (listener: (session: StageSession) => void): void
  stop (): void
}

export function createSessionStore (init: SessionStoreInit): SessionStore {
  const { engine, limits, self, log } = init
  const queue = engineQueue(engine)
  const cache = prefixCache(engine)
  const sessions = new Map<string, StageSession>()
  const listeners: Array<(session: StageSession) => void> = []

  const sweep = setInterval(() => {
    const limit = performance.now() - limits.sessionIdleMilliseconds
    for (const session of sessions.values()) {
      if (session.lastActivity < limit) store.fail(session, { code: ErrorCode.expired, message: `no step for ${limits.sessionIdleMilliseconds / 1000} s` })
    }
  }, Math.max(20, Math.min(limits.sessionIdleMilliseconds / 4, 15_000)))
  sweep.unref()

  /** Ends the session that is idle longest, if that may help. */
  function evict (lacking: number, asking: StageSession | undefined): boolean {
    const now = performance.now()
    const idle = [...sessions.values()].filter(session => session !== asking && session.pending.size === 0 && now - session.lastActivity >= limits.evictIdleMilliseconds)
    const victim = chooseEviction(idle.map(session => ({ session, lastActivity: session.lastActivity, positions: Math.max(session.promised, engine.sessionLength(session.named.engineSession)) })), lacking)
    if (victim === undefined) return false
    store.fail(victim.session, { code: ErrorCode.evicted, message: `evicted after ${Math.round((now - victim.lastActivity) / 1000)} s idle, because its KV cache was wanted` })
    return true
  }

  const store: SessionStore = {
    get size () {
      return sessions.size
    },
    get: id => sessions.get(id),
    all: () => [...sessions.values()],
    countOf: client => [...sessions.values()].filter(session => session.client === client).length,
    add (session) {
      sessions.set(session.id, session)
      cache.add(session.named)
      init.onEvent?.({ type: 'peer:session-open', session: session.id, client: session.client, sessions: sessions.size })
    },
    tell (session, failure, sequence = 0) {
      log('session %s: %s', session.id, failure.message)
      const record = errorRecord({ stage: session.stage, peer: self, ...failure })
      session.clientLink.send({ kind: Kind.error, session: session.id, epoch: session.epoch, sequence, record })
    },
    fail (session, failure, sequence) {
      if (session.closed) return
      store.tell(session, { retryable: true, ...failure, sessionLost: true }, sequence)
      store.remove(session, failure.message)
    },
    remove (session, why, { keep = false } = {}) {
      if (session.closed) return
      session.closed = true
      sessions.delete(session.id)
      clearTimeout(session.openTimer)
      for (const listener of listeners) listener(session)
      session.subscription?.release()
      cache.remove(session.named)
      const { engineSession } = session.named
      queue.afterRun(engineSession, () => {
        if (keep) cache.keep(session.named, limits.keptSessionsPerClient)
        else engine.closeSession(engineSession)
      })
      init.onEvent?.({ type: 'peer:session-close', session: session.id, client: session.client, sessions: sessions.size, reason: why })
    },
    withRoom: (attempt, asking) => cache.withRoom(attempt, error => evict(error.needed - error.free, asking)),
    onRemove (listener) {
      listeners.push(listener)
    },
    stop () {
      clearInterval(sweep)
      for (const session of store.all()) store.fail(session, { code: ErrorCode.stopping, message: 'the peer is stopping' })
      cache.clear()
    }
  }
  return store
}
