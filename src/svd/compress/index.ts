/** Compression of whole models into packages: modes chosen under a budget, calibrated layer by layer. */
export { compressModel } from './compress-model.ts'
export type { CompressOptions } from './compress-model.ts'
export { measureModel } from './measure-model.ts'
export type { MeasuredMatrix, MeasureInit, MeasureOptions } from './measure-model.ts'
export { plotReport } from './plot.ts'
export { BASE_MODES, MATRIX_MODES } from './modes.ts'
export { CompressionOptionError, OtherSourceError } from './errors.ts'
export { DEFAULT_RANK } from './constants.ts'
export type {
  BaseMode, BudgetPlan, CompressInit, CompressionPlan, CompressProgress, CompressReport, FixedPlan, MatrixChoice, MatrixMode,
  MatrixReport, ModeLimit, Order, RangeBudgetPlan
} from './types.ts'
