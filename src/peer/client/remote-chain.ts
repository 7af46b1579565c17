import type { Logger } from '@libp2p/interface'
import type { Architecture } from '../../model/index.ts'
import type { RowResult } from '../../engine/index.ts'
import { CONTROL_MILLISECONDS, STAGE_SHARE_OF_DEADLINE } from '../constants.ts'
import { SessionClosedError, StageFailedError } from '../errors.ts'
import type { StageError } from '../errors.ts'
import type { Deadlines, StageDescription } from '../types.ts'
import { decodeError, decodeLeaving, Kind, encodeName } from '../wire/index.ts'
import type { Frame } from '../wire/index.ts'
import { createChainWatch } from './chain-watch.ts'
import type { Awaited } from './chain-watch.ts'
import { answerProblem, resultsProblem } from './check-answer.ts'
import type { Naming } from './naming.ts'
import { openStages } from './open-stages.ts'
import type { OpenStagesInit } from './open-stages.ts'
import type { StageState } from './plan-repair.ts'
import type { RemoteStage } from './remote-stage.ts'
import type { Chunk, ChunkResult, Grant, ReplayChunk, Segment } from './segment.ts'
import { asStageError, stageError } from './stage-errors.ts'
import type { StepClock } from './step-clock.ts'

export interface RemoteChainInit {
  session: string
  epoch: number
  /** consecutive ones, and what they are in this route */
  stages: readonly RemoteStage[]
  places: readonly StageDescription[]
  /** for each, whether it is new to the session */
  fresh: readonly boolean[]
  architecture: Architecture
  deadlines: Deadlines
  clock: StepClock
  /** for each stage; absent where nothing is shared */
  namings?: readonly Naming[]
  log: Logger
  /** half of a round trip to a peer */
  onPing: (peerId: string, milliseconds: number) => void
  /** called at most once: nothing passes through the chain any more */
  onFailure: (errors: StageError[]) => void
  onLeaving: (place: StageDescription, milliseconds: number) => void
  mayReplace: (error: StageError) => boolean
}

/** Consecutive remote stages in one epoch of a route (docs/protocol.md). */
export interface RemoteChain extends Segment {
  /** throws an AggregateError of StageErrors and their kin */
  open (init: Omit<OpenStagesInit, 'stages' | 'names' | 'fresh'>): Promise<void>
  /** nonce of the opening of the stage with this number; undefined where it is none of the chain's */
  nonceOf (stage: number): Uint8Array | undefined
  /** nothing more is sent or taken */
  leave (): void
}

interface PendingChunk {
  chunk: Chunk | ReplayChunk
  /** indexes of the stages that it goes through */
  first: number
  last: number
  /** it ends within the chain: there is nothing to give back */
  ends: boolean
  results: RowResult[]
  resolve: (result: ChunkResult) => void
  reject: (error: Error) => void
}

const UNOPENED: Grant = { capacity: 0, window: 0, rowsPerStep: 0 }

export function createRemoteChain (init: RemoteChainInit): RemoteChain {
  const { stages, epoch, architecture, deadlines, namings, log } = init
  const lastIndex = stages.length - 1
  const chunks = new Map<number, PendingChunk>()
  /** of what the last stage answers; undefined for results */
  const hiddenSize = init.places[lastIndex].range.to === architecture.layerCount + 2 ? undefined : architecture.hiddenSize
  const firstNumber = init.places[0].stage
  const lastNumber = init.places[lastIndex].stage
  let failures: StageError[] | undefined
  let opening = true
  let left = false
  let grant = UNOPENED
  let states: StageState[] = []
  let nonces: Uint8Array[] = []

  for (const [index, stage] of stages.entries()) {
    stage.enter(epoch, init.places[index], {
      onFrame: frame => onFrame(index, frame),
      explain: frame => explain(index, frame),
      onLost: error => fail([error])
    })
  }
  const places = stages.map(stage => stage.place)
  const watch = createChainWatch({ stages, clock: init.clock, deadline: deadlines.step, awaited, mayReplace: init.mayReplace, onFailure: fail })

  function fail (errors: StageError[]): void {
    if (failures !== undefined || left) return
    failures = errors
    for (const { message } of errors) log('session %s: %s', init.session, message)
    giveUp(errors[0])
    init.onFailure(errors)
  }

  function giveUp (error: Error): void {
    watch.stop()
    for (const stage of stages) stage.fail(error)
    for (const { reject } of chunks.values()) reject(error)
    chunks.clear()
  }

  function explain (index: number, frame: Frame): StageError {
    return stageError(decodeError(frame.record!), places[index], places, opening)
  }

  function onFrame (index: number, frame: Frame): void {
    if (failures !== undefined || left) return
    switch (frame.kind) {
      case Kind.answer:
      case Kind.replayed: return onAnswer(index, frame)
      case Kind.error: return onError(frame, explain(index, frame))
      case Kind.leaving: return init.onLeaving(places[index], decodeLeaving(frame.record!).milliseconds)
    }
  }

  function onError (frame: Frame, error: StageError): void {
    // a stage that has lost its neighbour keeps the session, but nothing passes through it
    if (error.sessionLost || opening) return fail([error])
    const pending = chunks.get(frame.sequence)
    chunks.delete(frame.sequence)
    pending?.reject(error)
  }

  function onAnswer (index: number, frame: Frame): void {
    // only the stage at the end answers, and only what is under way: the rest was cancelled
    const pending = chunks.get(frame.sequence)
    if (pending === undefined || index !== pending.last || pending.ends !== (frame.kind === Kind.replayed)) return
    const { chunk, results } = pending
    const outputs = 'outputs' in chunk ? chunk.outputs : []
    watch.progress(chunk.rows)
    let problem = answerProblem(frame, chunk, pending.ends ? undefined : hiddenSize)
    if (problem === undefined && !pending.ends) {
      for (const result of frame.results ?? []) results.push(result)
      if (results.length > outputs.length) problem = 'its answer has more results than asked for'
      else if (frame.more) return
      else if (hiddenSize === undefined) problem = resultsProblem(results, outputs, architecture.vocabularySize)
    }
    if (problem !== undefined) return fail([new StageFailedError(places[index], problem, { sessionLost: true })])
    chunks.delete(frame.sequence)
    pending.resolve({ hidden: frame.hidden, results: hiddenSize === undefined ? results : undefined, spans: frame.spans.slice(-stages.length) })
  }

  function awaited (): Awaited | undefined {
    const oldest: PendingChunk | undefined = chunks.values().next().value
    return oldest && { sequence: oldest.chunk.sequence, first: oldest.first, last: oldest.last, rows: oldest.chunk.rows }
  }

  function assertUsable (): void {
    if (failures !== undefined) throw failures[0]
    if (left) throw new SessionClosedError()
  }

  /** Makes room for an answer; the caller sends. */
  function expect (chunk: Chunk | ReplayChunk, first: number, until: number | undefined): Promise<ChunkResult> {
    const { promise, resolve, reject } = Promise.withResolvers<ChunkResult>()
    const ends = until !== undefined && until <= lastNumber
    const nothingBefore = chunks.size === 0
    chunks.set(chunk.sequence, { chunk, first, last: ends ? until - firstNumber : lastIndex, ends, results: [], resolve, reject })
    watch.sent(nothingBefore)
    return promise
  }

  const deadline = (): number => Math.ceil(deadlines.step * STAGE_SHARE_OF_DEADLINE) * (chunks.size + 1)

  async function askAll (frame: { kind: typeof Kind.cancel | typeof Kind.truncate, position?: number }, sequence: number): Promise<void> {
    const outcomes = await Promise.allSettled(stages.map(async stage => await stage.request(frame, Kind.done, CONTROL_MILLISECONDS, sequence)))
    const errors = outcomes.flatMap((outcome, index) => outcome.status === 'rejected' ? [asStageError(outcome.reason as Error, places[index])] : [])
    if (errors.length === 0 || left) return
    fail(errors)
    throw failures![0]
  }

  /** How far away a stage is, as long as it has nothing to do. */
  function measure (stage: RemoteStage): void {
    const started = performance.now()
    stage.request({ kind: Kind.probe }, Kind.probed, CONTROL_MILLISECONDS).then(() => init.onPing(stage.peerId, (performance.now() - started) / 2)).catch(() => {})
  }

  return {
    stages: places,
    get grant () {
      return grant
    },
    get states () {
      return states
    },
    async open (opener) {
      const names = stages.map((_stage, index) => namings?.[index].names ?? [])
      const opened = await openStages({ ...opener, stages, names, fresh: init.fresh })
      assertUsable()
      opening = false
      grant = {
        window: Math.min(...opened.map(({ window }) => window)),
        rowsPerStep: Math.min(...opened.map(({ rowsPerStep }) => rowsPerStep)),
        capacity: Math.min(...opened.map(({ capacity }) => capacity))
      }
      nonces = opened.map(({ nonce }) => nonce)
      states = opened.map(({ held, kept }) => ({ held, kept }))
      for (const stage of stages) measure(stage)
    },
    async process (chunk) {
      assertUsable()
      const { sequence, position, rows, tokens, hidden, outputs, until } = chunk
      const milliseconds = deadline()
      const result = expect(chunk, 0, until)
      stages[0].send({ kind: Kind.step, sequence, position, rows, tokens, hidden, outputs, until, deadline: milliseconds })
      return await result
    },
    async replay (chunk) {
      assertUsable()
      const { sequence, position, rows, source, until } = chunk
      const milliseconds = deadline()
      const result = expect(chunk, source - firstNumber, until)
      stages[source - firstNumber].send({ kind: Kind.replay, sequence, position, rows, until, deadline: milliseconds })
      return await result
    },
    async cancel (sequence) {
      for (const [number, pending] of chunks) {
        if (number >= sequence) continue
        chunks.delete(number)
        pending.reject(new SessionClosedError())
      }
      if (failures === undefined && !left) await askAll({ kind: Kind.cancel }, sequence)
    },
    async truncate (sequence, length) {
      assertUsable()
      await askAll({ kind: Kind.truncate, position: length }, sequence)
    },
    name: namings && ((sequence, ids, changed) => {
      if (failures !== undefined || left) return
      for (const [index, naming] of namings.entries()) {
        const record = naming.update(ids, changed)
        if (record !== undefined) stages[index].send({ kind: Kind.name, sequence, record: encodeName(record) })
      }
    }),
    nonceOf: stage => nonces[stage - firstNumber],
    leave () {
      if (left) return
      left = true
      giveUp(new SessionClosedError())
    }
  }
}
