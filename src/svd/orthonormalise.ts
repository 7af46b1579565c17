import { NEGLIGIBLE_REST, START_SEED } from './constants.ts'
import { DecompositionError } from './errors.ts'
import { uniformSource } from './random.ts'
import { addScaled, dot, length, scale } from './vectors.ts'
import type { Matrix } from './types.ts'

/**
 * Makes the rows of a matrix orthonormal, in place and in order, so that the
 * first i rows span what they spanned before. Gram-Schmidt with every
 * projection done twice ("twice is enough": Giraud, Langou, Rozložník, van den
 * Eshof, 2005). A row that depends on those before it is replaced by a random
 * direction orthogonal to them.
 *
 * @throws DecompositionError where a value is not finite
 */
export function orthonormaliseRows (matrix: Matrix): void {
  const { rows, columns, data } = matrix
  let random: (() => number) | undefined
  for (let row = 0; row < rows; row++) {
    const at = row * columns
    for (;;) {
      const size = length(data, at, columns)
      if (!Number.isFinite(size)) throw new DecompositionError('a vector to be made orthonormal is not finite')
      if (size > 0) {
        scale(data, at, columns, 1 / size)
        projectOut(data, at, row, columns)
        const rest = length(data, at, columns)
        if (rest > NEGLIGIBLE_REST) {
          scale(data, at, columns, 1 / rest)
          projectOut(data, at, row, columns)
          scale(data, at, columns, 1 / length(data, at, columns))
          break
        }
      }
      random ??= uniformSource(START_SEED)
      for (let i = at; i < at + columns; i++) data[i] = random()
    }
  }
}

/** Takes the components along the first `count` rows, which are orthonormal, out of the row at `at`. */
export function projectOut (data: Float64Array, at: number, count: number, columns: number): void {
  for (let row = 0; row < count; row++) {
    const other = row * columns
    addScaled(data, at, -dot(data, other, data, at, columns), data, other, columns)
  }
}
