import { RANK_BLOCK } from '../low-rank.ts'
import { ROW_GRAIN } from './constants.ts'
import type { ActivationLayout } from './arena-layout.ts'
import type { Arena } from './arena.ts'
import type { FactorsLayout } from './low-rank-layout.ts'

/**
 * The inner sums of low-rank corrections, R·x, of matrices with the same
 * input, if there are any: docs/numerics.md, section 10, steps 1 and 2.
 * Computes this thread's part into scratch memory, in whole blocks so that who
 * computes sums can quantise them. The products that come next begin with the
 * matrices themselves, and wait for the other threads' parts before their
 * first correction: by then those are there.
 */
export function innerProduct (arena: Arena, factors: FactorsLayout | undefined, x: ActivationLayout, rows: number): void {
  if (factors === undefined) return
  const { right } = factors
  const { sums, codes, scales } = arena.layout.scratch.inner
  const begin = arena.partStart(right.rows, ROW_GRAIN, arena.thread)
  const end = arena.partStart(right.rows, ROW_GRAIN, arena.thread + 1)
  if (begin < end) {
    arena.product(right, x, sums, begin, end, rows)
    arena.kernels.quantiseRanks(sums + begin * 4, codes + begin * 2, scales + begin / RANK_BLOCK * 4, (end - begin) / RANK_BLOCK, rows, right.paddedRows)
  }
  arena.innerSumsDone()
}
