import { PageAllocator } from '../page-allocator.ts'
import type { PositionRange } from '../page-allocator.ts'
import type { UnitRange } from '../../model/index.ts'
import type { OpenSessionOptions } from '../types.ts'

/** Sessions are small; this only keeps a caller that never closes from growing without end. */
const SESSION_LIMIT = 4096

export interface SessionsInit<State> {
  /** of the engine */
  range: UnitRange
  /** budget */
  positions: number
  contextLength: number
  createState: () => State
  copyState: (state: State) => State
}

/**
 * Sessions with their state. The budget is counted as the real engine counts
 * it, with pages of one position; the state itself is never shared.
 */
export class Sessions<State> {
  readonly #init: SessionsInit<State>
  readonly #allocator: PageAllocator
  readonly #states = new Map<number, State>()

  constructor (init: SessionsInit<State>) {
    this.#init = init
    this.#allocator = new PageAllocator({ range: init.range, pages: init.positions, pagePositions: 1, sessions: SESSION_LIMIT, contextLength: init.contextLength })
  }

  get free (): number { return this.#allocator.freePositions }

  open (options: OpenSessionOptions = {}): number {
    const id = this.#allocator.open(options)
    const source = options.prefix === undefined ? undefined : this.#states.get(options.prefix.session)
    this.#states.set(id, source === undefined ? this.#init.createState() : this.#init.copyState(source))
    return id
  }

  length (id: number): number { return this.#allocator.length(id) }

  range (id: number): UnitRange { return this.#allocator.range(id) }

  /** of a session that is open */
  state (id: number): State { return this.#states.get(id)! }

  reserve (session: number, from: number, to: number): void { this.#allocator.reserve({ session, from, to }) }

  release (session: number): void { this.#allocator.release(session) }

  /** Takes room for all that is going to be written, or throws KeyValueBudgetError. */
  write (ranges: PositionRange[]): void { this.#allocator.write(ranges) }

  /** Sets the positions that a session holds. */
  commit (id: number, length: number): void { this.#allocator.commit(id, length) }

  truncate (id: number, length: number): void { this.#allocator.truncate(id, length) }

  close (id: number): void {
    this.#allocator.close(id)
    this.#states.delete(id)
  }

  clear (): void {
    this.#allocator.clear()
    this.#states.clear()
  }
}
