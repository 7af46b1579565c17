import type { BatchItem, BatchResult, Engine } from '../engine/index.ts'
import { MAXIMUM_BATCH_ROWS } from './constants.ts'

/** Rows of one session that wait for the engine. Exactly one of `done` and `failed` is called, unless the job is cancelled. */
export interface EngineJob {
  item: BatchItem
  rows: number
  /** Asked when the job could run now; it runs where the answer is true. Call `kick` when the answer may have changed. */
  admit?: () => boolean
  done: (result: BatchResult) => void
  failed: (error: unknown) => void
}

/**
 * Everything that runs on one engine goes through its queue: one call of
 * `run` at a time, with the next job of every session that waits, so that
 * sessions share a pass over the weights. Jobs of a session run in order.
 */
export interface EngineQueue {
  submit (job: EngineJob): void
  /** drops the jobs of a session that do not run yet and match */
  cancel (session: number, matches?: (job: EngineJob) => boolean): void
  /** at once, or after the present call where the session is part of it */
  afterRun (session: number, action: () => void): void
  kick (): void
}

const queues = new WeakMap<Engine, EngineQueue>()

/** The queue of an engine; the same one for all callers. */
export function engineQueue (engine: Engine): EngineQueue {
  let queue = queues.get(engine)
  if (queue === undefined) {
    queue = createEngineQueue(engine)
    queues.set(engine, queue)
  }
  return queue
}

function createEngineQueue (engine: Engine): EngineQueue {
  const waiting = new Map<number, EngineJob[]>()
  const actions = new Map<number, Array<() => void>>()
  let active: EngineJob[] = []
  let running = false

  function pick (): EngineJob[] {
    const batch: EngineJob[] = []
    let rows = 0
    for (const [session, jobs] of [...waiting]) {
      const job = jobs[0]
      if (batch.length > 0 && rows + job.rows > MAXIMUM_BATCH_ROWS) continue
      if (job.admit?.() === false) continue
      jobs.shift()
      rows += job.rows
      batch.push(job)
      // to the end of the line
      waiting.delete(session)
      if (jobs.length > 0) waiting.set(session, jobs)
    }
    return batch
  }

  async function runOne (job: EngineJob): Promise<() => void> {
    try {
      const [result] = await engine.run([job.item])
      return () => job.done(result)
    } catch (error) {
      return () => job.failed(error)
    }
  }

  async function runBatch (batch: EngineJob[]): Promise<Array<() => void>> {
    if (batch.length === 1) return [await runOne(batch[0])]
    try {
      const results = await engine.run(batch.map(job => job.item))
      return batch.map((job, index) => () => job.done(results[index]))
    } catch {
      // one bad session must not fail the others: sessions hold what they had, so run them one by one
      const outcomes: Array<() => void> = []
      for (const job of batch) outcomes.push(await runOne(job))
      return outcomes
    }
  }

  async function loop (): Promise<void> {
    for (;;) {
      active = pick()
      if (active.length === 0) break
      const outcomes = await runBatch(active)
      const sessions = active.map(job => job.item.session)
      active = []
      for (const outcome of outcomes) outcome()
      for (const session of sessions) {
        const list = actions.get(session)
        actions.delete(session)
        for (const action of list ?? []) action()
      }
    }
    running = false
  }

  function kick (): void {
    if (running || waiting.size === 0) return
    running = true
    // a chunk of bytes may hold frames of several sessions: let them all arrive
    queueMicrotask(() => { loop() })
  }

  return {
    submit (job) {
      const jobs = waiting.get(job.item.session)
      if (jobs === undefined) waiting.set(job.item.session, [job])
      else jobs.push(job)
      kick()
    },
    cancel (session, matches = () => true) {
      const left = (waiting.get(session) ?? []).filter(job => !matches(job))
      if (left.length === 0) waiting.delete(session)
      else waiting.set(session, left)
    },
    afterRun (session, action) {
      if (!active.some(job => job.item.session === session)) {
        action()
        return
      }
      const list = actions.get(session)
      if (list === undefined) actions.set(session, [action])
      else list.push(action)
    },
    kick
  }
}
