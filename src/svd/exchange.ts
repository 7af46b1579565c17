import { MAX_EXCHANGE_ROUNDS } from './constants.ts'
import type { Candidate } from './types.ts'

/** Another candidate for a matrix, against its present one. */
interface Change<C> {
  matrix: number
  to: C
  bytes: number
  error: number
}

/**
 * Improves an allocation in place: in each round one matrix gets a better
 * candidate, paid for by what is free and, where that is too little, by a
 * smaller candidate for one other matrix. Ends when no such exchange lowers the
 * error.
 */
export function exchange<C extends Candidate> (choices: C[], sets: readonly C[][], budgetBytes: number): void {
  for (let round = 0; round < MAX_EXCHANGE_ROUNDS; round++) {
    const free = budgetBytes - choices.reduce((sum, { bytes }) => sum + bytes, 0)
    const changes = sets.flatMap((set, matrix) => set
      .filter(candidate => candidate !== choices[matrix])
      .map((to): Change<C> => ({ matrix, to, bytes: to.bytes - choices[matrix].bytes, error: to.error - choices[matrix].error })))
    const cheapest = cheapestSaving(changes.filter(({ bytes }) => bytes < 0))
    // a gain that is rounding would let two exchanges undo each other for ever
    let best = -1e-12 * choices.reduce((sum, { error }) => sum + error, 0)
    let moves: Array<Change<C>> = []
    for (const change of changes) {
      if (change.error >= best) continue
      const saving = change.bytes <= free ? undefined : cheapest(change.bytes - free, change.matrix)
      if (change.bytes > free && saving === undefined) continue
      const error = change.error + (saving?.error ?? 0)
      if (error < best) {
        best = error
        moves = saving === undefined ? [change] : [change, saving]
      }
    }
    if (moves.length === 0) return
    for (const { matrix, to } of moves) choices[matrix] = to
  }
}

/** Gives the change that frees at least so many bytes, not on the matrix named, for the least error. */
function cheapestSaving<C> (changes: Array<Change<C>>): (bytes: number, except: number) => Change<C> | undefined {
  const sorted = [...changes].sort((a, b) => a.bytes - b.bytes)
  // the best two of different matrices among the first so many, so that one remains whichever matrix is excepted
  const bests: Array<[Change<C>, Change<C> | undefined]> = []
  for (const change of sorted) {
    const [first, second] = bests.at(-1) ?? [change, undefined]
    if (change.error < first.error) bests.push([change, change.matrix === first.matrix ? second : first])
    else if (change.matrix !== first.matrix && (second === undefined || change.error < second.error)) bests.push([first, change])
    else bests.push([first, second])
  }
  return (bytes, except) => {
    let low = 0
    let high = sorted.length
    while (low < high) {
      const middle = (low + high) >> 1
      if (sorted[middle].bytes <= -bytes) low = middle + 1
      else high = middle
    }
    const pair = bests[low - 1]
    return pair?.[0].matrix === except ? pair[1] : pair?.[0]
  }
}
