import type { BatchResult } from '../../engine/index.ts'
import type { Architecture } from '../../model/index.ts'
import { MAXIMUM_STEP_MILLISECONDS } from '../constants.ts'
import type { EngineJob } from '../engine-queue.ts'
import type { Link } from '../link.ts'
import type { PeerLimits } from '../types.ts'
import { answerByteLength, ErrorCode, Kind } from '../wire/index.ts'
import type { ErrorNumber, Frame } from '../wire/index.ts'
import { splitResults } from './answers.ts'
import type { OutputRoom } from './output-room.ts'
import { createQueuedBytes } from './queued-bytes.ts'
import type { SessionStore } from './session-store.ts'
import { cutNames, downstreamOf, upstreamOf } from './stage-session.ts'
import type { Binding, PendingStep, StageSession } from './stage-session.ts'
import { stepBreach, stepProblem } from './step-check.ts'

export interface StepRunnerInit {
  architecture: Architecture
  limits: PeerLimits
  rowsPerStep: number
  store: SessionStore
  room: OutputRoom
  /** a session that is taking keys and values over has come to more positions */
  onAdvance: (session: StageSession) => void
}

/** Takes steps of sessions whose sender was checked, runs them, and passes the results on. */
export interface StepRunner {
  accept (session: StageSession, frame: Frame): void
  /** forgets the steps below a sequence number: none of them has an effect from now on */
  drop (session: StageSession, below: number): void
}

export function createStepRunner (init: StepRunnerInit): StepRunner {
  const { architecture, limits, rowsPerStep, store, room } = init
  const queued = createQueuedBytes(limits)
  store.onUnbind(session => drop(session, Infinity))

  /** The sender broke the rules: another stage is lost for this session; a client has spoilt its own. */
  function breach (session: StageSession, code: ErrorNumber, message: string): void {
    if (session.binding.upstreamLink === session.clientLink) store.fail(session, { code, message, retryable: false })
    else store.suspend(session, { ...upstreamOf(session.binding), message: `it sent what no stage may send: ${message}` })
  }

  function accept (session: StageSession, frame: Frame): void {
    const now = performance.now()
    const { binding, client } = session
    session.lastActivity = now
    if (frame.sequence <= session.lastSequence) return breach(session, ErrorCode.invalidStep, `sequence number ${frame.sequence} after ${session.lastSequence}`)
    session.lastSequence = frame.sequence
    if (frame.sequence < session.cancelledBelow) return
    const output = binding.downstreamLink
    if (output === undefined) return breach(session, ErrorCode.invalidStep, 'a step before the route was complete')
    if (session.pending.size >= limits.window) return breach(session, ErrorCode.credit, `more than ${limits.window} steps under way`)
    const invalid = (message: string): void => store.tell(session, { code: ErrorCode.invalidStep, message }, frame.sequence)
    if (session.replays.length > 0) return invalid('a step while a replay waits')
    if (session.taking !== undefined && frame.position + frame.rows > session.taking.from) return invalid(`a step up to position ${frame.position + frame.rows} while those from ${session.taking.from} on are being taken over`)
    const { takesTokens } = session
    const wrong = stepBreach(frame, { architecture, takesTokens, stage: binding.stage, stages: binding.stages })
    // a client is told of the one step
    if (wrong !== undefined) return binding.upstreamLink === session.clientLink ? invalid(wrong) : breach(session, ErrorCode.invalidStep, wrong)
    // a step that was cancelled while it ran may have left more behind than was ever promised
    const { host: { engine }, named: { engineSession } } = session
    if (session.pending.size === 0) session.expectedLength = Math.min(session.expectedLength, engine.sessionLength(engineSession))
    const problem = stepProblem(frame, { architecture, rowsPerStep, length: session.expectedLength, capacity: session.capacity })
    if (problem !== undefined) return invalid(problem)
    const busy = queued.take(client, frame.byteLength)
    if (busy !== undefined) return store.tell(session, { code: ErrorCode.busy, message: busy, retryable: true }, frame.sequence)
    try {
      store.withRoom(session.host, () => engine.reserve(engineSession, frame.position, frame.position + frame.rows), session)
    } catch (error) {
      queued.give(client, frame.byteLength)
      return store.tell(session, { code: ErrorCode.capacity, message: (error as Error).message, retryable: true }, frame.sequence)
    }
    if (frame.position < session.expectedLength) session.rewrittenAt = frame.sequence
    cutNames(session, frame.position)
    session.expectedLength = frame.position + frame.rows
    const { sequence, position, byteLength } = frame
    const pending: PendingStep = { sequence, position, byteLength, job: createJob(session, binding, frame, now, output) }
    session.pending.set(sequence, pending)
    if (frame.deadline > 0) pending.timer = setTimeout(() => late(session, frame, output), Math.min(frame.deadline, MAXIMUM_STEP_MILLISECONDS))
    session.host.queue.submit(pending.job)
  }

  /** The deadline is over: whose fault is it? */
  function late (session: StageSession, { sequence, rows, deadline }: Frame, output: Link): void {
    if (session.binding.subscription !== undefined && room.isFull(output)) {
      return store.suspend(session, { ...downstreamOf(session.binding), message: `it has not read what is due to it within ${deadline} ms` })
    }
    store.fail(session, { code: ErrorCode.stalled, message: `step ${sequence} (${rows} rows) did not finish here within ${deadline} ms` }, sequence)
  }

  function createJob (session: StageSession, binding: Binding, frame: Frame, arrived: number, output: Link): EngineJob {
    const { hostsHead, history } = session
    const { position, rows, tokens, hidden, outputs } = frame
    const resultBytes = hostsHead ? answerByteLength(outputs, architecture.vocabularySize) : 4 * rows * architecture.hiddenSize
    return {
      item: { session: session.named.engineSession, position, tokens, hidden, outputs: hostsHead ? outputs : undefined },
      rows,
      client: session.client,
      admit: () => room.take(output, resultBytes),
      done: result => {
        if (settle(session, frame.sequence)) {
          if (result.hidden !== undefined) history?.write(position, result.hidden)
          passOn(session, binding, frame, result, arrived, output)
          if (session.taking !== undefined) init.onAdvance(session)
        }
        room.give(output, resultBytes)
      },
      failed: error => {
        if (settle(session, frame.sequence)) {
          // what follows was meant for positions that are not there now
          drop(session, Infinity)
          history?.truncate(position)
          session.expectedLength = session.host.engine.sessionLength(session.named.engineSession)
          const { message = String(error), retryable = false } = error as { message?: string, retryable?: boolean }
          store.tell(session, { code: ErrorCode.engine, message, retryable }, frame.sequence)
        }
        room.give(output, resultBytes)
      }
    }
  }

  /** Takes a step off the books; false where it was dropped meanwhile. */
  function settle (session: StageSession, sequence: number): boolean {
    const pending = session.pending.get(sequence)
    if (pending === undefined) return false
    session.pending.delete(sequence)
    clearTimeout(pending.timer)
    queued.give(session.client, pending.byteLength)
    return true
  }

  function drop (session: StageSession, below: number): void {
    const dropped = [...session.pending.values()].filter(({ sequence }) => sequence < below)
    if (dropped.length === 0) return
    const { host: { engine, queue }, named: { engineSession } } = session
    const jobs = new Set(dropped.map(({ job }) => job))
    for (const { sequence } of dropped) settle(session, sequence)
    queue.cancel(engineSession, job => jobs.has(job))
    // one of them may still run, and leave anything behind from its first position on
    const sound = Math.min(engine.sessionLength(engineSession), ...dropped.map(({ position }) => position))
    session.expectedLength = sound
    session.history?.truncate(sound)
  }

  function passOn (session: StageSession, binding: Binding, frame: Frame, result: BatchResult, arrived: number, output: Link): void {
    const { hostsHead } = session
    const { epoch, sequence, position, rows, until } = frame
    if (!hostsHead && result.hidden?.length !== rows * architecture.hiddenSize) return store.fail(session, { code: ErrorCode.engine, message: 'the engine gave no hidden state', retryable: false }, sequence)
    session.finishedSequence = sequence
    session.lastActivity = performance.now()
    const common = { session: session.id, epoch, sequence, position, rows, spans: [...frame.spans, result.milliseconds] }
    if (until === binding.stage) {
      session.clientLink.send({ kind: Kind.replayed, ...common })
    } else if (binding.subscription !== undefined) {
      const left = frame.deadline === 0 ? 0 : Math.max(1, Math.floor(frame.deadline - (performance.now() - arrived)))
      output.send({ kind: Kind.step, ...common, hidden: result.hidden, outputs: frame.outputs, deadline: left, until })
    } else if (!hostsHead) {
      output.send({ kind: Kind.answer, ...common, hidden: result.hidden })
    } else {
      const parts = splitResults(result.rows ?? [])
      parts.forEach((results, index) => output.send({ kind: Kind.answer, ...common, results: results.length === 0 ? undefined : results, more: index < parts.length - 1 }))
    }
  }

  return { accept, drop }
}
