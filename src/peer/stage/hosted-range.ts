import { DRAIN_MILLISECONDS } from '../constants.ts'
import type { DrainOptions, HostedRange } from '../types.ts'
import { ErrorCode } from '../wire/index.ts'
import type { Host } from './host.ts'
import type { SessionStore } from './session-store.ts'

export interface HostedRangeInit {
  host: Host
  /** of the node, while it is started */
  store: () => SessionStore | undefined
  /** its state has changed */
  onChange: () => void
  /** the host takes part no more */
  onRemove: () => void
}

/** How the owner of a node lets go of a range: docs/protocol.md, Leaving. */
export function createHostedRange ({ host, store, onChange, onRemove }: HostedRangeInit): HostedRange {
  let removal: Promise<void> | undefined
  let resumed = new AbortController()

  const isEmpty = (): boolean => host.sessions.size === 0

  async function empty (limit: AbortSignal | undefined): Promise<void> {
    if (isEmpty() || limit?.aborted === true) return
    const { promise, resolve } = Promise.withResolvers<void>()
    host.emptyListeners.add(resolve)
    limit?.addEventListener('abort', () => resolve(), { once: true })
    await promise
    host.emptyListeners.delete(resolve)
  }

  function end (message: string): void {
    for (const session of host.sessions) store()?.fail(session, { code: ErrorCode.stopping, message })
  }

  async function drain ({ milliseconds = DRAIN_MILLISECONDS, signal }: DrainOptions = {}): Promise<void> {
    signal?.throwIfAborted()
    if (host.state !== 'draining') {
      host.state = 'draining'
      onChange()
      for (const session of host.sessions) if (!session.closed) store()?.leave(session, milliseconds)
    }
    const over = new AbortController()
    const timer = setTimeout(() => over.abort(), milliseconds)
    const { signal: servesAgain } = resumed
    try {
      await empty(AbortSignal.any([over.signal, servesAgain, ...signal === undefined ? [] : [signal]]))
    } finally {
      clearTimeout(timer)
    }
    if (isEmpty() || servesAgain.aborted) return
    signal?.throwIfAborted()
    end(`the peer stops hosting these units, and the ${Math.round(milliseconds / 1000)} s to move the session are over`)
    await empty(undefined)
  }

  return {
    range: host.engine.range,
    get state () {
      return host.state
    },
    get sessions () {
      return [...host.sessions].filter(({ closed }) => !closed).length
    },
    drain,
    resume () {
      if (host.state !== 'draining' || removal !== undefined) return
      host.state = 'serving'
      resumed.abort()
      resumed = new AbortController()
      onChange()
    },
    async remove () {
      removal ??= (async () => {
        host.state = 'draining'
        onRemove()
        end('the peer hosts these units no longer')
        await empty(undefined)
        host.cache.clear()
      })()
      await removal
    }
  }
}
