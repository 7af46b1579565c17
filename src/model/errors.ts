/**
 * Failures of `src/model`, one class each. None is worth a retry with the same
 * input, hence `retryable` false throughout.
 */

interface FieldOptions { cause?: unknown }

/** Names in a message may come from a hostile file: long ones are shortened, control characters shown as U+FFFD. */
function printable (text: string): string {
  const short = text.length > 300 ? `${text.slice(0, 300)}…` : text
  return short.replace(/\p{Cc}/gu, '\ufffd')
}

/** A model file is malformed, truncated, contradicts itself or cannot be read. Names the file and the field. */
export class ModelFileError extends Error {
  override name = 'ModelFileError'
  readonly code = 'ERR_MODEL_FILE'
  readonly retryable = false
  readonly file: string
  readonly field: string

  constructor (file: string, field: string, reason: string, options?: FieldOptions) {
    super(`${file}: ${printable(field)}: ${printable(reason)}`, options)
    this.file = file
    this.field = printable(field)
  }
}

/** A well-formed model that this software cannot run: architecture, activation, RoPE type, tensor type and the like. */
export class UnsupportedModelError extends Error {
  override name = 'UnsupportedModelError'
  readonly code = 'ERR_UNSUPPORTED_MODEL'
  readonly retryable = false
  readonly file: string
  readonly field: string

  constructor (file: string, field: string, reason: string, options?: FieldOptions) {
    super(`${file}: ${printable(field)}: ${printable(reason)}`, options)
    this.file = file
    this.field = printable(field)
  }
}

/** A weight or a block scale is NaN or infinite, or too large for the converted format. Names the tensor. */
export class NonFiniteWeightError extends Error {
  override name = 'NonFiniteWeightError'
  readonly code = 'ERR_NON_FINITE_WEIGHT'
  readonly retryable = false
  readonly tensor: string

  constructor (tensor: string, reason: string) {
    super(`${printable(tensor)}: ${reason}`)
    this.tensor = printable(tensor)
  }
}

/** A manifest (from a cache or a peer) breaks the rules of its encoding or contradicts itself. Names the field. */
export class ManifestError extends Error {
  override name = 'ManifestError'
  readonly code = 'ERR_MANIFEST'
  readonly retryable = false
  readonly field: string

  constructor (field: string, reason: string, options?: FieldOptions) {
    super(`manifest: ${printable(field)}: ${printable(reason)}`, options)
    this.field = printable(field)
  }
}
