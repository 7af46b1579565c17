import type { Connection, Logger } from '@libp2p/interface'
import type { Architecture } from '../../model/index.ts'
import type { RowResult } from '../../engine/index.ts'
import { CONTROL_MILLISECONDS, PREFIX_STRIDE, PROBE_INTERVAL_MILLISECONDS, PROBE_TIMEOUT_MILLISECONDS, STAGE_SHARE_OF_DEADLINE } from '../constants.ts'
import { PeerError, SessionClosedError, StageFailedError, StageLostError, StageStalledError } from '../errors.ts'
import type { LinkPool, Subscription } from '../link-pool.ts'
import { createPrefixNames, prefixSeed } from '../prefix-names.ts'
import type { Deadlines, StageDescription } from '../types.ts'
import { decodeError, decodeOpened, decodeProbed, encodeName, encodeOpen, Kind } from '../wire/index.ts'
import type { Frame, FrameInit, KindNumber } from '../wire/index.ts'
import { answerProblem, resultsProblem } from './check-answer.ts'
import type { Chunk, ChunkResult, Segment, Sharing } from './segment.ts'
import { accusedStage, stageError } from './stage-errors.ts'

export interface RemoteStage {
  description: StageDescription & { peerId: string }
  connect: (signal: AbortSignal) => Promise<Connection>
}

export interface RemoteChainInit {
  session: string
  /** PeerId of this node */
  self: string
  modelId: string
  architecture: Architecture
  stages: RemoteStage[]
  /** of the whole route */
  stageCount: number
  /** 0: as much as the stages give, none of it promised */
  capacity: number
  sharing?: Sharing
  /** of `performance.now()`: a stage that has not opened by then is lost */
  openBy: number
  deadlines: Deadlines
  links: LinkPool
  log: Logger
}

interface PendingChunk {
  chunk: Chunk
  results: RowResult[]
  resolve: (result: ChunkResult) => void
  reject: (error: Error) => void
}

interface PendingReply {
  expected: KindNumber
  resolve: (frame: Frame) => void
  reject: (error: Error) => void
}

const EPOCH = 1

/** What all stages of a chain allow, and hold at first. */
type Granted = Pick<Segment, 'window' | 'rowsPerStep' | 'capacity' | 'held'>

/**
 * Opens a session along consecutive remote stages and gives the segment that
 * runs it (docs/protocol.md). Throws StageRefusedError, StageLostError and
 * their kin; nothing is left open then.
 */
export async function openRemoteChain (init: RemoteChainInit, { signal }: { signal?: AbortSignal } = {}): Promise<Segment> {
  const { stages, architecture, deadlines, log, sharing } = init
  const places = stages.map(({ description }) => description)
  const prefixes = sharing && stages.map((_stage, index) => createPrefixNames(prefixSeed(sharing.secret, sharing.modelId, [...sharing.passed, ...places.slice(0, index)])))
  for (const prefix of prefixes ?? []) prefix.extend(sharing!.ids)
  const last = stages.length - 1
  const subscriptions: Subscription[] = []
  const replies = new Map<string, PendingReply>()
  const chunks = new Map<number, PendingChunk>()
  /** probes of each stage since its last reply, and that reply */
  const unanswered = stages.map(() => 0)
  const probed = stages.map((): ReturnType<typeof decodeProbed> | undefined => undefined)
  const hiddenSize = places[last].range.to === architecture.layerCount + 2 ? undefined : architecture.hiddenSize
  let failureListener: ((error: Error) => void) | undefined
  let failure: Error | undefined
  let closed = false
  let opening = true
  /** control requests have numbers of their own, far from those of steps */
  let controlSequence = 0x80000000
  let lastProgress = 0
  let watch: NodeJS.Timeout | undefined

  function fail (error: Error): void {
    if (failure !== undefined || closed) return
    failure = error
    log('session %s: %s', init.session, error.message)
    clearTimeout(watch)
    for (const pending of [...replies.values(), ...chunks.values()]) pending.reject(error)
    replies.clear()
    chunks.clear()
    // the stages that are left free their memory at once; `close` of an opening is up to `openRemoteChain`
    if (!opening) release()
    failureListener?.(error)
  }

  function release (): void {
    for (const [index, subscription] of subscriptions.entries()) {
      send(index, { kind: Kind.close, sequence: 0 })
      subscription.release()
    }
  }

  function send (index: number, frame: Omit<FrameInit, 'session' | 'epoch'>): void {
    subscriptions[index]?.link.send({ ...frame, session: init.session, epoch: EPOCH })
  }

  async function request (index: number, frame: Omit<FrameInit, 'session' | 'epoch' | 'sequence'>, expected: KindNumber, milliseconds: number, sequence?: number): Promise<Frame> {
    if (failure !== undefined) throw failure
    const number = sequence ?? ++controlSequence
    const key = `${index}:${number}`
    const { promise, resolve, reject } = Promise.withResolvers<Frame>()
    replies.set(key, { expected, resolve, reject })
    const timer = setTimeout(() => reject(new StageLostError(places[index], `no reply within ${Math.round(milliseconds)} ms`)), milliseconds)
    try {
      send(index, { ...frame, sequence: number, deadline: Math.max(1, Math.floor(milliseconds)) })
      return await promise
    } finally {
      clearTimeout(timer)
      replies.delete(key)
    }
  }

  // ---- frames from the stages ----

  function onFrame (index: number, frame: Frame): void {
    if (frame.epoch !== EPOCH || closed || failure !== undefined) return
    if (frame.kind === Kind.answer) return onAnswer(index, frame)
    const key = `${index}:${frame.sequence}`
    const pending = replies.get(key)
    if (frame.kind === Kind.error) return onError(index, frame, pending)
    if (pending?.expected === frame.kind) pending.resolve(frame)
  }

  function onError (index: number, frame: Frame, pending: PendingReply | undefined): void {
    const record = decodeError(frame.record!)
    const error = stageError(record, accusedStage(record, places[index], places), opening)
    if (pending !== undefined) return pending.reject(error)
    // a stage that has lost its neighbour keeps the session, but nothing passes through it
    if (record.sessionLost || error.sessionLost || opening) return fail(error)
    const chunk = chunks.get(frame.sequence)
    chunks.delete(frame.sequence)
    chunk?.reject(error)
  }

  function onAnswer (index: number, frame: Frame): void {
    // only the last stage answers, and only what is under way: the rest was cancelled
    const pending = chunks.get(frame.sequence)
    if (index !== last || pending === undefined) return
    lastProgress = performance.now()
    const { chunk, results } = pending
    let problem = answerProblem(frame, chunk, hiddenSize)
    if (problem === undefined) {
      for (const result of frame.results ?? []) results.push(result)
      if (results.length > chunk.outputs.length) problem = 'its answer has more results than asked for'
      else if (frame.more) return
      else if (hiddenSize === undefined) problem = resultsProblem(results, chunk.outputs, architecture.vocabularySize)
    }
    if (problem !== undefined) return fail(new StageFailedError(places[last], problem, { sessionLost: true }))
    chunks.delete(frame.sequence)
    pending.resolve({ hidden: frame.hidden, results: hiddenSize === undefined ? results : undefined, spans: frame.spans.slice(-stages.length) })
  }

  // ---- watching ----

  /** While an answer is due: asks every stage for a sign of life, and sees to the deadline. */
  function tick (): void {
    watch = undefined
    if (chunks.size === 0 || failure !== undefined || closed) return
    const now = performance.now()
    const silent = unanswered.findIndex(count => count * PROBE_INTERVAL_MILLISECONDS >= PROBE_TIMEOUT_MILLISECONDS)
    if (silent >= 0) return fail(new StageLostError(places[silent], `no sign of life within ${PROBE_TIMEOUT_MILLISECONDS} ms`))
    if (now - lastProgress >= deadlines.step) return fail(stalled(now - lastProgress))
    if (now - lastProgress >= PROBE_INTERVAL_MILLISECONDS) for (const index of stages.keys()) probe(index)
    startWatch()
  }

  function startWatch (): void {
    watch ??= setTimeout(tick, Math.min(PROBE_INTERVAL_MILLISECONDS, Math.max(1, lastProgress + deadlines.step - performance.now() + 1)))
  }

  function probe (index: number): void {
    unanswered[index]++
    request(index, { kind: Kind.probe }, Kind.probed, 2 * PROBE_TIMEOUT_MILLISECONDS).then(frame => {
      unanswered[index] = 0
      probed[index] = decodeProbed(frame.record!)
    }).catch(error => {
      // an error in reply to a probe: the stage has lost the session; silence is counted by `tick`
      if (error instanceof StageFailedError) fail(error)
    })
  }

  /** The first stage that has the oldest chunk and has not passed it on; or the one that did not get it. */
  function stalled (milliseconds: number): StageStalledError {
    const oldest = Math.min(...chunks.keys())
    let index = probed.findIndex(state => state === undefined || state.finished < oldest)
    if (index < 0) index = last
    return new StageStalledError(places[index], `no progress within ${Math.round(milliseconds)} ms`)
  }

  // ---- opening ----

  function timeToOpen (): number {
    return Math.max(1, init.openBy - performance.now())
  }

  async function subscribe (index: number): Promise<void> {
    const { description, connect } = stages[index]
    const inTime = AbortSignal.any([AbortSignal.timeout(Math.ceil(timeToOpen())), ...signal === undefined ? [] : [signal]])
    try {
      subscriptions[index] = await init.links.subscribe(description.peerId, init.session, {
        onFrame: frame => onFrame(index, frame),
        onClose: error => fail(new StageLostError(places[index], error === undefined ? 'it closed the connection' : `the connection broke (${error.message})`, error))
      }, connect, inTime)
    } catch (error) {
      if (error instanceof PeerError && error.code === 'ERR_INCOMPATIBLE_VERSION') throw error
      throw new StageLostError(places[index], (error as Error).message, error)
    }
  }

  async function open (): Promise<Granted> {
    await settleAll(stages.map(async (_stage, index) => await subscribe(index)))
    const opened = (await settleAll(stages.map(async ({ description }, index) => {
      const record = encodeOpen({
        modelId: init.modelId,
        range: description.range,
        stage: description.stage,
        stages: init.stageCount,
        capacity: init.capacity,
        upstream: index === 0 ? init.self : places[index - 1].peerId,
        downstream: index === last ? init.self : places[index + 1].peerId,
        prefix: prefixes?.[index].names ?? []
      })
      return await request(index, { kind: Kind.open, record }, Kind.opened, timeToOpen())
    }))).map(frame => decodeOpened(frame.record!))
    for (const [index, { held }] of opened.entries()) {
      if (held > (prefixes?.[index].names.length ?? 0) * PREFIX_STRIDE) throw new StageFailedError(places[index], `it says that it holds ${held} positions, which is more than it was asked for`, { sessionLost: true })
    }
    const confirmed = await settleAll(places.slice(1).map(async (_place, hop) => await request(hop + 1, { kind: Kind.confirm, record: opened[hop].nonce }, Kind.confirmed, timeToOpen())))
    await settleAll(confirmed.map(async (frame, hop) => await request(hop, { kind: Kind.connect, record: frame.record }, Kind.done, timeToOpen())))
    return {
      window: Math.min(...opened.map(({ window }) => window)),
      rowsPerStep: Math.min(...opened.map(({ rowsPerStep }) => rowsPerStep)),
      capacity: Math.min(...opened.map(({ capacity }) => capacity)),
      held: Math.min(...opened.map(({ held }) => held))
    }
  }

  /** Waits for all, so that nothing happens behind the caller's back, then throws the first failure that says most. */
  async function settleAll<T> (promises: Array<Promise<T>>): Promise<T[]> {
    const outcomes = await Promise.allSettled(promises)
    const errors = outcomes.filter(outcome => outcome.status === 'rejected').map(outcome => outcome.reason as Error)
    if (errors.length > 0) throw errors.find(error => !(error instanceof StageLostError)) ?? errors[0]
    return outcomes.map(outcome => (outcome as PromiseFulfilledResult<T>).value)
  }

  async function close (): Promise<void> {
    if (closed) return
    if (failure === undefined) release()
    closed = true
    clearTimeout(watch)
    const error = new SessionClosedError()
    for (const pending of [...replies.values(), ...chunks.values()]) pending.reject(error)
    replies.clear()
    chunks.clear()
  }

  let granted: Granted
  const onAbort = (): void => fail(signal?.reason instanceof Error ? signal.reason : new SessionClosedError())
  signal?.addEventListener('abort', onAbort, { once: true })
  try {
    signal?.throwIfAborted()
    granted = await open()
    if (failure !== undefined) throw failure
  } catch (error) {
    release()
    closed = true
    throw failure ?? error
  } finally {
    signal?.removeEventListener('abort', onAbort)
  }
  opening = false

  return {
    stages: places,
    ...granted,
    get failure () {
      return failure
    },
    onFailure (listener) {
      failureListener = listener
      if (failure !== undefined) listener(failure)
    },
    async process (chunk) {
      if (failure !== undefined) throw failure
      if (closed) throw new SessionClosedError()
      const { promise, resolve, reject } = Promise.withResolvers<ChunkResult>()
      if (chunks.size === 0) {
        lastProgress = performance.now()
        unanswered.fill(0)
        probed.fill(undefined)
      }
      startWatch()
      const deadline = Math.ceil(deadlines.step * STAGE_SHARE_OF_DEADLINE) * (chunks.size + 1)
      chunks.set(chunk.sequence, { chunk, results: [], resolve, reject })
      const { sequence, position, rows, tokens, hidden, outputs } = chunk
      send(0, { kind: Kind.step, sequence, position, rows, tokens, hidden, outputs, deadline })
      return await promise
    },
    async cancel (sequence) {
      for (const [number, pending] of chunks) {
        if (number >= sequence) continue
        chunks.delete(number)
        pending.reject(new SessionClosedError())
      }
      await settleAll(stages.map(async (_stage, index) => await request(index, { kind: Kind.cancel }, Kind.done, CONTROL_MILLISECONDS, sequence)))
    },
    async truncate (sequence, length) {
      await settleAll(stages.map(async (_stage, index) => await request(index, { kind: Kind.truncate, position: length }, Kind.done, CONTROL_MILLISECONDS, sequence)))
    },
    name: prefixes && ((sequence, ids, changed) => {
      if (failure !== undefined || closed) return
      for (const [index, prefix] of prefixes.entries()) {
        const before = prefix.names.length
        prefix.cut(changed)
        // a stage may have missed names of what was replaced
        const first = prefix.names.length < before ? 0 : before
        prefix.extend(ids)
        if (prefix.names.length > first) send(index, { kind: Kind.name, sequence, record: encodeName({ first, names: prefix.names.slice(first) }) })
      }
    }),
    close
  }
}
