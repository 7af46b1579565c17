import { RACE_MILLISECONDS } from './constants.ts'
import { availableVariants } from './kernels.ts'
import type { Arena } from './arena.ts'
import type { KernelVariant } from './kernels.ts'

/**
 * The variant that is fastest on this machine, by timing each on a matrix of
 * the model. All give the same bits, so the choice is free. Runs on scratch
 * memory before the first step.
 */
export function fastestVariant (arena: Arena): KernelVariant {
  const variants = availableVariants().filter(variant => variant !== 'plain')
  const unit = arena.layout.units.find(unit => unit.matrices.query !== undefined)
  if (variants.length < 2 || unit === undefined) return arena.variant
  const matrix = unit.matrices.query!
  const { activations, query } = arena.layout.scratch
  const chosen = arena.variant
  const run = (variant: KernelVariant, milliseconds: number): number => {
    arena.variant = variant
    const end = performance.now() + milliseconds
    let best = Infinity
    while (performance.now() < end) {
      const begin = performance.now()
      arena.product(matrix, activations, query, 0, matrix.paddedRows, 4)
      best = Math.min(best, performance.now() - begin)
    }
    return best
  }
  for (const variant of variants) run(variant, RACE_MILLISECONDS)
  const times = variants.map(variant => run(variant, RACE_MILLISECONDS))
  arena.variant = chosen
  return variants[times.indexOf(Math.min(...times))]
}
