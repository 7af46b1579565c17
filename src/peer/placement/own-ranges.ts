import type { Logger } from '@libp2p/interface'
import { sameRange } from '../../engine/index.ts'
import type { Engine } from '../../engine/index.ts'
import type { UnitRange } from '../../model/index.ts'
import type { HostedRange as PlacedRange } from '../../partition/index.ts'
import type { DrainOptions, HostedRange, ModelIdentity, PeerNode } from '../types.ts'
import type { PlacementEvent, RangeLoader } from './types.ts'

export interface OwnRangesInit {
  node: Pick<PeerNode, 'host'>
  model: ModelIdentity
  loader: RangeLoader
  /** awaited between loading and serving, while the engine does nothing else; what it throws is a failed load */
  measure: (engine: Engine, options: { signal: AbortSignal }) => Promise<void>
  /** what is hosted has changed by itself */
  onChange: () => void
  onEvent: (event: PlacementEvent) => void
  log: Pick<Logger, 'error'>
}

/** Ranges of the own node, as the planner has them loaded, drained and dropped. Every call returns at once. */
export interface OwnRanges {
  readonly hosted: PlacedRange[]
  /** that take memory, or are about to */
  readonly inMemory: UnitRange[]
  load (range: UnitRange, into: 'memory' | 'disk'): void
  /** serves again what drains */
  resume (range: UnitRange): void
  drain (range: UnitRange, milliseconds?: number): void
  drop (range: UnitRange): void
  /** drops everything, what is served after it has been drained; never throws */
  stop (options?: DrainOptions): Promise<void>
}

interface Entry extends PlacedRange {
  /** it is dropped */
  readonly dropped: AbortController
  into: 'memory' | 'disk'
  /** the load; never rejects */
  work: Promise<void>
  engine?: Engine
  hosted?: HostedRange
  /** ends the drain that is under way */
  drain?: AbortController
}

export function createOwnRanges (init: OwnRangesInit): OwnRanges {
  const { node, model, loader, onChange, onEvent, log } = init
  const entries: Entry[] = []
  /** of ranges that were dropped: their memory is not free before; none rejects */
  const removals = new Set<Promise<void>>()

  const find = (range: UnitRange): Entry | undefined => entries.find(entry => sameRange(entry.range, range))

  function become (entry: Entry, state: PlacedRange['state']): void {
    entry.state = state
    onChange()
  }

  async function bring (entry: Entry): Promise<void> {
    const { range, dropped: { signal } } = entry
    try {
      await loader.fetch(range, { signal })
      signal.throwIfAborted()
      if (entry.into === 'disk') {
        onEvent({ type: 'placement:stored', range })
        return become(entry, 'stored')
      }
      await Promise.all(removals)
      signal.throwIfAborted()
      entry.engine = await loader.load(range, { signal })
      signal.throwIfAborted()
      await init.measure(entry.engine, { signal })
      signal.throwIfAborted()
      entry.hosted = node.host({ engine: entry.engine, model })
      onEvent({ type: 'placement:serve', range })
      become(entry, 'serving')
    } catch (error) {
      await release(entry)
      if (signal.aborted) return
      log.error('units %d:%d could not be loaded: %e', range.from, range.to, error)
      onEvent({ type: 'placement:failed', range, error: error instanceof Error ? error : new Error(String(error)) })
      become(entry, 'failed')
    }
  }

  /** Gives back what the entry has; never throws. */
  async function release (entry: Entry): Promise<void> {
    const { engine, hosted } = entry
    entry.engine = entry.hosted = undefined
    try {
      await hosted?.remove()
      await engine?.stop()
    } catch (error) {
      log.error('units %d:%d could not be given back: %e', entry.range.from, entry.range.to, error)
    }
  }

  async function remove (entry: Entry): Promise<void> {
    entry.dropped.abort()
    entry.drain?.abort()
    await entry.work
    await release(entry)
  }

  return {
    get hosted () {
      return entries.map(({ range, state }) => ({ range, state }))
    },
    get inMemory () {
      return entries.filter(({ into, state }) => into === 'memory' && state !== 'failed').map(({ range }) => range)
    },
    load (range, into) {
      let entry = find(range)
      // its files may be here already
      if (entry !== undefined && entry.state !== 'stored' && entry.state !== 'failed') return
      if (entry === undefined) {
        entry = { range, state: 'loading', dropped: new AbortController(), into, work: Promise.resolve() }
        entries.push(entry)
      }
      entry.into = into
      entry.state = 'loading'
      onEvent({ type: 'placement:load', range, into })
      entry.work = bring(entry)
    },
    resume (range) {
      const entry = find(range)
      if (entry?.state !== 'draining' && entry?.state !== 'drained') return
      entry.drain?.abort()
      entry.drain = undefined
      entry.hosted?.resume()
      become(entry, 'serving')
    },
    drain (range, milliseconds) {
      const entry = find(range)
      if (entry?.hosted === undefined || entry.state !== 'serving') return
      const { hosted } = entry
      const drain = entry.drain = new AbortController()
      onEvent({ type: 'placement:drain', range, sessions: hosted.sessions })
      hosted.drain({ milliseconds, signal: drain.signal })
        // what is left of its sessions ends with the range
        .catch(error => { if (!drain.signal.aborted) log.error('units %d:%d could not be drained: %e', range.from, range.to, error) })
        .finally(() => { if (!drain.signal.aborted) become(entry, 'drained') })
      become(entry, 'draining')
    },
    drop (range) {
      const entry = find(range)
      if (entry === undefined) return
      entries.splice(entries.indexOf(entry), 1)
      onEvent({ type: 'placement:drop', range })
      const removal = remove(entry).finally(() => removals.delete(removal))
      removals.add(removal)
      onChange()
    },
    async stop (options = {}) {
      await Promise.all(entries.splice(0).map(async entry => {
        entry.dropped.abort()
        entry.drain?.abort()
        // after an abort nobody is waited for
        await entry.hosted?.drain(options).catch(() => {})
        await remove(entry)
      }))
      await Promise.all(removals)
    }
  }
}
