/** What was asked for cannot be meant: a mode, rank, budget or text that makes no sense for this model. */
export class CompressionOptionError extends Error {
  override name = 'CompressionOptionError'
  readonly code = 'ERR_COMPRESSION_OPTION'
  readonly retryable = false
  readonly option: string

  constructor (option: string, reason: string) {
    super(`${option}: ${reason}`)
    this.option = option
  }
}

/** The package and the source that is to be its origin are different models. */
export class OtherSourceError extends Error {
  override name = 'OtherSourceError'
  readonly code = 'ERR_OTHER_SOURCE'
  readonly retryable = false

  constructor (reason: string) {
    super(`the package does not come from this source: ${reason}`)
  }
}
