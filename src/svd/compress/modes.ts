import { tensorByteLength } from '../../model/tensor/index.ts'
import type { TensorType } from '../../model/index.ts'
import { breakEvenRank, rankForShare } from '../ranks.ts'
import { RANK_STEP } from '../constants.ts'
import { DEFAULT_RANK } from './constants.ts'
import { CompressionOptionError } from './errors.ts'
import type { BaseMode, FixedPlan, MatrixMode } from './types.ts'

/** Element types of a mode; which of them serves a matrix best is decided by its weighted error. */
export const BASE_TYPES: Readonly<Record<BaseMode, readonly TensorType[]>> = {
  q8: ['Q8_0'],
  q5: ['Q5_0', 'Q5_1'],
  q4: ['Q4_0', 'Q4_1'],
  q3: ['Q3_32']
}

/** Element types of the factors: left in blocks along the rank, right in blocks along the columns. */
export const LEFT_TYPE: TensorType = 'Q8_8'
export const RIGHT_TYPE: TensorType = 'Q8_0'

export const BASE_MODES: readonly BaseMode[] = ['q8', 'q5', 'q4', 'q3']

export const MATRIX_MODES: readonly MatrixMode[] = [...BASE_MODES, ...BASE_MODES.map(mode => `${mode}+svd` as const), 'svd']

/** The base of a mode, null for `svd`; and whether it has factors. */
export function partsOf (mode: MatrixMode): { base: BaseMode | null, factors: boolean } {
  if (mode === 'svd') return { base: null, factors: true }
  return { base: mode.replace(/\+svd$/, '') as BaseMode, factors: mode.endsWith('+svd') }
}

/** Stored bytes of a matrix. */
export function storedBytes (rows: number, columns: number, base: TensorType | null, rank: number): number {
  const bytes = (type: TensorType, elements: number) => tensorByteLength(type, elements)!
  return (base === null ? 0 : bytes(base, rows * columns)) +
    (rank === 0 ? 0 : bytes(LEFT_TYPE, rows * rank) + bytes(RIGHT_TYPE, rank * columns))
}

/** Largest rank, a multiple of 8, whose factors have fewer parameters than the matrix; 0 where there is none. */
export function mostRank (rows: number, columns: number): number {
  return Math.floor(Math.max(0, breakEvenRank(rows, columns) - 1) / RANK_STEP) * RANK_STEP
}

/**
 * Mode and rank of a fixed plan for a matrix. Where `svd` would need break-even
 * or more, the matrix stays dense, as `q8`.
 */
export function fixedMode (plan: FixedPlan, rows: number, columns: number): { mode: MatrixMode, rank: number } {
  const { factors, base } = partsOf(plan.mode)
  if (!factors) return { mode: plan.mode, rank: 0 }
  const most = mostRank(rows, columns)
  if (base !== null) {
    const rank = Math.min(plan.rank ?? DEFAULT_RANK, most)
    return rank === 0 ? { mode: base, rank } : { mode: plan.mode, rank }
  }
  const wanted = plan.parameterShare === undefined
    ? plan.rank ?? 0
    : rankForShare(rows, columns, plan.parameterShare)
  return wanted > most ? { mode: 'q8', rank: 0 } : { mode: 'svd', rank: wanted }
}

/** @throws CompressionOptionError for a plan that makes no sense whatever the model */
export function checkFixedPlan (plan: FixedPlan): void {
  const { factors } = partsOf(plan.mode)
  const { rank, parameterShare } = plan
  if (!MATRIX_MODES.includes(plan.mode)) throw new CompressionOptionError('mode', `${String(plan.mode)} is none of ${MATRIX_MODES.join(', ')}`)
  if (rank !== undefined) {
    if (!factors) throw new CompressionOptionError('rank', `${plan.mode} has none`)
    if (!Number.isInteger(rank) || rank < RANK_STEP || rank % RANK_STEP !== 0) throw new CompressionOptionError('rank', `${rank} is not a multiple of ${RANK_STEP}`)
  }
  if (parameterShare !== undefined) {
    if (plan.mode !== 'svd' || rank !== undefined) throw new CompressionOptionError('share of the parameters', 'only for mode svd, and in place of a rank')
    if (!(parameterShare > 0 && parameterShare <= 1)) throw new CompressionOptionError('share of the parameters', `${parameterShare} is not above 0 and at most 1`)
  }
  if (plan.mode === 'svd' && rank === undefined && parameterShare === undefined) throw new CompressionOptionError('mode', 'svd needs a rank or a share of the parameters')
  if (plan.whitened === false && !factors) throw new CompressionOptionError('plain', `${plan.mode} has no factors`)
}
