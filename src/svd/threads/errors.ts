/** A compute thread ended or failed outside of a request. */
export class ThreadFailedError extends Error {
  override name = 'ThreadFailedError'
  readonly code = 'ERR_THREAD_FAILED'
  readonly retryable = false

  constructor (reason: string, options?: { cause?: unknown }) {
    super(`a compute thread failed: ${reason}`, options)
  }
}
