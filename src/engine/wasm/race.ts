import { RACE_MILLISECONDS, RACE_ROUNDS, RACE_ROWS, RACE_TOKENS } from './constants.ts'
import { availableVariants } from './kernels.ts'
import type { Arena } from './arena.ts'
import type { ArenaLayout } from './arena-layout.ts'
import type { KernelChoice, KernelVariant } from './kernels.ts'
import type { MatrixLayout } from './matrix-layout.ts'

/** The matrix that kernels are raced on; undefined where there is nothing to choose from, or nothing to race on. */
export function raceMatrix (layout: ArenaLayout): MatrixLayout | undefined {
  return contestants().length < 2 ? undefined : layout.units.map(unit => unit.matrices.query).find(hasWeights)
}

/** A matrix with codes of 8 bits, or its first rows, if there is one. */
export function byteMatrix (layout: ArenaLayout): MatrixLayout | undefined {
  const matrix = layout.units.flatMap(({ matrices: { query, up, embedding, projection } }) => [query, up, embedding, projection])
    .find(matrix => matrix?.bits === 8 && hasWeights(matrix))
  return matrix && { ...matrix, paddedRows: Math.min(matrix.paddedRows, RACE_ROWS) }
}

/**
 * What is fastest on this machine, by timing each on matrices of the model. All
 * give the same bits, so the choice is free. Runs on scratch memory before the
 * first step. One token goes through all layers in turn, since most of its time
 * is spent waiting for memory; many tokens through one matrix.
 */
export function fastestKernels (arena: Arena): KernelChoice {
  const matrix = raceMatrix(arena.layout)
  if (matrix === undefined) return arena.choice
  const layers = arena.layout.units.map(({ matrices }) => matrices.up).filter(hasWeights)
  if (layers.length === 0) return arena.choice
  const before = arena.choice
  const vectors = contestants().flatMap(vector => ([1, 4] as const).map(streams => ({ ...before, vector, streams })))
  const { vector, streams } = fastest(arena, vectors, layers, 1)
  const { tile } = fastest(arena, contestants().map(tile => ({ ...before, tile })), [matrix], RACE_TOKENS)
  const ofBytes = byteMatrix(arena.layout)
  const { bytes } = ofBytes === undefined ? { bytes: vector } : fastest(arena, contestants().map(bytes => ({ ...before, bytes })), [ofBytes], 1)
  arena.choice = before
  return { vector, tile, bytes, streams }
}

function fastest (arena: Arena, choices: KernelChoice[], matrices: MatrixLayout[], tokens: number): KernelChoice {
  const { activations, gate } = arena.layout.scratch
  let next = 0
  const speed = (choice: KernelChoice): number => {
    arena.choice = choice
    const begin = performance.now()
    let weights = 0
    do {
      const matrix = matrices[next++ % matrices.length]
      arena.product(matrix, activations, gate, 0, matrix.paddedRows, tokens)
      weights += matrix.paddedRows * matrix.columns
    } while (performance.now() - begin < RACE_MILLISECONDS)
    return weights / (performance.now() - begin)
  }
  for (const choice of choices) speed(choice)
  // the best of some rounds: other work on the machine only ever slows one down
  const speeds = choices.map(() => 0)
  for (let round = 0; round < RACE_ROUNDS; round++) {
    for (const [index, choice] of choices.entries()) speeds[index] = Math.max(speeds[index], speed(choice))
  }
  return choices[speeds.indexOf(Math.max(...speeds))]
}

function hasWeights (matrix: MatrixLayout | undefined): matrix is MatrixLayout {
  return matrix !== undefined && !matrix.zero
}

/** Plain SIMD is for engines that have nothing else. */
export function contestants (): KernelVariant[] {
  return availableVariants().filter(variant => variant !== 'plain')
}
