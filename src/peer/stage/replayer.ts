import { MAXIMUM_STEP_MILLISECONDS } from '../constants.ts'
import type { Link } from '../link.ts'
import type { PeerLimits } from '../types.ts'
import { ErrorCode, Kind } from '../wire/index.ts'
import type { ErrorNumber, Frame } from '../wire/index.ts'
import { HistoryLostError } from './history/index.ts'
import type { OutputRoom } from './output-room.ts'
import type { SessionStore } from './session-store.ts'
import { downstreamOf } from './stage-session.ts'
import type { PendingReplay, StageSession } from './stage-session.ts'

export interface ReplayerInit {
  limits: PeerLimits
  rowsPerStep: number
  hiddenSize: number
  store: SessionStore
  room: OutputRoom
}

/** Sends kept outputs downstream, for stages that have taken the place of lost ones (docs/protocol.md, Replay). */
export interface Replayer {
  /** of the session's client, in the present epoch */
  accept (session: StageSession, frame: Frame): void
  /** forgets the replays below a sequence number that are not sent yet */
  drop (session: StageSession, below: number): void
}

export function createReplayer (init: ReplayerInit): Replayer {
  const { limits, rowsPerStep, hiddenSize, store, room } = init
  /** sessions whose first replay is being read */
  const reading = new Set<StageSession>()
  /** sessions whose first replay waits for room on the stream */
  const waiting = new Set<StageSession>()
  store.onUnbind(session => drop(session, Infinity))
  room.onRoom(() => {
    for (const session of [...waiting]) advance(session)
  })

  function accept (session: StageSession, frame: Frame): void {
    const { binding, history } = session
    const { sequence, position, rows, until, deadline } = frame
    const refuse = (code: ErrorNumber, message: string): void => store.tell(session, { code, message, retryable: code === ErrorCode.historyLost }, sequence)
    session.lastActivity = performance.now()
    if (binding.lost !== undefined) return store.tell(session, binding.lost, sequence)
    if (sequence <= session.lastSequence) return store.fail(session, { code: ErrorCode.invalidStep, message: `sequence number ${sequence} after ${session.lastSequence}`, retryable: false })
    session.lastSequence = sequence
    if (sequence < session.cancelledBelow) return
    if (binding.downstreamLink === undefined) return refuse(ErrorCode.invalidStep, 'a replay before the route was complete')
    if (history === undefined) return refuse(ErrorCode.invalidStep, 'a replay of the head, which has no outputs to keep')
    if (session.pending.size > 0) return refuse(ErrorCode.invalidStep, 'a replay while steps are under way')
    if (until <= binding.stage || until > binding.stages) return refuse(ErrorCode.invalidStep, `a replay from stage ${binding.stage} until stage ${until} of ${binding.stages}`)
    if (rows > rowsPerStep) return refuse(ErrorCode.invalidStep, `${rows} rows; this stage replays ${rowsPerStep} a step`)
    if (session.replays.length >= limits.window) return store.fail(session, { code: ErrorCode.credit, message: `more than ${limits.window} replays wait`, retryable: false })
    if (position + rows > history.length) return refuse(ErrorCode.historyLost, `outputs of the positions ${position} to ${position + rows - 1} are not kept, but of the first ${history.length}`)
    const replay: PendingReplay = { sequence, position, rows, until, deadline, arrived: performance.now() }
    if (deadline > 0) replay.timer = setTimeout(() => late(session, replay), Math.min(deadline, MAXIMUM_STEP_MILLISECONDS))
    session.replays.push(replay)
    advance(session)
  }

  /** Sends what there is room for, one after another. */
  function advance (session: StageSession): void {
    if (reading.has(session)) return
    waiting.delete(session)
    const [replay] = session.replays
    if (replay === undefined) return
    const output = session.binding.downstreamLink!
    const bytes = 4 * hiddenSize * replay.rows
    if (!room.take(output, bytes)) {
      waiting.add(session)
      return
    }
    reading.add(session)
    send(session, replay, output).finally(() => {
      reading.delete(session)
      room.give(output, bytes)
      advance(session)
    })
  }

  async function send (session: StageSession, replay: PendingReplay, output: Link): Promise<void> {
    const { binding } = session
    const { sequence, position, rows, until, deadline } = replay
    let hidden
    let problem: Error | undefined
    try {
      hidden = await session.history!.read(position, position + rows)
    } catch (error) {
      problem = error as Error
    }
    // it was dropped meanwhile
    if (session.replays[0] !== replay) return
    settle(session, replay)
    if (hidden === undefined) return store.tell(session, { code: problem instanceof HistoryLostError ? ErrorCode.historyLost : ErrorCode.engine, message: problem!.message, retryable: true }, sequence)
    const left = deadline === 0 ? 0 : Math.max(1, Math.floor(deadline - (performance.now() - replay.arrived)))
    const common = { session: session.id, epoch: binding.epoch, sequence, position, rows, hidden }
    if (binding.subscription === undefined) output.send({ kind: Kind.answer, ...common })
    else output.send({ kind: Kind.step, ...common, until, deadline: left })
    session.finishedSequence = sequence
    session.lastActivity = performance.now()
  }

  /** The deadline is over: whose fault is it? */
  function late (session: StageSession, { sequence, rows, deadline }: PendingReplay): void {
    if (session.binding.subscription !== undefined && waiting.has(session)) {
      return store.suspend(session, { ...downstreamOf(session.binding), message: `it has not read what is due to it within ${deadline} ms` })
    }
    store.fail(session, { code: ErrorCode.stalled, message: `replay ${sequence} (${rows} rows) was not sent within ${deadline} ms` }, sequence)
  }

  function settle (session: StageSession, replay: PendingReplay): void {
    clearTimeout(replay.timer)
    session.replays.splice(session.replays.indexOf(replay), 1)
  }

  function drop (session: StageSession, below: number): void {
    for (const replay of [...session.replays]) if (replay.sequence < below) settle(session, replay)
    if (session.replays.length === 0) waiting.delete(session)
  }

  return { accept, drop }
}
