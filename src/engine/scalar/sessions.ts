import { ContextLengthError, KeyValueBudgetError, SessionLimitError, UnknownSessionError } from '../errors.ts'
import type { CheckedItem } from '../batch.ts'

/** Sessions are small; this only keeps a caller that never closes from growing without end. */
const SESSION_LIMIT = 4096

interface Session<State> {
  length: number
  state: State
}

/** Book-keeping of sessions: ids, lengths, and the budget of KV positions. */
export class Sessions<State> {
  #sessions = new Map<number, Session<State>>()
  #next = 1
  #free: number
  #contextLength: number
  #createState: () => State

  constructor (positions: number, contextLength: number, createState: () => State) {
    this.#free = positions
    this.#contextLength = contextLength
    this.#createState = createState
  }

  get free (): number { return this.#free }

  /** `capacity` is not kept free; it only says early what cannot fit. */
  open (capacity = 0): number {
    if (capacity > this.#contextLength) throw new ContextLengthError(capacity, this.#contextLength)
    if (capacity > this.#free) throw new KeyValueBudgetError(capacity, this.#free)
    if (this.#sessions.size >= SESSION_LIMIT) throw new SessionLimitError(SESSION_LIMIT)
    const id = this.#next++
    this.#sessions.set(id, { length: 0, state: this.#createState() })
    return id
  }

  get (id: number): Readonly<Session<State>> {
    const session = this.#sessions.get(id)
    if (session === undefined) throw new UnknownSessionError(id)
    return session
  }

  /** Sets the positions that a session holds. */
  resize (id: number, length: number): void {
    this.get(id)
    const session = this.#sessions.get(id)!
    this.#free += session.length - length
    session.length = length
  }

  truncate (id: number, length: number): void {
    this.resize(id, Math.min(length, this.get(id).length))
  }

  /** Closing twice does no harm. */
  close (id: number): void {
    if (!this.#sessions.has(id)) return
    this.resize(id, 0)
    this.#sessions.delete(id)
  }

  clear (): void {
    for (const id of [...this.#sessions.keys()]) this.close(id)
  }

  /** @throws KeyValueBudgetError where a batch needs more positions than are free */
  checkBudget (batch: CheckedItem[]): void {
    let free = this.#free
    for (const { before, end } of batch) {
      if (end - before > free) throw new KeyValueBudgetError(end - before, free)
      free -= end - before
    }
  }
}
