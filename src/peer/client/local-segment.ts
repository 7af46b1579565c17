import type { Engine } from '../../engine/index.ts'
import { DEFAULT_LIMITS, MAXIMUM_ROWS } from '../constants.ts'
import { engineQueue } from '../engine-queue.ts'
import type { EngineJob } from '../engine-queue.ts'
import { SessionClosedError, StageFailedError } from '../errors.ts'
import { prefixCache } from '../prefix-cache.ts'
import { createPrefixNames, prefixSeed } from '../prefix-names.ts'
import type { Segment, Sharing } from './segment.ts'

export interface LocalSegmentInit {
  engine: Engine
  /** from 1 */
  stage: number
  /** positions to be promised; default: as many as the model allows, none of them promised */
  capacity?: number
  sharing?: Sharing
}

/** A stage of this machine: the engine without a wire. Throws what `openSession` throws. */
export function createLocalSegment ({ engine, stage, capacity, sharing }: LocalSegmentInit): Segment {
  const queue = engineQueue(engine)
  const cache = prefixCache(engine)
  const prefixNames = sharing === undefined ? undefined : createPrefixNames(prefixSeed(sharing.secret, sharing.modelId, sharing.passed))
  prefixNames?.extend(sharing!.ids)
  const { session, held } = cache.withRoom(() => {
    const prefix = prefixNames === undefined ? undefined : cache.find('', prefixNames.names)
    return { session: engine.openSession({ capacity, prefix }), held: prefix?.length ?? 0 }
  })
  prefixNames?.cut(held)
  const named = { owner: '', engineSession: session, names: prefixNames?.names ?? [] }
  cache.add(named)
  const place = { stage, range: engine.range }
  const hostsHead = engine.range.to === engine.architecture.layerCount + 2
  const waiting = new Map<EngineJob, { sequence: number, reject: (error: Error) => void }>()
  let closed = false

  return {
    stages: [{ stage, range: engine.range, local: true }],
    capacity: capacity ?? engine.architecture.contextLength,
    held,
    window: DEFAULT_LIMITS.window,
    rowsPerStep: MAXIMUM_ROWS,
    failure: undefined,
    onFailure: () => {},
    async process (chunk) {
      if (closed) throw new SessionClosedError()
      return await new Promise((resolve, reject) => {
        const job: EngineJob = {
          item: { session, position: chunk.position, tokens: chunk.tokens, hidden: chunk.hidden, outputs: hostsHead ? chunk.outputs : undefined },
          rows: chunk.rows,
          client: '',
          done: result => {
            waiting.delete(job)
            resolve({ hidden: result.hidden, results: hostsHead ? result.rows ?? [] : undefined, spans: [result.milliseconds] })
          },
          failed: error => {
            // it was cancelled while it ran
            if (!waiting.delete(job)) return
            // the chunks behind it were meant for positions that are not there now
            for (const [other, { reject }] of waiting) {
              queue.cancel(session, candidate => candidate === other)
              reject(new SessionClosedError(error))
            }
            waiting.clear()
            reject(new StageFailedError(place, (error as Error).message, { cause: error }))
          }
        }
        try {
          cache.withRoom(() => engine.reserve(session, chunk.position, chunk.position + chunk.rows))
        } catch (error) {
          const { message, retryable } = error as Error & { retryable?: boolean }
          return reject(new StageFailedError(place, message, { retryable, cause: error }))
        }
        prefixNames?.cut(chunk.position)
        waiting.set(job, { sequence: chunk.sequence, reject })
        queue.submit(job)
      })
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
      prefixNames?.cut(length)
      await new Promise<void>((resolve, reject) => queue.afterRun(session, () => {
        try {
          if (length < engine.sessionLength(session)) engine.truncate(session, length)
          resolve()
        } catch (error) {
          reject(error instanceof Error ? error : new Error(String(error)))
        }
      }))
    },
    name: prefixNames && ((_sequence, ids) => prefixNames.extend(ids)),
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
