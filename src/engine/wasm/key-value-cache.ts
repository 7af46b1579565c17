import { ContextLengthError, KeyValueBudgetError, SessionLimitError, UnknownSessionError } from '../errors.ts'
import { MAX_SESSIONS, PAGE_TILES, TILE } from './constants.ts'
import type { ArenaLayout } from './arena-layout.ts'

const PAGE_POSITIONS = PAGE_TILES * TILE

interface Session {
  table: number
  length: number
  pages: number[]
}

/**
 * Who holds which pages of the KV cache. A page is PAGE_TILES tiles of 32
 * positions of all layers; a session's table of pointers to its tiles lies in
 * each arena, where kernels read it.
 */
export class KeyValueCache {
  readonly #arenas: Array<{ layout: ArenaLayout, words: Uint32Array }>
  readonly #sessions = new Map<number, Session>()
  readonly #freePages: number[] = []
  readonly #freeTables: number[] = []
  readonly #contextLength: number
  #nextSession = 1

  constructor (arenas: Array<{ layout: ArenaLayout, memory: WebAssembly.Memory }>) {
    this.#arenas = arenas.map(({ layout, memory }) => ({ layout, words: new Uint32Array(memory.buffer) }))
    this.#contextLength = arenas[0].layout.contextLength
    // the last of a list is taken first: lowest pages first touches the least memory
    for (let page = Math.min(...arenas.map(({ layout }) => layout.pageCount)) - 1; page >= 0; page--) this.#freePages.push(page)
    for (let table = MAX_SESSIONS - 1; table >= 0; table--) this.#freeTables.push(table)
  }

  get freePositions (): number {
    return this.#freePages.length * PAGE_POSITIONS
  }

  open (capacity = 0): number {
    if (capacity > this.#contextLength) throw new ContextLengthError(capacity, this.#contextLength)
    if (capacity > this.freePositions) throw new KeyValueBudgetError(capacity, this.freePositions)
    const table = this.#freeTables.pop()
    if (table === undefined) throw new SessionLimitError(MAX_SESSIONS)
    const id = this.#nextSession++
    this.#sessions.set(id, { table, length: 0, pages: [] })
    return id
  }

  length (session: number): number {
    return this.#get(session).length
  }

  table (session: number): number {
    return this.#get(session).table
  }

  /** Gives a session pages for positions up to `length`; its own length stays as it is until `commit`. */
  reserve (session: number, length: number): void {
    const state = this.#get(session)
    const needed = Math.ceil(length / PAGE_POSITIONS) - state.pages.length
    if (needed > this.#freePages.length) throw new KeyValueBudgetError(needed * PAGE_POSITIONS, this.freePositions)
    for (let i = 0; i < needed; i++) {
      const page = this.#freePages.pop()!
      for (const { layout, words } of this.#arenas) {
        const entry = (layout.tables + state.table * layout.tableStride) / 4 + state.pages.length * PAGE_TILES
        for (let tile = 0; tile < PAGE_TILES; tile++) words[entry + tile] = layout.pages + page * layout.pageBytes + tile * layout.tileBytes
      }
      state.pages.push(page)
    }
  }

  /** Sets the number of positions that count, and gives back pages beyond them. */
  commit (session: number, length: number): void {
    const state = this.#get(session)
    state.length = length
    const kept = Math.ceil(length / PAGE_POSITIONS)
    while (state.pages.length > kept) this.#freePages.push(state.pages.pop()!)
  }

  close (session: number): void {
    const state = this.#sessions.get(session)
    if (state === undefined) return
    this.commit(session, 0)
    this.#freeTables.push(state.table)
    this.#sessions.delete(session)
  }

  #get (session: number): Session {
    const state = this.#sessions.get(session)
    if (state === undefined) throw new UnknownSessionError(session)
    return state
  }
}
