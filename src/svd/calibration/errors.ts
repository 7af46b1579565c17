/** The text has fewer tokens than calibration is to see. */
export class CalibrationTextTooShortError extends Error {
  override name = 'CalibrationTextTooShortError'
  readonly code = 'ERR_CALIBRATION_TEXT_TOO_SHORT'
  readonly retryable = false
  readonly tokens: number
  readonly needed: number

  constructor (tokens: number, needed: number) {
    super(`the calibration text has ${tokens.toLocaleString('en')} tokens; ${needed.toLocaleString('en')} are needed`)
    this.tokens = tokens
    this.needed = needed
  }
}

/** The inputs of a layer are not finite: the weights, or those of a layer before it, are broken. */
export class CalibrationNotFiniteError extends Error {
  override name = 'CalibrationNotFiniteError'
  readonly code = 'ERR_CALIBRATION_NOT_FINITE'
  readonly retryable = false

  constructor (where: string) {
    super(`calibration: the inputs of ${where} are not finite`)
  }
}

/** One layer of the model and the hidden states do not fit into the 4 GiB that WebAssembly addresses. */
export class CalibrationMemoryError extends Error {
  override name = 'CalibrationMemoryError'
  readonly code = 'ERR_CALIBRATION_MEMORY'
  readonly retryable = false

  constructor (bytes: number) {
    super(`calibration needs ${(bytes / 2 ** 30).toFixed(1)} GiB at once; 4 GiB can be addressed: take fewer tokens`)
  }
}
