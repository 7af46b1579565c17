import { KeyValueBudgetError, sameRange, SessionLimitError } from '../engine/index.ts'
import type { Engine } from '../engine/index.ts'
import type { UnitRange } from '../model/index.ts'
import { KEEP_MILLISECONDS, PREFIX_STRIDE } from './constants.ts'

/** A session of an engine with the names of its first positions, PREFIX_STRIDE positions for each. */
export interface NamedSession {
  /** PeerId of its client, empty for this process; nobody else's sessions begin with its positions */
  readonly owner: string
  readonly engineSession: number
  /** changes as the session does */
  readonly names: string[]
  /** called when the cache has closed it for good */
  readonly onClosed?: () => void
}

export interface FoundPrefix {
  session: number
  length: number
}

/**
 * Sessions of an engine with which others can begin: those that are open, and
 * some that were closed. What is kept gives way, least recently used first, as
 * soon as its memory is wanted.
 */
export interface PrefixCache {
  /** an open session is found from now on */
  add (session: NamedSession): void
  remove (session: NamedSession): void
  /** takes over a session that its client has closed; it is closed for good at the latest after KEEP_MILLISECONDS without use */
  keep (session: NamedSession, limit: number): void
  /** the session of an owner that holds most of the positions with these names, among those that run the same units; default: all of the engine's */
  find (owner: string, names: readonly string[], range?: UnitRange): FoundPrefix | undefined
  /** closes all that is kept for an owner */
  drop (owner: string): void
  clear (): void
  /**
   * Tries what may lack KV cache again and again, as long as something can be
   * closed for it: first what is kept, then what `evict` finds, which says
   * whether it did. Throws KeyValueBudgetError, SessionLimitError.
   */
  withRoom<T> (attempt: () => T, evict?: (error: KeyValueBudgetError) => boolean): T
}

const caches = new WeakMap<Engine, PrefixCache>()

/** The cache of an engine; the same one for all callers. */
export function prefixCache (engine: Engine): PrefixCache {
  let cache = caches.get(engine)
  if (cache === undefined) {
    cache = createPrefixCache(engine)
    caches.set(engine, cache)
  }
  return cache
}

function createPrefixCache (engine: Engine): PrefixCache {
  const open = new Set<NamedSession>()
  /** least recently used first */
  const kept = new Map<NamedSession, NodeJS.Timeout>()

  function close (session: NamedSession): void {
    clearTimeout(kept.get(session))
    kept.delete(session)
    end(session)
  }

  function end (session: NamedSession): void {
    engine.closeSession(session.engineSession)
    session.onClosed?.()
  }

  /** Keeps a session as the last one used. */
  function touch (session: NamedSession): void {
    clearTimeout(kept.get(session))
    kept.delete(session)
    const timer = setTimeout(() => close(session), KEEP_MILLISECONDS)
    timer.unref()
    kept.set(session, timer)
  }

  const keptOf = (owner: string): NamedSession[] => [...kept.keys()].filter(session => session.owner === owner)
  const rangeOf = (session: NamedSession): UnitRange => engine.sessionRange(session.engineSession)

  /** Names that both have in common. Each stands for all that comes before it, so the last common one is looked for. */
  function common (session: NamedSession, names: readonly string[]): number {
    let count = Math.min(session.names.length, names.length, Math.floor(engine.sessionLength(session.engineSession) / PREFIX_STRIDE))
    while (count > 0 && session.names[count - 1] !== names[count - 1]) count--
    return count
  }

  const cache: PrefixCache = {
    add (session) {
      open.add(session)
    },
    remove (session) {
      open.delete(session)
    },
    keep (session, limit) {
      const { owner, engineSession, names } = session
      names.length = common(session, names)
      const range = rangeOf(session)
      // one that goes as far is there already
      if (limit === 0 || names.length === 0 || cache.find(owner, names, range)?.length === names.length * PREFIX_STRIDE) return end(session)
      for (const other of keptOf(owner)) if (sameRange(rangeOf(other), range) && common(other, names) === other.names.length) close(other)
      const others = keptOf(owner)
      for (const other of others.slice(0, Math.max(0, others.length - limit + 1))) close(other)
      engine.truncate(engineSession, names.length * PREFIX_STRIDE)
      engine.release(engineSession)
      touch(session)
    },
    find (owner, names, range = engine.range) {
      let best: NamedSession | undefined
      let most = 0
      for (const session of [...open, ...kept.keys()]) {
        const count = session.owner === owner && sameRange(rangeOf(session), range) ? common(session, names) : 0
        if (count <= most) continue
        most = count
        best = session
      }
      if (best === undefined) return undefined
      if (kept.has(best)) touch(best)
      return { session: best.engineSession, length: most * PREFIX_STRIDE }
    },
    drop (owner) {
      for (const session of keptOf(owner)) close(session)
    },
    clear () {
      for (const session of [...kept.keys()]) close(session)
    },
    withRoom (attempt, evict = () => false) {
      for (;;) {
        try {
          return attempt()
        } catch (error) {
          if (!(error instanceof KeyValueBudgetError || error instanceof SessionLimitError)) throw error
          const [oldest] = kept.keys()
          if (oldest !== undefined) close(oldest)
          else if (!(error instanceof KeyValueBudgetError && evict(error))) throw error
        }
      }
    }
  }
  return cache
}
