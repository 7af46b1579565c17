import type { RowResult } from '../../engine/index.ts'
import { MAXIMUM_ANSWER_BYTES, MAXIMUM_OUTPUT_BYTES } from '../constants.ts'
import { SessionClosedError } from '../errors.ts'
import type { StepRequest, StepTimings } from '../types.ts'
import { cutChunks } from './cut-chunks.ts'
import type { History } from './history.ts'
import type { Chunk, ChunkResult, Grant, Segment } from './segment.ts'

/** A step that is under way; what has been answered of it stays. */
export interface StepState {
  readonly request: StepRequest
  /** rows that have been answered: their ids are part of the history */
  done: number
  readonly results: RowResult[]
  /** of the route that it runs on now */
  timings: StepTimings
}

export interface RunStepInit {
  segments: readonly Segment[]
  grant: Grant
  chunkRows: number
  vocabularySize: number
  history: History
  signal?: AbortSignal
}

/** Runs what is left of a step; long ones go in chunks, as many at once as the stages allow. Throws what segments throw, or the signal's reason. */
export async function runStep (step: StepState, init: RunStepInit): Promise<void> {
  const { segments, grant, history, signal, vocabularySize } = init
  const { timings, results } = step
  const tokens = step.done === 0 ? step.request.tokens : step.request.tokens.subarray(step.done)
  const outputs = outputsFrom(step)
  const first = history.ids.length
  const base = step.done
  const state = { failed: false }
  const stop = Promise.withResolvers<never>()
  stop.promise.catch(() => {})
  const onAbort = (): void => stop.reject(signal!.reason)
  signal?.throwIfAborted()
  signal?.addEventListener('abort', onAbort, { once: true })
  const underWay: Array<{ rows: number, answer: Promise<RowResult[]> }> = []

  async function along (chunk: Chunk): Promise<ChunkResult> {
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

  async function take (): Promise<void> {
    const { rows, answer } = underWay.shift()!
    results.push(...await Promise.race([answer, stop.promise]))
    for (let row = 0; row < rows; row++) history.ids.push(step.request.tokens[step.done++])
  }

  try {
    const rows = Math.max(1, Math.min(init.chunkRows, grant.rowsPerStep))
    for (const { start, rows: count, outputs: wanted } of cutChunks(tokens.length, outputs, { rows, answerBytes: MAXIMUM_ANSWER_BYTES, outputBytes: MAXIMUM_OUTPUT_BYTES, vocabularySize })) {
      if (underWay.length >= grant.window) await take()
      const chunk = { sequence: ++history.sequence, position: first + start, rows: count, tokens: tokens.subarray(start, start + count), outputs: wanted }
      const answer = along(chunk).then(result => (result.results ?? []).map(entry => ({ ...entry, row: entry.row + start + base })))
      answer.catch(error => {
        state.failed = true
        stop.reject(error)
      })
      underWay.push({ rows: count, answer })
      timings.chunks++
    }
    while (underWay.length > 0) await take()
  } finally {
    state.failed = true
    signal?.removeEventListener('abort', onAbort)
  }
}

function outputsFrom ({ request: { outputs = [] }, done }: StepState): NonNullable<StepRequest['outputs']> {
  if (done === 0) return outputs
  return outputs.filter(({ row }) => row >= done).map(({ row, output }) => ({ row: row - done, output }))
}
