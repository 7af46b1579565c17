import { RANK_STEP } from './constants.ts'
import { InvalidProblemError } from './errors.ts'

/** Rank at which factors hold as many values as the matrix itself, rows·columns ÷ (rows + columns), rounded down. */
export function breakEvenRank (rows: number, columns: number): number {
  return Math.floor(rows * columns / (rows + columns))
}

/**
 * The ranks worth trying for a matrix, ascending: multiples of the step (of 8)
 * below break-even; at break-even and above a dense matrix takes no more room
 * and loses nothing.
 *
 * @param options.most largest rank
 * @param options.step multiple of 8
 */
export function candidateRanks (rows: number, columns: number, options: { most?: number, step?: number } = {}): number[] {
  const { most = Infinity, step = RANK_STEP } = options
  if (!Number.isInteger(step) || step <= 0 || step % RANK_STEP !== 0) throw new InvalidProblemError('step', `${step} is not a multiple of ${RANK_STEP}`)
  const ranks: number[] = []
  for (let rank = step; rank <= most && rank * (rows + columns) < rows * columns; rank += step) ranks.push(rank)
  return ranks
}

/** The multiple of 8 whose factors come closest to a share of the matrix's values, at least 8. */
export function rankForShare (rows: number, columns: number, share: number): number {
  if (!(share > 0 && share <= 1)) throw new InvalidProblemError('share', `${share} is not within 0 to 1`)
  return Math.max(RANK_STEP, Math.round(share * rows * columns / (rows + columns) / RANK_STEP) * RANK_STEP)
}
