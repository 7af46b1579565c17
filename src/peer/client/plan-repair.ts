/** What a stage has of the positions of a session. Stages of this machine say the same of themselves. */
export interface StageState {
  /** positions [0, held) are in its KV cache */
  held: number
  /** what it made of positions [0, kept) can be sent to the stage behind it once more */
  kept: number
}

/** Positions that go through some stages once more. */
export interface Replay {
  /** the stage whose kept outputs are sent, from 1; 0: the client's token ids */
  source: number
  /** the stage where the replay ends; it begins with the one after the source */
  until: number
  /** positions [from, to) */
  from: number
  to: number
}

/**
 * What has to be replayed, so that every stage of a route has the positions
 * [0, length) in its KV cache: for each run of stages that lack positions, from
 * the last stage before them that still has what they need, or else from the
 * token ids. A stage that has lost its outputs computes them again on the way.
 * No stage runs a position without need.
 *
 * The replays of a round go through different stages and can run at the same
 * time; a round begins when the one before it has ended, since positions of a
 * stage come in order.
 */
export function planReplays (stages: readonly StageState[], length: number): Replay[][] {
  /** each stage runs the positions from here on: those it lacks, and those whose outputs the next one lacks and nobody kept */
  const begins = new Array<number>(stages.length)
  let wanted = length
  for (let index = stages.length - 1; index >= 0; index--) {
    const { held, kept } = stages[index]
    wanted = Math.min(length, held, Math.max(kept, wanted))
    begins[index] = wanted
  }
  const rounds: Replay[][] = []
  const bounds = [...new Set([...begins, length])].filter(bound => bound <= length).sort((a, b) => a - b)
  for (const [index, from] of bounds.slice(0, -1).entries()) rounds.push(round(begins, from, bounds[index + 1]))
  return rounds
}

function round (begins: readonly number[], from: number, to: number): Replay[] {
  const replays: Replay[] = []
  for (let index = 0; index < begins.length; index++) {
    if (begins[index] > from) continue
    const source = index
    while (index + 1 < begins.length && begins[index + 1] <= from) index++
    replays.push({ source, until: index + 1, from, to })
  }
  return replays
}

/** Positions that stages run again, all together: what a repair costs. */
export function replayedPositions (rounds: readonly Replay[][]): number {
  return rounds.flat().reduce((sum, { from, to }) => sum + to - from, 0)
}
