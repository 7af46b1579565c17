import { CHUNK_POSITIONS } from './constants.ts'
import { createChunkStore } from './chunk-store.ts'
import type { Chunk, ChunkStoreInit } from './chunk-store.ts'

/** The outputs of these positions are not there, or no longer. */
export class HistoryLostError extends Error {
  override readonly name = 'HistoryLostError'
}

/** What a stage has computed for the positions 0 … length - 1 of one session. */
export interface KeptHistory {
  readonly length: number
  /** keeps rows from `position` on, in place of what was there; after a gap nothing is kept */
  write (position: number, rows: Float32Array): void
  truncate (length: number): void
  /** a copy of rows, as they are at the time of the call; rejects with HistoryLostError */
  read (from: number, to: number): Promise<Float32Array>
  /** idempotent */
  close (): void
}

/** Histories of all sessions of a stage, within budgets: beyond them those used least recently are given up. */
export interface KeptOutputs {
  readonly memoryBytes: number
  readonly diskBytes: number
  /** an empty history, or one that begins like another */
  open (like?: { history: KeptHistory, length: number }): KeptHistory
}

/** Rows of a chunk that a history has from position `start` on. */
interface Entry {
  chunk: Chunk
  start: number
  rows: number
}

export function createKeptOutputs (init: ChunkStoreInit): KeptOutputs {
  const { rowSize } = init
  const chunks = createChunkStore(init)
  /** entries of all histories, least recently used first */
  const histories = new Map<KeptHistory, Entry[]>()

  /** Gives up what does not fit; the one in use comes last. */
  function settle (): void {
    while (chunks.reclaim()) {
      const oldest = [...histories.values()].find(entries => entries.length > 0)
      if (oldest === undefined) return
      releaseAll(oldest)
    }
  }

  function releaseAll (entries: Entry[]): void {
    for (const { chunk } of entries.splice(0)) chunks.release(chunk)
  }

  /** A chunk of a history's own, with the first rows of another. */
  function copy (chunk: Chunk, rows: number): Chunk {
    const own = chunks.allocate()
    own.data!.set(chunk.data!.subarray(0, rows * rowSize))
    return own
  }

  function open (like?: { history: KeptHistory, length: number }): KeptHistory {
    const entries: Entry[] = []
    /** the last chunk, while it can take more rows */
    let tail: Chunk | undefined

    const end = (): number => {
      const last = entries.at(-1)
      return last === undefined ? 0 : last.start + last.rows
    }

    function touch (): void {
      if (!histories.delete(history)) return
      histories.set(history, entries)
    }

    function truncate (length: number): void {
      while (entries.length > 0 && entries.at(-1)!.start >= length) chunks.release(entries.pop()!.chunk)
      const last = entries.at(-1)
      if (last === undefined || last.start + last.rows <= length) return
      last.rows = length - last.start
      if (last.chunk === tail || last.chunk.data === undefined) return
      // what is in memory is copied, so that a short rest does not hold a whole chunk again and again
      const shared = last.chunk
      tail = last.chunk = copy(shared, last.rows)
      chunks.release(shared)
    }

    function append (rows: Float32Array): void {
      for (let at = 0; at < rows.length;) {
        let last = entries.at(-1)
        if (last === undefined || last.chunk !== tail) {
          tail = chunks.allocate()
          last = { chunk: tail, start: end(), rows: 0 }
          entries.push(last)
        }
        const count = Math.min(rows.length - at, (CHUNK_POSITIONS - last.rows) * rowSize)
        tail!.data!.set(rows.subarray(at, at + count), last.rows * rowSize)
        last.rows += count / rowSize
        at += count
        if (last.rows < CHUNK_POSITIONS) continue
        chunks.seal(tail!)
        tail = undefined
      }
    }

    const history: KeptHistory = {
      get length () {
        return end()
      },
      write (position, rows) {
        if (!histories.has(history) || position > end()) return
        truncate(position)
        append(rows)
        touch()
        settle()
      },
      truncate (length) {
        truncate(length)
        settle()
      },
      async read (from, to) {
        if (!(from >= 0 && from < to && to <= end())) throw new HistoryLostError(`outputs of the positions ${from} to ${to - 1} are not kept, ${end() === 0 ? 'none are' : `those up to ${end() - 1} are`}`)
        touch()
        const rows = new Float32Array((to - from) * rowSize)
        const reads = entries.filter(({ start, rows }) => start < to && start + rows > from).map(async ({ chunk, start, rows: count }) => {
          const first = Math.max(from, start)
          const last = Math.min(to, start + count)
          chunks.retain(chunk)
          try {
            await chunks.read(chunk, first - start, rows.subarray((first - from) * rowSize, (last - from) * rowSize))
          } finally {
            chunks.release(chunk)
          }
        })
        try {
          await Promise.all(reads)
        } catch (error) {
          throw new HistoryLostError(`outputs of the positions ${from} to ${to - 1} cannot be read: ${(error as Error).message}`, { cause: error })
        }
        return rows
      },
      close () {
        histories.delete(history)
        releaseAll(entries)
      }
    }

    for (const { chunk, start, rows } of like === undefined ? [] : histories.get(like.history) ?? []) {
      if (start >= like!.length) break
      if (chunk.sealed) chunks.retain(chunk)
      else tail = copy(chunk, rows)
      entries.push({ chunk: chunk.sealed ? chunk : tail!, start, rows })
    }
    histories.set(history, entries)
    truncate(like?.length ?? 0)
    settle()
    return history
  }

  return {
    get memoryBytes () {
      return chunks.memoryBytes
    },
    get diskBytes () {
      return chunks.diskBytes
    },
    open
  }
}
