import type { Architecture } from '../../model/index.ts'
import type { RowResult } from '../../engine/index.ts'
import { CHUNK_ROWS, MAXIMUM_STEP_FAILURES, PREFIX_STRIDE } from '../constants.ts'
import { InvalidRequestError, SessionClosedError } from '../errors.ts'
import type { RouteSession, StageDescription, StepRequest, StepTimings } from '../types.ts'
import { checkStep } from './check-step.ts'
import type { History } from './history.ts'
import type { LiveRoute } from './live-route.ts'
import { runStep } from './run-step.ts'

export interface RouteSessionInit {
  id: string
  architecture: Architecture
  route: LiveRoute
  history: History
  chunkRows?: number
  /** a step has run without an interruption */
  onStep?: (route: readonly StageDescription[], timings: StepTimings, rows: number) => void
}

/** Drives a session along its route: one step after another, through repairs of the route too, and cleans up after failures. */
export function createRouteSession ({ id, architecture, route, history, chunkRows = CHUNK_ROWS, onStep }: RouteSessionInit): RouteSession {
  const { ids } = history
  const { vocabularySize } = architecture
  /** what the stages were not told of yet begins here */
  let unnamed = ids.length
  let closing: Promise<void> | undefined
  let lastTimings: StepTimings | undefined
  /** steps, truncations and clean-ups, one after another */
  let tail: Promise<unknown> = Promise.resolve()
  let busy = 0
  let cleanUp: Promise<unknown> | undefined

  // what is repaired while nothing is asked of the session, nobody has to wait for
  let restless = false
  route.onUnready(() => {
    restless = true
    settleDown()
  })

  function settleDown (): void {
    if (!restless || busy > 0 || closing !== undefined) return
    restless = false
    // the next step tries again, and tells
    route.prepare().catch(() => {})
  }

  function assertOpen (): void {
    if (closing !== undefined) throw new SessionClosedError()
  }

  async function inOrder<T> (signal: AbortSignal | undefined, work: () => Promise<T>): Promise<T> {
    const before = tail
    const waits = busy++ > 0
    const result = (async () => {
      if (waits) await before
      try {
        return await work()
      } finally {
        busy--
        settleDown()
      }
    })()
    tail = result.catch(() => {})
    // who waits for others can give up before its turn
    return waits ? await abortable(result, signal) : await result
  }

  async function ready (signal: AbortSignal | undefined): Promise<void> {
    assertOpen()
    if (cleanUp !== undefined) await abortable(cleanUp, signal)
    cleanUp = undefined
    if (route.unready) await prepare(signal)
    assertOpen()
  }

  async function prepare (signal: AbortSignal | undefined): Promise<void> {
    restless = false
    await abortable(route.prepare(), signal)
  }

  async function run (request: StepRequest, position: number, signal: AbortSignal | undefined): Promise<RowResult[]> {
    const started = performance.now()
    const noTimes = (): StepTimings => ({ totalMilliseconds: 0, computeMilliseconds: new Array<number>(route.stages.length).fill(0), chunks: 0 })
    const step = { request, done: 0, results: [] as RowResult[], timings: noTimes() }
    let failures = 0
    let interrupted = false
    signal?.throwIfAborted()
    forget(position)
    history.wanted = position + request.tokens.length
    try {
      for (;;) {
        try {
          await runStep(step, { segments: route.segments, grant: route.grant, chunkRows, vocabularySize, history, signal })
          break
        } catch (error) {
          assertOpen()
          signal?.throwIfAborted()
          // an engine that fails at one peer after another would fail anywhere
          const { broken } = route
          if (!route.replace(error) || (!broken && ++failures > MAXIMUM_STEP_FAILURES)) throw error
          interrupted = true
          await prepare(signal)
          step.timings = noTimes()
        }
      }
    } catch (error) {
      giveUp(position)
      throw error
    }
    nameHeld()
    step.timings.totalMilliseconds = performance.now() - started
    lastTimings = step.timings
    if (!interrupted) onStep?.(route.stages, step.timings, request.tokens.length)
    return step.results
  }

  function forget (from: number): void {
    ids.length = Math.min(ids.length, from)
    unnamed = Math.min(unnamed, from)
  }

  /** Tells the stages what they hold, where that may be of use to other sessions. */
  function nameHeld (): void {
    if (Math.floor(ids.length / PREFIX_STRIDE) <= Math.floor(unnamed / PREFIX_STRIDE)) return
    for (const segment of route.segments) segment.name?.(history.sequence, ids, unnamed)
    unnamed = ids.length
  }

  /** After it no chunk of a step that was given up is under way; a route that cannot be cleaned up is repaired. */
  function giveUp (position: number): void {
    forget(position)
    history.wanted = ids.length
    if (closing !== undefined || route.unready) return
    const below = ++history.sequence
    // the caller does not wait for it, the next step does
    cleanUp = Promise.allSettled(route.segments.map(async segment => await segment.cancel(below)))
  }

  return {
    id,
    get route () {
      return route.stages
    },
    architecture,
    get capacity () {
      return route.grant.capacity
    },
    get length () {
      return ids.length
    },
    heldIds: ids,
    get lastTimings () {
      return lastTimings
    },
    async step (request, options = {}) {
      const { signal } = options
      return await inOrder(signal, async () => {
        if (closing !== undefined || cleanUp !== undefined || route.unready) await ready(signal)
        return await run(request, checkStep(request, ids.length, route.grant.capacity, vocabularySize), signal)
      })
    },
    async truncate (length, options = {}) {
      const { signal } = options
      await inOrder(signal, async () => {
        await ready(signal)
        signal?.throwIfAborted()
        if (!Number.isInteger(length) || length < 0 || length > ids.length) throw new InvalidRequestError(`truncation to ${length}: the session holds ${ids.length}`)
        forget(length)
        history.wanted = length
        const below = ++history.sequence
        try {
          await Promise.all(route.segments.map(async segment => await segment.truncate(below, length)))
        } catch (error) {
          assertOpen()
          if (!route.replace(error)) throw error
          // whatever stages hold beyond the end is replaced by the next step
          await prepare(signal)
        }
      })
    },
    async close () {
      closing ??= route.close()
      await closing
    }
  }
}

/** As the promise, but for a caller who may give up sooner. */
async function abortable<T> (promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return await promise
  promise.catch(() => {})
  signal.throwIfAborted()
  const { promise: aborted, reject } = Promise.withResolvers<never>()
  const onAbort = (): void => reject(signal.reason)
  signal.addEventListener('abort', onAbort, { once: true })
  try {
    return await Promise.race([promise, aborted])
  } finally {
    signal.removeEventListener('abort', onAbort)
  }
}
