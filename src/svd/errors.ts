/** What all errors of this folder have; `retryable` means that the same call may succeed later. */
export abstract class SvdError extends Error {
  abstract readonly code: string
  readonly retryable: boolean = false
}

/** Matrices that do not fit each other, a rank that a matrix does not have, or a parameter out of range. */
export class InvalidProblemError extends SvdError {
  override readonly name = 'InvalidProblemError'
  readonly code = 'ERR_SVD_INVALID_PROBLEM'
  /** the argument, for instance `rank` */
  readonly field: string

  constructor (field: string, reason: string) {
    super(`${field}: ${reason}`)
    this.field = field
  }
}

/** The numbers led nowhere: NaN or an infinity went in, or a decomposition did not converge. */
export class DecompositionError extends SvdError {
  override readonly name = 'DecompositionError'
  readonly code = 'ERR_SVD_DECOMPOSITION'
}

/** Not even the smallest choice of every matrix fits into the budget. */
export class BudgetTooSmallError extends SvdError {
  override readonly name = 'BudgetTooSmallError'
  readonly code = 'ERR_SVD_BUDGET_TOO_SMALL'
  readonly budgetBytes: number
  /** bytes of the smallest choice of every matrix together */
  readonly smallestBytes: number

  constructor (budgetBytes: number, smallestBytes: number) {
    super(`a budget of ${budgetBytes} bytes is too small, the smallest choice takes ${smallestBytes}`)
    this.budgetBytes = budgetBytes
    this.smallestBytes = smallestBytes
  }
}

/** A worker thread ended by itself; its task is lost, the pool goes on. */
export class WorkerCrashedError extends SvdError {
  override readonly name = 'WorkerCrashedError'
  readonly code = 'ERR_SVD_WORKER_CRASHED'
  override readonly retryable = true

  constructor (reason: string, options?: { cause?: unknown }) {
    super(`a worker thread ended: ${reason}`, options)
  }
}

/** The pool was stopped. */
export class PoolStoppedError extends SvdError {
  override readonly name = 'PoolStoppedError'
  readonly code = 'ERR_SVD_POOL_STOPPED'

  constructor () {
    super('the pool of worker threads is stopped')
  }
}
