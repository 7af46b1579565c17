import { RACE_MILLISECONDS, RACE_ROUNDS, RACE_ROWS, RACE_TOKENS, ROW_GRAIN } from './constants.ts'
import { availableVariants } from './kernels.ts'
import type { TensorRole } from '../../model/index.ts'
import type { Arena } from './arena.ts'
import type { ArenaLayout } from './arena-layout.ts'
import type { KernelChoice, KernelVariant } from './kernels.ts'
import type { MatrixLayout } from './matrix-layout.ts'

/** Matrices of a model on which kernels are raced. Lists are empty where there is nothing to choose from. */
export interface RaceMatrices {
  /** with one token, by the bits of their codes in memory: those of layers, or else an embedding or a head */
  four: MatrixLayout[]
  eight: MatrixLayout[]
  /** with many tokens */
  tile: MatrixLayout[]
}

/** A call of a product as steps make it: rows [from, to). */
interface Call {
  matrix: MatrixLayout
  from: number
  to: number
}

/** The matrices of an arena on which its kernels are raced. */
export function raceMatrices (layout: ArenaLayout): RaceMatrices {
  if (contestants().length < 2) return { four: [], eight: [], tile: [] }
  const some = (roles: readonly TensorRole[], bits: MatrixLayout['bits']): MatrixLayout[] =>
    layout.units.flatMap(({ matrices }) => roles.map(role => matrices[role])).filter(matrix => matrix !== undefined && matrix.bits === bits && matrix.zero !== true) as MatrixLayout[]
  const ofBits = (bits: MatrixLayout['bits']): MatrixLayout[] => {
    const inLayers = some(['gate', 'up', 'down'], bits)
    return inLayers.length > 0 ? inLayers : some(['embedding', 'projection'], bits).slice(0, 1)
  }
  // outputs of some tokens have room where those of `gate` go
  return { four: ofBits(4), eight: ofBits(8), tile: some(['gate', 'up'], 4).slice(0, 1) }
}

/**
 * What is fastest on this machine, by timing each on matrices of the model. All
 * give the same bits, so the choice is free. Runs on scratch memory before the
 * first step. One token goes through many matrices in turn, in the pieces that
 * threads take, since most of its time is spent waiting for memory; many tokens
 * through one matrix.
 */
export function fastestKernels (arena: Arena): KernelChoice {
  const { four, eight, tile: many } = raceMatrices(arena.layout)
  const before = arena.choice
  const everyWay = contestants().flatMap(variant => ([1, 4] as const).map(streams => ({ variant, streams })))
  const { vector, streams } = fastest(arena, everyWay.map(({ variant, streams }) => ({ ...before, vector: variant, streams })), calls(arena, four), 1)
  const { bytes, byteStreams } = fastest(arena, everyWay.map(({ variant, streams }) => ({ ...before, bytes: variant, byteStreams: streams })), calls(arena, eight), 1)
  const { tile } = fastest(arena, contestants().map(tile => ({ ...before, tile })), calls(arena, many), RACE_TOKENS)
  arena.choice = before
  return { vector, tile, bytes, streams, byteStreams }
}

/** Pieces as `forEachPiece` cuts them, of large matrices the first rows of each. */
function calls (arena: Arena, matrices: MatrixLayout[]): Call[] {
  return matrices.flatMap(matrix => {
    const piece = arena.pieceOf(matrix.paddedRows, ROW_GRAIN)
    const count = Math.ceil(matrix.paddedRows / piece)
    return Array.from({ length: count }, (_, index) => ({ matrix, from: index * piece, to: Math.min(matrix.paddedRows, index * piece + Math.min(piece, RACE_ROWS)) }))
  })
}

/** The first choice where there is nothing to time. */
function fastest (arena: Arena, choices: KernelChoice[], calls: Call[], tokens: number): KernelChoice {
  if (calls.length === 0) return arena.choice
  const { activations, gate } = arena.layout.scratch
  let next = 0
  const speed = (choice: KernelChoice): number => {
    arena.choice = choice
    const begin = performance.now()
    let weights = 0
    do {
      const { matrix, from, to } = calls[next++ % calls.length]
      // outputs begin at row `from` of `y`
      arena.product(matrix, activations, gate - from * 4, from, to, tokens)
      weights += (to - from) * matrix.columns
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

/** Plain SIMD is for engines that have nothing else. */
export function contestants (): KernelVariant[] {
  return availableVariants().filter(variant => variant !== 'plain')
}
