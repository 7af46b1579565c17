import type { Engine } from '../../engine/index.ts'
import { CLIENT_KEPT_BYTES, DEFAULT_LIMITS, MAXIMUM_ROWS } from '../constants.ts'
import { engineQueue } from '../engine-queue.ts'
import type { EngineJob } from '../engine-queue.ts'
import { SessionClosedError, StageFailedError } from '../errors.ts'
import { prefixCache } from '../prefix-cache.ts'
import type { UnitRange } from '../../model/index.ts'
import { createKeptRows } from './kept-rows.ts'
import { createNaming } from './naming.ts'
import type { Naming, NamingInit } from './naming.ts'
import type { Segment } from './segment.ts'

/** What a local stage is in a route. */
export interface LocalPlace {
  /** from 1 */
  stage: number
  /** how its positions are named; absent where nothing is shared */
  naming?: Omit<NamingInit, 'names'>
  /** the next stage is a remote one, which may have to be replaced: its inputs are kept */
  keeps: boolean
}

export interface LocalSegmentInit extends LocalPlace {
  engine: Engine
  /** units that it runs */
  range: UnitRange
  /** positions to be promised; default: as many as the model allows, none of them promised */
  capacity?: number
}

/** A stage of this machine: the engine without a wire. It stays part of a session while other stages change. */
export interface LocalSegment extends Segment {
  readonly engine: Engine
  /** positions that it holds */
  readonly held: number
  /** Begins another route, in which this stage may have another number and other stages before it. */
  enter (place: LocalPlace): void
  /** never throws */
  close (): Promise<void>
}

/** Throws what `openSession` throws. */
export function createLocalSegment ({ engine, range, capacity, ...first }: LocalSegmentInit): LocalSegment {
  const { architecture } = engine
  const queue = engineQueue(engine)
  const cache = prefixCache(engine)
  const names: string[] = []
  let place = first
  let naming: Naming | undefined = first.naming && createNaming({ ...first.naming, names })
  const { session, held } = cache.withRoom(() => {
    const prefix = naming === undefined ? undefined : cache.find('', names, range)
    return { session: engine.openSession({ capacity, prefix, range }), held: prefix?.length ?? 0 }
  })
  naming?.cut(held)
  const named = { owner: '', engineSession: session, names }
  cache.add(named)
  const hostsHead = range.to === architecture.layerCount + 2
  const kept = createKeptRows(architecture.hiddenSize, CLIENT_KEPT_BYTES)
  const waiting = new Map<EngineJob, { sequence: number, reject: (error: Error) => void }>()
  let closed = false

  const here = (): { stage: number, range: UnitRange, local: true } => ({ stage: place.stage, range, local: true })

  return {
    engine,
    get held () {
      return engine.sessionLength(session)
    },
    get stages () {
      return [here()]
    },
    grant: { capacity: capacity ?? architecture.contextLength, window: DEFAULT_LIMITS.window, rowsPerStep: MAXIMUM_ROWS },
    get states () {
      const held = engine.sessionLength(session)
      return [{ held, kept: place.keeps ? Math.min(held, kept.length) : 0 }]
    },
    enter (next) {
      place = next
      names.length = 0
      naming = next.naming && createNaming({ ...next.naming, names })
    },
    async process (chunk) {
      if (closed) throw new SessionClosedError()
      return await new Promise((resolve, reject) => {
        const job: EngineJob = {
          item: { session, position: chunk.position, tokens: chunk.tokens, hidden: chunk.hidden, outputs: hostsHead ? chunk.outputs : undefined },
          rows: chunk.rows,
          client: '',
          done: result => {
            waiting.delete(job)
            if (place.keeps && result.hidden !== undefined) kept.write(chunk.position, result.hidden)
            resolve({ hidden: result.hidden, results: hostsHead ? result.rows ?? [] : undefined, spans: [result.milliseconds] })
          },
          failed: error => {
            // it was cancelled while it ran
            if (!waiting.delete(job)) return
            reject(new StageFailedError(here(), (error as Error).message, { cause: error }))
            // the chunks behind it were meant for positions that are not there now
            for (const [other, { reject }] of waiting) {
              queue.cancel(session, candidate => candidate === other)
              reject(new SessionClosedError(error))
            }
            waiting.clear()
          }
        }
        try {
          cache.withRoom(() => engine.reserve(session, chunk.position, chunk.position + chunk.rows))
        } catch (error) {
          const { message, retryable } = error as Error & { retryable?: boolean }
          return reject(new StageFailedError(here(), message, { retryable, cause: error }))
        }
        naming?.cut(chunk.position)
        kept.cut(chunk.position)
        waiting.set(job, { sequence: chunk.sequence, reject })
        queue.submit(job)
      })
    },
    async replay ({ position, rows }) {
      return { hidden: kept.read(position, rows), spans: [] }
    },
    async cancel (sequence) {
      for (const [job, entry] of waiting) {
        if (entry.sequence >= sequence) continue
        waiting.delete(job)
        queue.cancel(session, candidate => candidate === job)
        entry.reject(new SessionClosedError())
      }
      // a chunk that runs already leaves positions behind; the next one's first position removes them
      await new Promise<void>(resolve => queue.afterRun(session, resolve))
    },
    async truncate (_sequence, length) {
      naming?.cut(length)
      kept.cut(length)
      await new Promise<void>((resolve, reject) => queue.afterRun(session, () => {
        try {
          if (length < engine.sessionLength(session)) engine.truncate(session, length)
          resolve()
        } catch (error) {
          reject(error instanceof Error ? error : new Error(String(error)))
        }
      }))
    },
    name (_sequence, ids, changed) {
      naming?.update(ids, changed)
    },
    async close () {
      if (closed) return
      closed = true
      queue.cancel(session)
      for (const { reject } of waiting.values()) reject(new SessionClosedError())
      waiting.clear()
      cache.remove(named)
      await new Promise<void>(resolve => queue.afterRun(session, () => {
        if (named.names.length > 0) cache.keep(named, DEFAULT_LIMITS.keptSessionsPerClient)
        else engine.closeSession(session)
        resolve()
      }))
    }
  }
}
