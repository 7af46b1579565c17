/** An option has no meaning or lies outside its range. Names the option. */
export class InvalidOptionError extends TypeError {
  override name = 'InvalidOptionError'
  readonly code = 'ERR_INVALID_OPTION'
  readonly retryable = false
  readonly option: string

  constructor (option: string, reason: string) {
    super(`${option}: ${reason}`)
    this.option = option
  }
}

/** The prompt leaves no room for a single new token. */
export class PromptTooLongError extends Error {
  override name = 'PromptTooLongError'
  readonly code = 'ERR_PROMPT_TOO_LONG'
  readonly retryable = false
  readonly promptTokens: number
  readonly contextLength: number

  constructor (promptTokens: number, contextLength: number) {
    super(`the prompt has ${promptTokens} tokens, but only ${contextLength} positions are available and one is needed for the answer`)
    this.promptTokens = promptTokens
    this.contextLength = contextLength
  }
}

/** The text is shorter than one window, so there is nothing to measure. */
export class TextTooShortError extends Error {
  override name = 'TextTooShortError'
  readonly code = 'ERR_TEXT_TOO_SHORT'
  readonly retryable = false

  constructor (tokens: number, window: number) {
    super(`the text has ${tokens} tokens, fewer than one window of ${window}`)
  }
}

/** The last stage answered with something that cannot be the logits asked for. Names the field. */
export class InvalidRowResultError extends Error {
  override name = 'InvalidRowResultError'
  readonly code = 'ERR_INVALID_ROW_RESULT'
  // another route may answer properly
  readonly retryable = true
  readonly field: string

  constructor (field: string, reason: string) {
    super(`answer of the last stage: ${field}: ${reason}`)
    this.field = field
  }
}
