import { HistoryLostError } from '../errors.ts'
import type { Grant, Segment } from './segment.ts'
import { planReplays, replayedPositions } from './plan-repair.ts'
import type { Replay, StageState } from './plan-repair.ts'

export interface RunReplaysInit {
  segments: readonly Segment[]
  grant: Grant
  /** ids of the positions that the session holds */
  ids: readonly number[]
  /** rows of a chunk */
  chunkRows: number
  nextSequence: () => number
  /** called when a chunk has come to its end, with the milliseconds that each stage has computed */
  onChunk: (rows: number, spans: readonly number[]) => void
}

/**
 * Brings all stages of a route to the first `length` positions of the session,
 * each replay as one pipelined prefill; `states` is what they have, and is kept
 * up to date. Gives how many positions went through stages once more. Throws
 * what the segments throw.
 */
export async function runReplays (init: RunReplaysInit, states: StageState[], length = init.ids.length): Promise<number> {
  for (;;) {
    const rounds = planReplays(states, length)
    try {
      for (const round of rounds) await all(round.map(async replay => await runReplay(init, replay)))
      for (const replay of rounds.flat()) note(states, replay)
      return replayedPositions(rounds)
    } catch (error) {
      // what was replayed so far is simply replayed again, from further up
      if (!(error instanceof HistoryLostError) || states[error.stage - 1].kept === 0) throw error
      states[error.stage - 1].kept = 0
    }
  }
}

/** What stages have that ran a replay. */
function note (states: StageState[], { source, until, from, to }: Replay): void {
  for (const state of states.slice(source, until)) {
    // whatever they held behind it has been replaced
    state.held = to
    state.kept = from <= state.kept ? to : state.kept
  }
}

async function runReplay ({ segments, grant, ids, chunkRows, nextSequence, onChunk }: RunReplaysInit, { source, until, from, to }: Replay): Promise<void> {
  /** of the segment where the replay begins: the one of the source, or the first */
  const first = source === 0 ? 0 : segments.findIndex(({ stages }) => stages.some(({ stage }) => stage === source))
  const rows = Math.max(1, Math.min(chunkRows, grant.rowsPerStep))
  const state = { failed: false }

  async function along (position: number, count: number): Promise<void> {
    const sequence = nextSequence()
    const common = { sequence, position, rows: count }
    let tokens = source === 0 ? Uint32Array.from(ids.slice(position, position + count)) : undefined
    let hidden: Float32Array | undefined
    const spans: number[] = []
    for (const [index, segment] of segments.slice(first).entries()) {
      const { stages } = segment
      if (stages[0].stage > until) break
      if (state.failed) return
      const here = until <= stages[stages.length - 1].stage ? until : undefined
      const result = index === 0 && source > 0
        ? await segment.replay({ ...common, source, until })
        : await segment.process({ ...common, tokens, hidden, outputs: [], until: here })
      tokens = undefined
      hidden = result.hidden
      spans.push(...result.spans)
    }
    onChunk(count, spans)
  }

  const chunks: Array<Promise<void>> = []
  for (let position = from; position < to; position += rows) {
    const leaves = chunks[chunks.length - grant.window]
    if (leaves !== undefined) await leaves.catch(() => {})
    if (state.failed) break
    const chunk = along(position, Math.min(rows, to - position))
    chunk.catch(() => { state.failed = true })
    chunks.push(chunk)
  }
  await all(chunks)
}

/** Waits for all, so that nothing is under way any more when it throws. */
async function all (promises: Array<Promise<void>>): Promise<void> {
  const outcomes = await Promise.allSettled(promises)
  const failed = outcomes.filter(outcome => outcome.status === 'rejected').map(outcome => outcome.reason as Error)
  // who has lost a history is less than whoever has lost all
  if (failed.length > 0) throw failed.find(error => !(error instanceof HistoryLostError)) ?? failed[0]
}
