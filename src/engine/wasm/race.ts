import { RACE_MILLISECONDS, RACE_TOKENS } from './constants.ts'
import { availableVariants } from './kernels.ts'
import type { Arena } from './arena.ts'
import type { ArenaLayout } from './arena-layout.ts'
import type { KernelChoice, KernelVariant } from './kernels.ts'
import type { MatrixLayout } from './matrix-layout.ts'

/** The matrix that kernels are raced on; undefined where there is nothing to choose from, or nothing to race on. */
export function raceMatrix (layout: ArenaLayout): MatrixLayout | undefined {
  return contestants().length < 2 ? undefined : layout.units.find(unit => unit.matrices.query !== undefined)?.matrices.query
}

/**
 * The variants that are fastest on this machine, by timing each on a matrix of
 * the model. All give the same bits, so the choice is free. Runs on scratch
 * memory before the first step.
 */
export function fastestKernels (arena: Arena): KernelChoice {
  const matrix = raceMatrix(arena.layout)
  if (matrix === undefined) return arena.choice
  const { activations, query } = arena.layout.scratch
  const before = arena.choice
  const run = (variant: KernelVariant, tokens: number): number => {
    arena.choice = { vector: variant, tile: variant }
    const end = performance.now() + RACE_MILLISECONDS
    let best = Infinity
    while (performance.now() < end) {
      const begin = performance.now()
      arena.product(matrix, activations, query, 0, matrix.paddedRows, tokens)
      best = Math.min(best, performance.now() - begin)
    }
    return best
  }
  const variants = contestants()
  const fastest = (tokens: number): KernelVariant => {
    for (const variant of variants) run(variant, tokens)
    const times = variants.map(variant => run(variant, tokens))
    return variants[times.indexOf(Math.min(...times))]
  }
  const choice = { vector: fastest(1), tile: fastest(RACE_TOKENS) }
  arena.choice = before
  return choice
}

/** Plain SIMD is for engines that have nothing else. */
export function contestants (): KernelVariant[] {
  return availableVariants().filter(variant => variant !== 'plain')
}
