import { BudgetTooSmallError, DecompositionError, InvalidProblemError } from './errors.ts'

/** What a worker thread sends. */
export type TaskReply<Result> =
  | { type: 'progress', share: number }
  | { type: 'done', value: Result }
  | ({ type: 'failed' } & PackedError)

/** An error on its way from one thread to another: cloning keeps its message and stack, and loses class and fields. */
export interface PackedError {
  error: unknown
  fields: Record<string, unknown>
}

const CLASSES: ReadonlyArray<new (...args: never[]) => Error> = [InvalidProblemError, DecompositionError, BudgetTooSmallError]

export function packError (error: unknown): PackedError {
  if (!(error instanceof Error)) return { error, fields: {} }
  const fields: Record<string, unknown> = { name: error.name }
  for (const [field, value] of Object.entries(error)) {
    if (['string', 'number', 'boolean'].includes(typeof value)) fields[field] = value
  }
  return { error: Object.assign(new Error(error.message), { stack: error.stack }), fields }
}

/** The error with its name, code and fields, and of its class where that is one of this folder. */
export function unpackError ({ error, fields }: PackedError): unknown {
  if (!(error instanceof Error)) return error
  const known = CLASSES.find(({ name }) => name === fields.name)
  if (known !== undefined) Object.setPrototypeOf(error, known.prototype)
  return Object.assign(error, fields)
}
