/**
 * Second moments of what the matrices of a model are applied to: text runs
 * through the model one layer at a time, and G = X·Xᵀ is added up for each
 * input. Whoever compresses a layer gives its compressed weights to `advance`,
 * so that the layers after it are calibrated on what they will see.
 */
export { createCalibrator } from './calibrator.ts'
export type { Calibrator, CalibratorInit, CalibratorOptions, InputStatistics, LayerWeights } from './calibrator.ts'
export { cutWindows } from './windows.ts'
export type { CalibrationWindows, WindowOptions } from './windows.ts'
export { calibrationText, defaultCalibrationText } from './text.ts'
export type { CalibrationText } from './text.ts'
export { inputOf, LAYER_MATRICES, MATRIX_INPUTS, matrixShape } from './inputs.ts'
export type { LayerMatrix, MatrixInput } from './inputs.ts'
export { CalibrationMemoryError, CalibrationNotFiniteError, CalibrationTextTooShortError } from './errors.ts'
