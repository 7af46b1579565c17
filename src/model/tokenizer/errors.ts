/** Failures of `src/model/tokenizer`. The same input fails again, hence `retryable` false. */

/** Tokenizer data is malformed or contradicts itself. Names the field. */
export class TokenizerFormatError extends Error {
  override name = 'TokenizerFormatError'
  readonly code = 'ERR_TOKENIZER_FORMAT'
  readonly retryable = false
  readonly field: string

  constructor (field: string, reason: string, options?: { cause?: unknown }) {
    super(`${field}: ${reason}`, options)
    this.field = field
  }
}

/** A well-formed tokenizer of a kind that is not implemented. Names the field and the kind. */
export class UnsupportedTokenizerError extends Error {
  override name = 'UnsupportedTokenizerError'
  readonly code = 'ERR_UNSUPPORTED_TOKENIZER'
  readonly retryable = false
  readonly field: string
  readonly kind: string

  constructor (field: string, kind: string, hint = 'not supported') {
    super(`${field}: ${JSON.stringify(kind)}: ${hint}`)
    this.field = field
    this.kind = kind
  }
}

/** A chat was to be rendered and the model came without a chat template (of that name). */
export class NoChatTemplateError extends Error {
  override name = 'NoChatTemplateError'
  readonly code = 'ERR_NO_CHAT_TEMPLATE'
  readonly retryable = false

  constructor (templateName?: string) {
    super(templateName === undefined
      ? 'this model has no chat template: give it plain text'
      : `this model has no chat template named ${JSON.stringify(templateName)}`)
  }
}

/** The chat template does not parse, refuses the messages (`raise_exception`) or takes too long. */
export class ChatTemplateError extends Error {
  override name = 'ChatTemplateError'
  readonly code = 'ERR_CHAT_TEMPLATE'
  readonly retryable = false

  constructor (reason: string, options?: { cause?: unknown }) {
    super(`chat template: ${reason}`, options)
  }
}
