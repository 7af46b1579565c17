import { lowerHull, undominated } from './convex-hull.ts'
import { BudgetTooSmallError, InvalidProblemError } from './errors.ts'
import { exchange } from './exchange.ts'
import type { Allocation, Candidate, MatrixCandidates } from './types.ts'

/** From one candidate on a matrix's hull to the next. */
interface Step<C> {
  matrix: number
  to: C
  bytes: number
  /** error that it saves */
  gain: number
}

/**
 * Chooses one candidate for each matrix so that the summed error is small and
 * the summed bytes stay within a budget: the multiple-choice knapsack problem.
 *
 * Steps along the convex hulls are taken in the order of error saved a byte
 * (Sinha and Zoltners, The multiple-choice knapsack problem, 1979): the
 * multiplier of Lagrange at which the budget is met. The step that no longer
 * fits gives the lower bound; then smaller steps fill what is left, and
 * exchanges, off the hulls too, improve on it. The error is above the optimum
 * by no more than `error - lowerBound`, and that by no more than one step of
 * one matrix saves.
 *
 * @throws BudgetTooSmallError where the smallest candidates do not fit
 * @throws InvalidProblemError where a matrix has no candidates, or bytes or errors are not numbers ≥ 0
 */
export function allocate<C extends Candidate> (matrices: ReadonlyArray<MatrixCandidates<C>>, budgetBytes: number): Allocation<C> {
  if (!(budgetBytes >= 0)) throw new InvalidProblemError('budgetBytes', `${budgetBytes} is not a number of bytes`)
  const sets = matrices.map(matrix => undominated(checked(matrix)))
  const choices = sets.map(set => set[0])
  const smallest = sum(choices, 'bytes')
  if (smallest > budgetBytes) throw new BudgetTooSmallError(budgetBytes, smallest)

  const lowerBound = takeSteps(choices, sets.map(lowerHull), budgetBytes - smallest)
  exchange(choices, sets, budgetBytes)
  const error = sum(choices, 'error')
  return {
    choices: choices.map((candidate, i) => ({ name: matrices[i].name, candidate })),
    bytes: sum(choices, 'bytes'),
    error,
    // equal sums may round differently
    lowerBound: Math.min(lowerBound, error)
  }
}

/** An allocation for each of several ranges with a budget of its own; the ranges do not affect each other. */
export function allocateRanges<C extends Candidate> (ranges: ReadonlyArray<{ matrices: ReadonlyArray<MatrixCandidates<C>>, budgetBytes: number }>): Array<Allocation<C>> {
  return ranges.map(({ matrices, budgetBytes }) => allocate(matrices, budgetBytes))
}

/** Takes the best steps that fit, in place, and gives the bound of Lagrange. */
function takeSteps<C extends Candidate> (choices: C[], hulls: C[][], free: number): number {
  const steps = hulls.flatMap((hull, matrix) => hull.slice(1).map((to, i): Step<C> => ({
    matrix, to, bytes: to.bytes - hull[i].bytes, gain: hull[i].error - to.error
  })))
  // on one hull the ratios fall, so its steps stay in order
  steps.sort((a, b) => b.gain * a.bytes - a.gain * b.bytes || a.matrix - b.matrix || a.to.bytes - b.to.bytes)
  const skipped = new Set<number>()
  let bound: number | undefined
  for (const { matrix, to, bytes, gain } of steps) {
    if (skipped.has(matrix)) continue
    if (bytes <= free) {
      choices[matrix] = to
      free -= bytes
    } else {
      bound ??= sum(choices, 'error') - gain * free / bytes
      skipped.add(matrix)
    }
  }
  return bound ?? sum(choices, 'error')
}

function checked<C extends Candidate> ({ name, candidates }: MatrixCandidates<C>): C[] {
  if (candidates.length === 0) throw new InvalidProblemError('candidates', `${name} has none`)
  for (const { bytes, error } of candidates) {
    if (!(bytes >= 0 && error >= 0 && Number.isFinite(bytes) && Number.isFinite(error))) {
      throw new InvalidProblemError('candidates', `${name} has one of ${bytes} bytes and error ${error}`)
    }
  }
  return candidates
}

function sum (candidates: readonly Candidate[], field: 'bytes' | 'error'): number {
  return candidates.reduce((sum, candidate) => sum + candidate[field], 0)
}
