import type { BatchResult, BatchItem, Engine } from '../engine/index.ts'
import { DECODE_ROWS, GATHER_MILLISECONDS, GATHER_SHARE, MAXIMUM_LATE_SESSIONS } from './constants.ts'
import { SessionClosedError } from './errors.ts'
import { choosePass, INITIAL_SCHEDULE } from './schedule.ts'
import { addPart, partOf } from './step-parts.ts'

/** Rows of one session that wait for the engine. Exactly one of `done` and `failed` is called, unless the job is cancelled before it was admitted. */
export interface EngineJob {
  item: BatchItem
  rows: number
  /** PeerId of whoever the rows are computed for; empty for this process */
  client: string
  /** Asked once the job could run; it runs from then on where the answer is true. Call `kick` when the answer may have changed. */
  admit?: () => boolean
  done: (result: BatchResult) => void
  failed: (error: unknown) => void
}

/**
 * Everything that runs on one engine goes through its queue: one call of
 * `run` at a time, a pass over the weights, in which `choosePass` gives all
 * sessions that wait their rows. A long job runs in several passes. Jobs of a
 * session run in order.
 */
export interface EngineQueue {
  submit (job: EngineJob): void
  /** drops the jobs of a session that match; those that have begun fail, at the latest after the present call */
  cancel (session: number, matches?: (job: EngineJob) => boolean): void
  /** at once, or after the present call where the session is part of it */
  afterRun (session: number, action: () => void): void
  kick (): void
}

/** A job with what it has come to. */
interface Entry {
  job: EngineJob
  admitted: boolean
  /** rows that have run */
  ran: number
  result?: BatchResult
}

/** What an entry runs in a pass. */
interface Part {
  entry: Entry
  count: number
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
  /** sessions in the order of their turns; what runs is still the first of its session */
  const waiting = new Map<number, Entry[]>()
  const actions = new Map<number, Array<() => void>>()
  let schedule = INITIAL_SCHEDULE
  let active: Part[] = []
  let running = false
  /** sessions that decoded in the last pass, and are soon back with their next steps */
  let awaited: number[] = []
  /** sessions that were waited for in vain */
  const late = new Set<number>()
  let gatherMilliseconds = 0

  function pick (): Part[] {
    const refused = new Set<Entry>()
    for (;;) {
      const candidates = [...waiting.values()].map(entries => entries[0]).filter(entry => !refused.has(entry))
      const chosen = choosePass(candidates.map(({ job, ran }) => ({
        session: job.item.session, client: job.client, rows: job.rows - ran, decodes: job.rows <= DECODE_ROWS
      })), schedule)
      const parts = chosen.grants.map(({ session, rows }) => ({ entry: waiting.get(session)![0], count: rows }))
      for (const { entry } of parts) {
        entry.admitted ||= entry.job.admit?.() ?? true
        if (!entry.admitted) refused.add(entry)
      }
      if (parts.some(({ entry }) => refused.has(entry))) continue
      schedule = chosen.state
      return parts
    }
  }

  async function runOne (part: Part): Promise<() => void> {
    try {
      const [result] = await engine.run([itemOf(part)])
      return () => settle(part, result)
    } catch (error) {
      return () => abandon(part.entry, error)
    }
  }

  async function runParts (parts: Part[]): Promise<Array<() => void>> {
    if (parts.length === 1) return [await runOne(parts[0])]
    try {
      const results = await engine.run(parts.map(itemOf))
      return parts.map((part, index) => () => settle(part, results[index]))
    } catch {
      // one bad session must not fail the others: sessions hold what they had, so run them one by one
      const outcomes: Array<() => void> = []
      for (const part of parts) outcomes.push(await runOne(part))
      return outcomes
    }
  }

  function itemOf ({ entry: { job, ran }, count }: Part): BatchItem {
    return partOf(job.item, job.rows, ran, count)
  }

  function settle ({ entry, count }: Part, result: BatchResult): void {
    const { job } = entry
    if (!isFirst(entry)) return job.failed(new SessionClosedError())
    entry.result = addPart(entry.result, result, job.rows, entry.ran, count)
    entry.ran += count
    if (entry.ran < job.rows) return
    takeOff(entry)
    job.done(entry.result)
  }

  function abandon (entry: Entry, error: unknown): void {
    const { job: { item: { session, position }, failed } } = entry
    // as if none of its parts had run
    if (entry.ran > 0 && engine.sessionLength(session) > position) engine.truncate(session, position)
    takeOff(entry)
    failed(error)
  }

  /** Whether an entry is still there: it may have been cancelled while it ran. */
  function isFirst (entry: Entry): boolean {
    return waiting.get(entry.job.item.session)?.[0] === entry
  }

  function takeOff (entry: Entry): void {
    if (!isFirst(entry)) return
    const { session } = entry.job.item
    const entries = waiting.get(session)!
    entries.shift()
    if (entries.length === 0) waiting.delete(session)
  }

  /** Runs passes for as long as there are any, the first one before this returns where nobody else is on the way. */
  function advance (): void {
    running = waiting.size > 0
    if (!running) return
    if (missing().length > 0) {
      gather().then(advance)
      return
    }
    awaited = []
    active = pick()
    running = active.length > 0
    if (!running) return
    const started = performance.now()
    // to the end of the line
    for (const { entry: { job: { item: { session } } } } of active) {
      const entries = waiting.get(session)!
      waiting.delete(session)
      waiting.set(session, entries)
    }
    runParts(active).then(outcomes => {
      gatherMilliseconds = Math.min(GATHER_MILLISECONDS, (performance.now() - started) * GATHER_SHARE)
      finish(outcomes)
      advance()
    })
  }

  function finish (outcomes: Array<() => void>): void {
    const sessions = active.map(({ entry }) => entry.job.item.session)
    awaited = active.filter(({ entry: { job } }) => job.rows <= DECODE_ROWS && !late.has(job.item.session)).map(({ entry }) => entry.job.item.session)
    active = []
    for (const outcome of outcomes) outcome()
    for (const session of sessions) {
      const list = actions.get(session)
      actions.delete(session)
      for (const action of list ?? []) action()
    }
  }

  /** Sessions whose next steps are on their way. */
  function missing (): number[] {
    return awaited.filter(session => !waiting.has(session))
  }

  /** Gives them a moment. */
  async function gather (): Promise<void> {
    const end = performance.now() + gatherMilliseconds
    while (missing().length > 0 && performance.now() < end) await new Promise<void>(resolve => setImmediate(resolve))
    for (const session of missing()) late.add(session)
    for (const session of late) if (late.size > MAXIMUM_LATE_SESSIONS) late.delete(session)
    awaited = []
  }

  function kick (): void {
    if (running || waiting.size === 0) return
    running = true
    // all that decoded last are back: whatever else the bytes that came may hold need not be waited for
    if (awaited.length > 0 && missing().length === 0) advance()
    // a chunk of bytes may hold frames of several sessions: let them all arrive
    else queueMicrotask(advance)
  }

  return {
    submit (job) {
      const { session } = job.item
      const entry: Entry = { job, admitted: false, ran: 0 }
      const entries = waiting.get(session)
      if (entries === undefined) waiting.set(session, [entry])
      else entries.push(entry)
      if (active.length === 0) late.delete(session)
      kick()
    },
    cancel (session, matches = () => true) {
      const entries = waiting.get(session) ?? []
      const left = entries.filter(({ job }) => !matches(job))
      if (left.length === 0) waiting.delete(session)
      else waiting.set(session, left)
      for (const entry of entries) {
        // what runs fails when the call is over
        if (entry.admitted && matches(entry.job) && !active.some(part => part.entry === entry)) entry.job.failed(new SessionClosedError())
      }
    },
    afterRun (session, action) {
      if (!active.some(({ entry }) => entry.job.item.session === session)) {
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
