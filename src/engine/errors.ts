import type { UnitName, UnitRange } from '../model/index.ts'

/** What all errors of the engine have; `retryable` means that the same call may succeed later or elsewhere. */
export abstract class EngineError extends Error {
  abstract readonly code: string
  readonly retryable: boolean = false
}

/** A unit produced NaN or an infinity. */
export class NotFiniteError extends EngineError {
  override readonly name = 'NotFiniteError'
  readonly code = 'ERR_NOT_FINITE'
  readonly unit: UnitName
  readonly position: number

  constructor (unit: UnitName, position: number) {
    super(`${unit}: the result at position ${position} is not finite`)
    this.unit = unit
    this.position = position
  }
}

/** A step would go beyond the positions that the model or the session has room for. */
export class ContextLengthError extends EngineError {
  override readonly name = 'ContextLengthError'
  readonly code = 'ERR_CONTEXT_LENGTH'
  /** positions the step would need */
  readonly needed: number
  readonly limit: number

  constructor (needed: number, limit: number) {
    super(`the step needs ${needed} positions, the limit is ${limit}`)
    this.needed = needed
    this.limit = limit
  }
}

/** No session with this id is open. */
export class UnknownSessionError extends EngineError {
  override readonly name = 'UnknownSessionError'
  readonly code = 'ERR_UNKNOWN_SESSION'
  readonly session: number

  constructor (session: number) {
    super(`session ${session} is not open`)
    this.session = session
  }
}

/** As many sessions are open as the engine allows. */
export class SessionLimitError extends EngineError {
  override readonly name = 'SessionLimitError'
  readonly code = 'ERR_SESSION_LIMIT'
  override readonly retryable = true
  readonly limit: number

  constructor (limit: number) {
    super(`all ${limit} sessions are in use`)
    this.limit = limit
  }
}

/** The KV cache has no room for the positions asked for. */
export class KeyValueBudgetError extends EngineError {
  override readonly name = 'KeyValueBudgetError'
  readonly code = 'ERR_KEY_VALUE_BUDGET'
  override readonly retryable = true
  /** positions asked for */
  readonly needed: number
  /** positions free */
  readonly free: number

  constructor (needed: number, free: number) {
    super(`${needed} positions of KV cache are needed, ${free} are free`)
    this.needed = needed
    this.free = free
  }
}

/** A session runs units that are not a part of its engine's range. */
export class InvalidRangeError extends EngineError {
  override readonly name = 'InvalidRangeError'
  readonly code = 'ERR_INVALID_RANGE'
  readonly range: UnitRange
  /** of the engine */
  readonly hosted: UnitRange

  constructor (range: UnitRange, hosted: UnitRange) {
    super(`units ${range.from}:${range.to} are no part of ${hosted.from}:${hosted.to}`)
    this.range = range
    this.hosted = hosted
  }
}

/** A session cannot begin with more positions than the other one holds, nor with those of one that runs other units. */
export class InvalidPrefixError extends EngineError {
  override readonly name = 'InvalidPrefixError'
  readonly code = 'ERR_INVALID_PREFIX'
  readonly length: number
  /** positions that the other session holds */
  readonly held: number

  constructor (length: number, held: number, reason = `the session has ${held}`) {
    super(`a prefix of ${length} positions, ${reason}`)
    this.length = length
    this.held = held
  }
}

/** Bytes of a KV cache, or a span of positions of one, that an engine cannot take or give. */
export class InvalidKeyValuesError extends EngineError {
  override readonly name = 'InvalidKeyValuesError'
  readonly code = 'ERR_INVALID_KEY_VALUES'
  /** `from`, `to` or `bytes` */
  readonly field: string

  constructor (field: string, reason: string) {
    super(`key values ${field}: ${reason}`)
    this.field = field
  }
}

/** A step of the session is under way. */
export class SessionBusyError extends EngineError {
  override readonly name = 'SessionBusyError'
  readonly code = 'ERR_SESSION_BUSY'
  override readonly retryable = true
  readonly session: number

  constructor (session: number) {
    super(`a step of session ${session} is under way`)
    this.session = session
  }
}

/** The engine does not implement numerics profile exact-1, which the call needs. */
export class UnsupportedProfileError extends EngineError {
  override readonly name = 'UnsupportedProfileError'
  readonly code = 'ERR_UNSUPPORTED_PROFILE'

  constructor () {
    super('this engine does not implement numerics profile exact-1')
  }
}

/** The model cannot be run by this engine: a shape or type it has no code for. */
export class UnsupportedModelError extends EngineError {
  override readonly name = 'UnsupportedModelError'
  readonly code = 'ERR_UNSUPPORTED_MODEL'
  /** what is not supported, for instance `headSize` */
  readonly field: string

  constructor (field: string, reason: string, options?: { cause?: unknown }) {
    super(`${field}: ${reason}`, options)
    this.field = field
  }
}

/** A batch that no engine could run: a wrong count of values, a gap before `position`, a token id out of range. */
export class InvalidBatchError extends EngineError {
  override readonly name = 'InvalidBatchError'
  readonly code = 'ERR_INVALID_BATCH'
  /** the field of the batch item, for instance `tokens` */
  readonly field: string

  constructor (field: string, reason: string) {
    super(`batch ${field}: ${reason}`)
    this.field = field
  }
}

/** The engine was stopped, or is stopping. */
export class EngineStoppedError extends EngineError {
  override readonly name = 'EngineStoppedError'
  readonly code = 'ERR_ENGINE_STOPPED'

  constructor () {
    super('the engine is stopped')
  }
}

/** A compute thread ended by itself; the engine cannot go on. */
export class WorkerFailedError extends EngineError {
  override readonly name = 'WorkerFailedError'
  readonly code = 'ERR_WORKER_FAILED'

  constructor (reason: string, options?: { cause?: unknown }) {
    super(`a compute thread failed: ${reason}`, options)
  }
}
