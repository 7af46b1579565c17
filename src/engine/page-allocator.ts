import { ContextLengthError, InvalidPrefixError, InvalidRangeError, KeyValueBudgetError, SessionLimitError, UnknownSessionError } from './errors.ts'
import { isWithin, sameRange } from './unit-range.ts'
import type { UnitRange } from '../model/index.ts'
import type { OpenSessionOptions } from './types.ts'

/** A page that a session gets as the `index`-th of its table; where `copyOf` is given, that page's content has to be in it. */
export interface PageAssignment {
  table: number
  index: number
  page: number
  copyOf?: number
}

export interface PageAllocatorInit {
  /** units that sessions run, all of them or a part: what a page holds */
  range: UnitRange
  pages: number
  /** positions in a page */
  pagePositions: number
  /** sessions at the same time; each has a table of its own */
  sessions: number
  /** positions of a session at most */
  contextLength: number
  /** called for every page that a session gets, before anybody else can get the page that is copied */
  onAssign?: (assignment: PageAssignment) => void
}

/** Positions [from, to) of a session. */
export interface PositionRange {
  session: number
  from: number
  to: number
}

interface Session {
  readonly table: number
  readonly range: UnitRange
  /** positions that count */
  length: number
  readonly pages: number[]
  /** pages that are set aside for it and not taken yet */
  owed: number
  /** pages that it may have in all by its promise */
  promised: number
  /** pages that it may have in all until what was reserved is written */
  reserved: number
}

/**
 * Who holds which pages of a KV cache. Pure book-keeping: the memory is the
 * listener's.
 *
 * Pages are counted by how many sessions hold them. A session that begins with
 * a prefix of another shares its whole pages; the last one, where the prefix
 * ends inside it, is copied at once, so that growth never touches a shared
 * page. A write to a shared page, after a truncation into it, copies it first.
 *
 * The rule of admission: pages set aside (`owed`) are never more than pages
 * free. A capacity is a promise, for its pages are set aside when the session
 * opens; a session without one takes what nobody was promised. A promise is for
 * writing each position once: copies of shared pages use it up, and so does
 * giving back a page that another session goes on holding. (The scheme of
 * reference-counted blocks is that of Kwon et al., Efficient memory management
 * for large language model serving with PagedAttention, SOSP 2023, section 4.4;
 * the promises are ours.)
 */
export class PageAllocator {
  readonly #init: PageAllocatorInit
  readonly #sessions = new Map<number, Session>()
  /** sessions that hold a page, by page */
  readonly #holders = new Map<number, number>()
  /** pages and tables given back; the last of a list is taken first */
  readonly #freePages: number[] = []
  readonly #freeTables: number[] = []
  /** those from here on were never taken: the lowest first touches the least memory */
  #nextPage = 0
  #nextTable = 0
  #nextSession = 1
  #owed = 0

  constructor (init: PageAllocatorInit) {
    this.#init = init
  }

  /** Positions that nobody holds and nobody was promised. */
  get freePositions (): number {
    return this.#unpromised * this.#init.pagePositions
  }

  /** @throws ContextLengthError, InvalidRangeError, InvalidPrefixError, UnknownSessionError, KeyValueBudgetError, SessionLimitError */
  open ({ capacity = 0, prefix, range: part }: OpenSessionOptions = {}): number {
    const { contextLength, sessions } = this.#init
    const range = this.#rangeOf(part)
    if (capacity > contextLength) throw new ContextLengthError(capacity, contextLength)
    const source = prefix === undefined ? undefined : this.#get(prefix.session)
    const length = prefix?.length ?? 0
    if (source !== undefined && !(Number.isInteger(length) && length >= 0 && length <= source.length)) throw new InvalidPrefixError(length, source.length)
    if (source !== undefined && !sameRange(source.range, range)) throw new InvalidPrefixError(length, source.length, `the session runs units ${source.range.from}:${source.range.to}, not ${range.from}:${range.to}`)
    const held = this.#pagesFor(length)
    const whole = Math.floor(length / this.#init.pagePositions)
    const promised = this.#pagesFor(capacity)
    const owed = Math.max(promised, held) - whole
    this.#checkRoom(owed)
    if (this.#sessions.size >= sessions) throw new SessionLimitError(sessions)

    const id = this.#nextSession++
    const session: Session = { table: this.#freeTables.pop() ?? this.#nextTable++, range, length, pages: [], owed, promised, reserved: 0 }
    this.#sessions.set(id, session)
    this.#owed += owed
    for (let index = 0; index < whole; index++) this.#assign(session, index, source!.pages[index])
    if (held > whole) this.#assign(session, whole, this.#take(session), source!.pages[whole])
    return id
  }

  /** Positions that count. */
  length (session: number): number {
    return this.#get(session).length
  }

  /** Units that it runs. */
  range (session: number): UnitRange {
    return this.#get(session).range
  }

  /** Number of the session's table, from 0. */
  table (session: number): number {
    return this.#get(session).table
  }

  /**
   * Sets aside what writing [from, to) will take. @throws KeyValueBudgetError
   */
  reserve ({ session, from, to }: PositionRange): void {
    const state = this.#get(session)
    const lacking = this.#lacking(state, from, to)
    this.#checkRoom(lacking)
    state.owed += lacking
    this.#owed += lacking
    state.reserved = Math.max(state.reserved, this.#pagesFor(to))
  }

  /**
   * Gives sessions pages of their own for the positions they are going to
   * write, all or none of them. Positions from `from` on no longer count; those
   * that are written count after `commit`.
   *
   * @throws KeyValueBudgetError
   */
  write (ranges: PositionRange[]): void {
    const merged = new Map<number, PositionRange>()
    for (const { session, from, to } of ranges) {
      const before = merged.get(session)
      merged.set(session, { session, from: Math.min(from, before?.from ?? from), to: Math.max(to, before?.to ?? to) })
    }
    const wanted = [...merged.values()].map(({ session, from, to }) => ({ state: this.#get(session), from, to }))
    this.#checkRoom(wanted.reduce((sum, { state, from, to }) => sum + this.#lacking(state, from, to), 0))
    for (const { state, from, to } of wanted) {
      const lacking = this.#lacking(state, from, to)
      state.owed += lacking
      this.#owed += lacking
    }
    for (const { state, from, to } of wanted) {
      state.length = Math.min(state.length, from)
      for (const index of this.#shared(state, from, to)) {
        const page = state.pages[index]
        // another of these sessions may have been the last to share it
        if (this.#holders.get(page)! > 1) {
          this.#assign(state, index, this.#take(state), page)
          this.#release(page)
        }
      }
      while (state.pages.length < this.#pagesFor(to)) this.#assign(state, state.pages.length, this.#take(state))
    }
  }

  /** Sets the number of positions that count, and gives back pages beyond them. */
  commit (session: number, length: number): void {
    const state = this.#get(session)
    state.length = length
    const kept = this.#pagesFor(length)
    while (state.pages.length > kept) {
      const isFree = this.#release(state.pages.pop()!)
      if (!isFree) {
        state.promised = Math.min(state.promised, state.pages.length + state.owed)
      } else if (state.pages.length + state.owed < Math.max(state.promised, state.reserved)) {
        state.owed++
        this.#owed++
      }
    }
    if (kept >= state.reserved) state.reserved = 0
  }

  /** As `commit` with at most what the session has; what was only reserved is free again. */
  truncate (session: number, length: number): void {
    const state = this.#get(session)
    state.reserved = 0
    this.commit(session, Math.min(length, state.length))
    this.#trim(state)
  }

  /** From now on a session has only what it holds. */
  release (session: number): void {
    const state = this.#get(session)
    state.promised = state.reserved = 0
    this.#trim(state)
  }

  /** Closing twice does no harm. */
  close (session: number): void {
    const state = this.#sessions.get(session)
    if (state === undefined) return
    this.release(session)
    this.commit(session, 0)
    this.#freeTables.push(state.table)
    this.#sessions.delete(session)
  }

  clear (): void {
    for (const session of [...this.#sessions.keys()]) this.close(session)
  }

  /** Gives back what is set aside beyond the promise. */
  #trim (state: Session): void {
    const excess = Math.max(0, state.owed - Math.max(0, state.promised - state.pages.length))
    state.owed -= excess
    this.#owed -= excess
  }

  get #unpromised (): number {
    return this.#init.pages - this.#nextPage + this.#freePages.length - this.#owed
  }

  #rangeOf (part: UnitRange | undefined): UnitRange {
    if (part === undefined) return this.#init.range
    if (!isWithin(part, this.#init.range)) throw new InvalidRangeError(part, this.#init.range)
    return { from: part.from, to: part.to }
  }

  #pagesFor (positions: number): number {
    return Math.ceil(positions / this.#init.pagePositions)
  }

  #get (session: number): Session {
    const state = this.#sessions.get(session)
    if (state === undefined) throw new UnknownSessionError(session)
    return state
  }

  #checkRoom (pages: number): void {
    if (pages > this.#unpromised) throw new KeyValueBudgetError(pages * this.#init.pagePositions, this.freePositions)
  }

  /** Pages that writing [from, to) takes beyond those set aside. */
  #lacking (state: Session, from: number, to: number): number {
    const growth = Math.max(0, this.#pagesFor(to) - state.pages.length)
    return Math.max(0, growth + this.#shared(state, from, to).length - state.owed)
  }

  /** Which of its pages with positions of [from, to) a session shares. */
  #shared (state: Session, from: number, to: number): number[] {
    const indexes: number[] = []
    const end = Math.min(state.pages.length, this.#pagesFor(to))
    for (let index = Math.floor(from / this.#init.pagePositions); index < end; index++) {
      if (this.#holders.get(state.pages[index])! > 1) indexes.push(index)
    }
    return indexes
  }

  /** A free page out of those set aside for a session. */
  #take (state: Session): number {
    state.owed--
    this.#owed--
    return this.#freePages.pop() ?? this.#nextPage++
  }

  #assign (state: Session, index: number, page: number, copyOf?: number): void {
    state.pages[index] = page
    this.#holders.set(page, (this.#holders.get(page) ?? 0) + 1)
    this.#init.onAssign?.({ table: state.table, index, page, ...(copyOf === undefined ? {} : { copyOf }) })
  }

  /** Whether the page is free now. */
  #release (page: number): boolean {
    const holders = this.#holders.get(page)! - 1
    if (holders > 0) {
      this.#holders.set(page, holders)
      return false
    }
    this.#holders.delete(page)
    this.#freePages.push(page)
    return true
  }
}
