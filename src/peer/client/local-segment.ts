import type { Engine } from '../../engine/index.ts'
import { DEFAULT_LIMITS, MAXIMUM_ROWS } from '../constants.ts'
import { engineQueue } from '../engine-queue.ts'
import type { EngineJob } from '../engine-queue.ts'
import { SessionClosedError, StageFailedError } from '../errors.ts'
import type { Segment } from './segment.ts'

/** A stage of this machine: the engine without a wire. `stage` counts from 1. Throws what `openSession` throws. */
export function createLocalSegment (engine: Engine, stage: number, capacity: number): Segment {
  const queue = engineQueue(engine)
  const session = engine.openSession({ capacity })
  const place = { stage, range: engine.range }
  const hostsHead = engine.range.to === engine.architecture.layerCount + 2
  const waiting = new Map<EngineJob, { sequence: number, reject: (error: Error) => void }>()
  let closed = false

  return {
    stages: [{ stage, range: engine.range, local: true }],
    capacity,
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
      await new Promise<void>((resolve, reject) => queue.afterRun(session, () => {
        try {
          if (length < engine.sessionLength(session)) engine.truncate(session, length)
          resolve()
        } catch (error) {
          reject(error instanceof Error ? error : new Error(String(error)))
        }
      }))
    },
    async close () {
      if (closed) return
      closed = true
      queue.cancel(session)
      for (const { reject } of waiting.values()) reject(new SessionClosedError())
      waiting.clear()
      await new Promise<void>(resolve => queue.afterRun(session, () => {
        engine.closeSession(session)
        resolve()
      }))
    }
  }
}
