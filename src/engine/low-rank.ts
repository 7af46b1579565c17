import { isWeightType, rowsAndColumns } from '../model/tensor/index.ts'
import type { TensorRole, TensorSource } from '../model/index.ts'
import { UnsupportedModelError } from './errors.ts'

/** Ranks that share a scale in a left factor; docs/numerics.md, section 10. */
export const RANK_BLOCK = 8

/**
 * Types that profile exact-1 defines for a matrix, and the factors of its
 * low-rank correction: docs/numerics.md, sections 1 and 10.
 *
 * @throws UnsupportedModelError for others
 */
export function checkMatrix (role: TensorRole, source: TensorSource): void {
  const fail = (reason: string): never => { throw new UnsupportedModelError(source.name ?? role, reason) }
  const { type, lowRank } = source
  if (role === 'embedding' && (type === 'ZERO' || lowRank !== undefined)) fail('an embedding has weights, and no low-rank correction')
  if (type !== 'ZERO' && !isWeightType(type)) fail(`is of type ${type}, which is for left factors only`)
  if (lowRank === undefined) return
  const { rank, left, right } = lowRank
  const { rows, columns } = rowsAndColumns(source.shape)
  if (!(Number.isInteger(rank) && rank > 0 && rank % RANK_BLOCK === 0)) fail(`rank ${rank} is not a multiple of ${RANK_BLOCK}`)
  if (left.type !== 'Q8_8' || right.type !== 'Q8_0') fail(`has factors of types ${left.type} and ${right.type}, not Q8_8 and Q8_0`)
  if (!hasShape(left, rows, rank) || !hasShape(right, rank, columns)) {
    fail(`has factors [${left.shape.join(', ')}] and [${right.shape.join(', ')}] of rank ${rank} for shape [${source.shape.join(', ')}]`)
  }
}

function hasShape ({ shape }: TensorSource, rows: number, columns: number): boolean {
  return shape.length === 2 && shape[0] === rows && shape[1] === columns
}

/** Sources with the same key are the same matrix: a tied head and the embedding. A matrix without bytes may share its offset with others. */
export function matrixKey ({ path, offset, type, shape }: TensorSource): string {
  return `${path}:${offset}:${type}:${shape.join(',')}`
}
