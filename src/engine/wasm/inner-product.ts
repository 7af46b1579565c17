import { RANK_BLOCK } from '../low-rank.ts'
import { ROW_GRAIN, SHARED_INNER_PRODUCTS } from './constants.ts'
import type { ActivationLayout } from './arena-layout.ts'
import type { Arena } from './arena.ts'
import type { FactorsLayout } from './low-rank-layout.ts'

/**
 * The inner sums of low-rank corrections, R·x, of matrices with the same
 * input: docs/numerics.md, section 10, steps 1 and 2. Products with these
 * matrices find them in scratch memory. Nothing is allocated in a step.
 */
export class InnerProduct {
  readonly #arena: Arena
  readonly #factors: FactorsLayout | undefined
  /** one row is no work to share */
  readonly #alone: boolean
  #x: ActivationLayout
  #rows = 0

  constructor (arena: Arena, factors: FactorsLayout | undefined) {
    this.#arena = arena
    this.#factors = factors
    this.#x = arena.layout.scratch.activations
    this.#alone = factors !== undefined && factors.right.rows * factors.right.columns * (1 - 1 / arena.threads) < SHARED_INNER_PRODUCTS
  }

  /**
   * Where there are factors: shares the work among the threads and waits for
   * all of it, or, where that would take longer, each thread does it for
   * itself: all write the same bytes, each before it reads them.
   */
  run (x: ActivationLayout, rows: number): void {
    if (this.#factors === undefined) return
    this.#x = x
    this.#rows = rows
    if (rows === 1 && this.#alone) return this.#work(0, this.#factors.right.rows)
    this.#arena.forEachPiece(this.#factors.right.rows, ROW_GRAIN, this.#work)
    this.#arena.barrier()
  }

  /** Pieces are whole blocks, so that who computes sums can quantise them. */
  readonly #work = (from: number, to: number): void => {
    const { right } = this.#factors!
    const { sums, codes, scales } = this.#arena.layout.scratch.inner
    this.#arena.product(right, this.#x, sums, from, to, this.#rows)
    this.#arena.kernels.quantiseRanks(
      sums + from * 4, codes + from * 2, scales + from / RANK_BLOCK * 4, (to - from) / RANK_BLOCK, this.#rows, right.paddedRows)
  }
}
