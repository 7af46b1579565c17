import type { Architecture } from '../../model/index.ts'
import type { RowResult } from '../../engine/index.ts'
import { CHUNK_ROWS, MAXIMUM_ANSWER_BYTES, MAXIMUM_OUTPUT_BYTES, MAXIMUM_SCORE, MAXIMUM_TOP, PREFIX_STRIDE } from '../constants.ts'
import { CapacityError, InvalidRequestError, SessionClosedError, StageError } from '../errors.ts'
import type { RouteSession, StepRequest, StepTimings } from '../types.ts'
import { cutChunks } from './cut-chunks.ts'
import type { Chunk, ChunkResult, Segment } from './segment.ts'

export interface RouteSessionInit {
  id: string
  architecture: Architecture
  segments: Segment[]
  /** that the segments were asked for */
  promptIds?: ArrayLike<number>
  chunkRows?: number
}

/** Drives a session through the segments of a route: cuts steps into chunks, keeps within the credits, cleans up after failures. */
export function createRouteSession (init: RouteSessionInit): RouteSession {
  const { segments, architecture } = init
  const { vocabularySize } = architecture
  const capacity = Math.min(...segments.map(segment => segment.capacity))
  const window = Math.min(...segments.map(segment => segment.window))
  const chunkRows = Math.max(1, Math.min(init.chunkRows ?? CHUNK_ROWS, ...segments.map(segment => segment.rowsPerStep)))
  /** ids of the positions held */
  const ids = Array.from(init.promptIds ?? []).slice(0, Math.min(...segments.map(segment => segment.held)))
  /** what the stages were not told of yet begins here */
  let unnamed = ids.length
  let sequence = 0
  let failure: Error | undefined
  let closing: Promise<void> | undefined
  let lastTimings: StepTimings | undefined
  /** steps, truncations and clean-ups, one after another */
  let tail: Promise<unknown> = Promise.resolve()
  for (const segment of segments) segment.onFailure(error => { failure ??= error })

  function assertOpen (): void {
    if (closing !== undefined) throw new SessionClosedError()
    if (failure !== undefined) throw failure
  }

  async function inOrder<T> (work: () => Promise<T>): Promise<T> {
    const before = tail
    const result = (async () => {
      await before
      return await work()
    })()
    tail = result.catch(() => {})
    return await result
  }

  async function along (chunk: Chunk, timings: StepTimings, state: { failed: boolean }): Promise<ChunkResult> {
    let { tokens, hidden } = chunk
    let last: ChunkResult = { spans: [] }
    let stage = 0
    for (const segment of segments) {
      if (state.failed) throw new SessionClosedError()
      last = await segment.process({ ...chunk, tokens, hidden })
      tokens = undefined
      hidden = last.hidden
      for (let index = 0; index < segment.stages.length; index++) timings.computeMilliseconds[stage++] += last.spans[index] ?? 0
    }
    return last
  }

  async function run (request: StepRequest, position: number, signal: AbortSignal | undefined): Promise<RowResult[]> {
    const started = performance.now()
    const { tokens, outputs = [] } = request
    const timings: StepTimings = { totalMilliseconds: 0, computeMilliseconds: segments.flatMap(segment => segment.stages.map(() => 0)), chunks: 0 }
    const state = { failed: false }
    const stop = Promise.withResolvers<never>()
    stop.promise.catch(() => {})
    const onAbort = (): void => stop.reject(signal!.reason)
    signal?.throwIfAborted()
    signal?.addEventListener('abort', onAbort, { once: true })
    const underWay: Array<Promise<RowResult[]>> = []
    const results: RowResult[] = []
    forget(position)
    try {
      for (const { start, rows, outputs: wanted } of cutChunks(tokens.length, outputs, { rows: chunkRows, answerBytes: MAXIMUM_ANSWER_BYTES, outputBytes: MAXIMUM_OUTPUT_BYTES, vocabularySize })) {
        if (underWay.length >= window) results.push(...await Promise.race([underWay.shift()!, stop.promise]))
        const chunk = { sequence: ++sequence, position: position + start, rows, tokens: tokens.subarray(start, start + rows), outputs: wanted }
        const answer = along(chunk, timings, state).then(result => (result.results ?? []).map(entry => ({ ...entry, row: entry.row + start })))
        answer.catch(error => {
          state.failed = true
          stop.reject(error)
        })
        underWay.push(answer)
        timings.chunks++
      }
      while (underWay.length > 0) results.push(...await Promise.race([underWay.shift()!, stop.promise]))
    } catch (error) {
      state.failed = true
      await abandon(error, underWay)
      throw failure ?? error
    } finally {
      signal?.removeEventListener('abort', onAbort)
    }
    for (const id of tokens) ids.push(id)
    nameHeld()
    timings.totalMilliseconds = performance.now() - started
    lastTimings = timings
    return results
  }

  function forget (from: number): void {
    ids.length = Math.min(ids.length, from)
    unnamed = Math.min(unnamed, from)
  }

  /** Tells the stages what they hold, where that may be of use to other sessions. */
  function nameHeld (): void {
    if (Math.floor(ids.length / PREFIX_STRIDE) <= Math.floor(unnamed / PREFIX_STRIDE)) return
    for (const segment of segments) segment.name?.(sequence, ids, unnamed)
    unnamed = ids.length
  }

  /** After it no chunk of a step that was given up is under way; a session that cannot be cleaned up is lost. */
  async function abandon (error: unknown, underWay: Array<Promise<unknown>>): Promise<void> {
    for (const answer of underWay) answer.catch(() => {})
    if (error instanceof StageError && error.sessionLost) failure ??= error
    if (failure !== undefined || closing !== undefined) return
    const below = ++sequence
    // the caller does not wait for it, the next step does
    const clean = Promise.all(segments.map(async segment => await segment.cancel(below)))
    cleanUp = clean.then(() => {}, problem => { failure ??= problem as Error })
  }
  let cleanUp: Promise<void> = Promise.resolve()

  function check ({ tokens, position = ids.length, outputs = [] }: StepRequest): number {
    if (!(tokens.length >= 1)) throw new InvalidRequestError('a step needs at least one token')
    if (!Number.isInteger(position) || position < 0 || position > ids.length) throw new InvalidRequestError(`first position ${position}: the session holds ${ids.length}`)
    if (position + tokens.length > capacity) throw new CapacityError(position + tokens.length, capacity)
    for (const id of tokens) if (id >= vocabularySize) throw new InvalidRequestError(`token id ${id}: the vocabulary has ${vocabularySize}`)
    let previous = -1
    for (const { row, output } of outputs) {
      if (!Number.isInteger(row) || row <= previous || row >= tokens.length) throw new InvalidRequestError(`output of row ${row}: rows ascend, and the step has ${tokens.length}`)
      previous = row
      if (output.kind === 'top' && !(Number.isInteger(output.count) && output.count >= 1 && output.count <= MAXIMUM_TOP)) throw new InvalidRequestError(`the ${output.count} best logits: 1 to ${MAXIMUM_TOP} can be asked for, or all`)
      if (output.kind === 'score' && output.ids.length > MAXIMUM_SCORE) throw new InvalidRequestError(`scores of ${output.ids.length} ids: up to ${MAXIMUM_SCORE} can be asked for, or all logits`)
      if (output.kind === 'score' && output.ids.some(id => !(id >= 0 && id < vocabularySize))) throw new InvalidRequestError(`scores of ids beyond the vocabulary of ${vocabularySize}`)
    }
    return position
  }

  return {
    id: init.id,
    route: segments.flatMap(segment => segment.stages),
    architecture,
    capacity,
    get length () {
      return ids.length
    },
    heldIds: ids,
    get lastTimings () {
      return lastTimings
    },
    async step (request, options = {}) {
      return await inOrder(async () => {
        assertOpen()
        await cleanUp
        assertOpen()
        return await run(request, check(request), options.signal)
      })
    },
    async truncate (newLength, options = {}) {
      await inOrder(async () => {
        assertOpen()
        await cleanUp
        assertOpen()
        options.signal?.throwIfAborted()
        if (!Number.isInteger(newLength) || newLength < 0 || newLength > ids.length) throw new InvalidRequestError(`truncation to ${newLength}: the session holds ${ids.length}`)
        forget(newLength)
        const below = ++sequence
        try {
          await Promise.all(segments.map(async segment => await segment.truncate(below, newLength)))
        } catch (error) {
          failure ??= error as Error
          throw error
        }
      })
    },
    async close () {
      closing ??= Promise.all(segments.map(async segment => await segment.close().catch(() => {}))).then(() => {})
      await closing
    }
  }
}
