import type { Model, TensorRole, TensorType, UnitRange } from '../../model/index.ts'
import type { CalibrationText, WindowOptions } from '../calibration/index.ts'
import type { Candidate } from '../types.ts'

/** How the base of a matrix is stored; each stands for one or more element types. */
export type BaseMode = 'q8' | 'q5' | 'q4' | 'q3'

/** A base alone, a base with a low-rank correction of what it leaves, or the low-rank product alone. */
export type MatrixMode = BaseMode | `${BaseMode}+svd` | 'svd'

/** In which order base and correction were made; the better one is kept. */
export type Order = 'residual' | 'low rank first'

/** A way to store one matrix. */
export interface MatrixChoice extends Candidate {
  mode: MatrixMode
  /** element type of the base; null for `svd`, which has none */
  base: TensorType | null
}

/** One mode for all matrices of all layers. */
export interface FixedPlan {
  kind: 'fixed'
  mode: MatrixMode
  /** of the correction, or of `svd`; a multiple of 8 */
  rank?: number
  /** instead of a rank, for `svd`: parameters of the factors ÷ parameters of the matrix; above 0, at most 1 */
  parameterShare?: number
  /** false for plain truncation, which ignores what the matrix is applied to; only to compare with. Default true */
  whitened?: boolean
  /** how the embedding and an output projection of its own are stored; default q8 */
  embedding?: BaseMode
}

/** The best choice for each matrix within a number of bytes; weights and their scales count, the tokenizer does not. */
export interface BudgetPlan extends ModeLimit {
  kind: 'budget'
  bytes: number
}

export interface ModeLimit {
  /** modes that matrices may have; all where it is left out */
  modes?: readonly MatrixMode[]
}

/** The same with a budget for each of several ranges of units, which together are all units. */
export interface RangeBudgetPlan extends ModeLimit {
  kind: 'range-budgets'
  ranges: Array<UnitRange & { bytes: number }>
}

export type CompressionPlan = FixedPlan | BudgetPlan | RangeBudgetPlan

export interface CompressInit {
  source: Model
  /** of the package; must not exist, or be empty */
  directory: string
  /** of the package; default that of the source */
  name?: string
  plan: CompressionPlan
  text: CalibrationText
  calibration?: WindowOptions
  /** compute threads; the package does not depend on them */
  threads: number
}

export type CompressProgress =
  /** `done` of `total` layers have been compared in all modes */
  | { type: 'compress:survey', done: number, total: number }
  /** `done` of `total` units are compressed; fractions of units count */
  | { type: 'compress:units', done: number, total: number }
  /** a matrix is done */
  | { type: 'compress:matrix', matrix: MatrixReport }

/** What became of a matrix. */
export interface MatrixReport {
  /** unit number */
  unit: number
  role: TensorRole
  rows: number
  columns: number
  mode: MatrixMode
  /** element type of the base; null for `svd` */
  base: TensorType | null
  rank: number
  /** null where there is no correction */
  order: Order | null
  /** stored bytes, scales included */
  bytes: number
  errors: {
    /** ‖(W − W′)·X‖ ÷ ‖W·X‖ over the calibration text; null where a matrix is only looked up */
    weighted: number | null
    /** ‖W − W′‖ ÷ ‖W‖ */
    frobenius: number
  }
  /** share of the diagonal in what the factors were fitted to */
  shrinkage: number
}

export interface CompressReport {
  source: { name: string, modelId: string, bytes: number }
  package: { directory: string, modelId: string, bytes: number }
  parameters: number
  /** of the package: bytes of all tensors · 8 ÷ parameters */
  bitsPerWeight: number
  /** divergence from the source that the survey expects, in nats a token; null where no survey was needed */
  expectedDivergence: number | null
  calibration: { sha256: string, tokens: number, heldOutTokens: number, window: number }
  matrices: MatrixReport[]
  milliseconds: number
}
