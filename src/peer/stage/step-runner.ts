import type { BatchResult, Engine } from '../../engine/index.ts'
import { LINK_HIGH_WATER_BYTES, MAXIMUM_STEP_MILLISECONDS } from '../constants.ts'
import { engineQueue } from '../engine-queue.ts'
import type { EngineJob } from '../engine-queue.ts'
import type { Link } from '../link.ts'
import type { PeerLimits } from '../types.ts'
import { answerByteLength, ErrorCode, Kind } from '../wire/index.ts'
import type { Frame } from '../wire/index.ts'
import { splitResults } from './answers.ts'
import type { SessionStore } from './session-store.ts'
import { cutNames } from './stage-session.ts'
import type { PendingStep, StageSession } from './stage-session.ts'
import { stepProblem } from './step-check.ts'

export interface StepRunnerInit {
  engine: Engine
  limits: PeerLimits
  rowsPerStep: number
  store: SessionStore
}

/** Takes steps of sessions whose sender was checked, runs them, and passes the results on. */
export interface StepRunner {
  accept (session: StageSession, frame: Frame): void
  /** forgets the steps below a sequence number: none of them has an effect from now on */
  drop (session: StageSession, below: number): void
}

export function createStepRunner (init: StepRunnerInit): StepRunner {
  const { engine, limits, rowsPerStep, store } = init
  const { architecture } = engine
  const queue = engineQueue(engine)
  const hostsHead = engine.range.to === architecture.layerCount + 2
  const takesTokens = engine.range.from === 0
  /** bytes of accepted steps for each client */
  const queuedBytes = new Map<string, number>()
  let allQueuedBytes = 0
  /** results that the present batch will put on a link */
  const reservedBytes = new WeakMap<Link, number>()
  store.onRemove(session => drop(session, Infinity))

  function accept (session: StageSession, frame: Frame): void {
    const now = performance.now()
    session.lastActivity = now
    if (frame.sequence <= session.lastSequence) return store.fail(session, { code: ErrorCode.invalidStep, message: `sequence number ${frame.sequence} after ${session.lastSequence}`, retryable: false })
    session.lastSequence = frame.sequence
    if (frame.sequence < session.cancelledBelow) return
    const output = session.downstreamLink
    if (output === undefined) return store.fail(session, { code: ErrorCode.invalidStep, message: 'a step before the route was complete', retryable: false })
    if (session.pending.size >= limits.window) return store.fail(session, { code: ErrorCode.credit, message: `more than ${limits.window} steps under way`, retryable: false })
    const bytes = queuedBytes.get(session.client) ?? 0
    if (bytes + frame.byteLength > limits.queuedBytesPerClient) return store.tell(session, { code: ErrorCode.busy, message: `more than ${limits.queuedBytesPerClient} bytes of one client wait`, retryable: true }, frame.sequence)
    if (allQueuedBytes + frame.byteLength > limits.queuedBytes) return store.tell(session, { code: ErrorCode.busy, message: `more than ${limits.queuedBytes} bytes wait`, retryable: true }, frame.sequence)
    // a step that was cancelled while it ran may have left more behind than was ever promised
    if (session.pending.size === 0) session.expectedLength = Math.min(session.expectedLength, engine.sessionLength(session.named.engineSession))
    const problem = stepProblem(frame, { architecture, takesTokens, rowsPerStep, stages: session.stages, length: session.expectedLength, capacity: session.capacity })
    if (problem !== undefined) return store.tell(session, { code: ErrorCode.invalidStep, message: problem }, frame.sequence)
    const { engineSession } = session.named
    try {
      store.withRoom(() => engine.reserve(engineSession, frame.position, frame.position + frame.rows), session)
    } catch (error) {
      return store.tell(session, { code: ErrorCode.capacity, message: (error as Error).message, retryable: true }, frame.sequence)
    }
    if (frame.position < session.expectedLength) session.rewrittenAt = frame.sequence
    cutNames(session, frame.position)
    session.expectedLength = frame.position + frame.rows
    queuedBytes.set(session.client, bytes + frame.byteLength)
    allQueuedBytes += frame.byteLength
    const pending: PendingStep = { sequence: frame.sequence, byteLength: frame.byteLength, job: createJob(session, frame, now, output) }
    session.pending.set(frame.sequence, pending)
    if (frame.deadline > 0) {
      pending.timer = setTimeout(() => store.fail(session, { code: ErrorCode.stalled, message: `step ${frame.sequence} (${frame.rows} rows) did not finish here within ${frame.deadline} ms` }, frame.sequence), Math.min(frame.deadline, MAXIMUM_STEP_MILLISECONDS))
    }
    queue.submit(pending.job)
  }

  function createJob (session: StageSession, frame: Frame, arrived: number, output: Link): EngineJob {
    const { position, rows, tokens, hidden, outputs } = frame
    const resultBytes = hostsHead ? answerByteLength(outputs, architecture.vocabularySize) : 4 * rows * architecture.hiddenSize
    const unreserve = (): void => { reservedBytes.set(output, reservedBytes.get(output)! - resultBytes) }
    return {
      item: { session: session.named.engineSession, position, tokens, hidden, outputs: hostsHead ? outputs : undefined },
      rows,
      client: session.client,
      // a receiver that does not read stops its own sessions, and no others
      admit: () => {
        const reserved = reservedBytes.get(output) ?? 0
        if (output.queuedBytes + reserved > LINK_HIGH_WATER_BYTES) return false
        reservedBytes.set(output, reserved + resultBytes)
        return true
      },
      done: result => {
        unreserve()
        if (settle(session, frame.sequence)) passOn(session, frame, result, arrived, output)
      },
      failed: error => {
        unreserve()
        if (!settle(session, frame.sequence)) return
        // what follows was meant for positions that are not there now
        drop(session, Infinity)
        session.expectedLength = engine.sessionLength(session.named.engineSession)
        const { message = String(error), retryable = false } = error as { message?: string, retryable?: boolean }
        store.tell(session, { code: ErrorCode.engine, message, retryable }, frame.sequence)
      }
    }
  }

  /** Takes a step off the books; false where it was dropped meanwhile. */
  function settle (session: StageSession, sequence: number): boolean {
    const pending = session.pending.get(sequence)
    if (pending === undefined) return false
    session.pending.delete(sequence)
    clearTimeout(pending.timer)
    allQueuedBytes -= pending.byteLength
    const bytes = (queuedBytes.get(session.client) ?? 0) - pending.byteLength
    if (bytes > 0) queuedBytes.set(session.client, bytes)
    else queuedBytes.delete(session.client)
    return true
  }

  function drop (session: StageSession, below: number): void {
    const dropped = [...session.pending.values()].filter(({ sequence }) => sequence < below)
    if (dropped.length === 0) return
    const jobs = new Set(dropped.map(({ job }) => job))
    for (const { sequence } of dropped) settle(session, sequence)
    queue.cancel(session.named.engineSession, job => jobs.has(job))
    session.expectedLength = engine.sessionLength(session.named.engineSession)
  }

  function passOn (session: StageSession, frame: Frame, result: BatchResult, arrived: number, output: Link): void {
    const { epoch, sequence, position, rows } = frame
    if (!hostsHead && result.hidden?.length !== rows * architecture.hiddenSize) return store.fail(session, { code: ErrorCode.engine, message: 'the engine gave no hidden state', retryable: false }, sequence)
    session.finishedSequence = sequence
    session.lastActivity = performance.now()
    const common = { session: session.id, epoch, sequence, position, rows, spans: [...frame.spans, result.milliseconds] }
    if (session.subscription !== undefined) {
      const left = frame.deadline === 0 ? 0 : Math.max(1, Math.floor(frame.deadline - (performance.now() - arrived)))
      output.send({ kind: Kind.step, ...common, hidden: result.hidden, outputs: frame.outputs, deadline: left })
    } else if (!hostsHead) {
      output.send({ kind: Kind.answer, ...common, hidden: result.hidden })
    } else {
      const parts = splitResults(result.rows ?? [])
      parts.forEach((results, index) => output.send({ kind: Kind.answer, ...common, results: results.length === 0 ? undefined : results, more: index < parts.length - 1 }))
    }
  }

  return { accept, drop }
}
