import { CHUNK_POSITIONS, SPILL_BYTES_UNDER_WAY } from './constants.ts'
import type { SpillFile } from './spill-file.ts'

/** Rows of CHUNK_POSITIONS positions at most: in memory, and on disk once memory is wanted. */
export interface Chunk {
  /** how many hold it */
  references: number
  /** nobody changes it any more: it can be shared, and go to disk */
  sealed: boolean
  data?: Float32Array
  /** its place on disk, also while it is on its way there */
  slot?: number
  spilling: boolean
}

export interface ChunkStoreInit {
  /** elements of a row */
  rowSize: number
  memoryBytes: number
  diskBytes: number
  spill: SpillFile
  /** nothing more goes to disk after it */
  onDiskError?: (error: Error) => void
}

/**
 * Chunks within two budgets. What is sealed goes to disk, oldest first, as
 * soon as memory is over its budget; the caller gives up what fits neither.
 */
export interface ChunkStore {
  readonly memoryBytes: number
  readonly diskBytes: number
  /** one to be written, held by the caller */
  allocate (): Chunk
  /** it will not be changed any more */
  seal (chunk: Chunk): void
  retain (chunk: Chunk): void
  release (chunk: Chunk): void
  /** copies rows; at once where they are in memory. Rejects where the disk fails */
  read (chunk: Chunk, row: number, into: Float32Array): Promise<void> | undefined
  /** sends to disk what is too much in memory; true where that does not do */
  reclaim (): boolean
}

export function createChunkStore ({ rowSize, memoryBytes, diskBytes, spill, onDiskError }: ChunkStoreInit): ChunkStore {
  const chunkBytes = 4 * rowSize * CHUNK_POSITIONS
  const slots = Math.floor(diskBytes / chunkBytes)
  const free: number[] = []
  /** sealed and in memory only, oldest first */
  const waiting = new Set<Chunk>()
  let nextSlot = 0
  let usedSlots = 0
  let inMemory = 0
  let underWay = 0
  let diskFailed = false

  function freeSlot (chunk: Chunk): void {
    free.push(chunk.slot!)
    chunk.slot = undefined
    if (--usedSlots > 0) return
    free.length = 0
    nextSlot = 0
    spill.clear()
  }

  function drop (chunk: Chunk): void {
    chunk.data = undefined
    inMemory -= chunkBytes
  }

  async function send (chunk: Chunk): Promise<void> {
    waiting.delete(chunk)
    chunk.spilling = true
    chunk.slot = free.pop() ?? nextSlot++
    usedSlots++
    underWay += chunkBytes
    const { data } = chunk
    try {
      await spill.write(chunk.slot, new Uint8Array(data!.buffer, data!.byteOffset, data!.byteLength))
    } catch (error) {
      // a disk that is full or gone: what is there already may still be read
      diskFailed = true
      onDiskError?.(error as Error)
    }
    underWay -= chunkBytes
    chunk.spilling = false
    const wanted = chunk.references > 0
    if (wanted && diskFailed) waiting.add(chunk)
    else drop(chunk)
    if (!wanted || diskFailed) freeSlot(chunk)
  }

  return {
    get memoryBytes () {
      return inMemory
    },
    get diskBytes () {
      return usedSlots * chunkBytes
    },
    allocate () {
      inMemory += chunkBytes
      return { references: 1, sealed: false, data: new Float32Array(rowSize * CHUNK_POSITIONS), spilling: false }
    },
    seal (chunk) {
      chunk.sealed = true
      waiting.add(chunk)
    },
    retain (chunk) {
      chunk.references++
    },
    release (chunk) {
      // one that is on its way to disk is dropped when it has come there
      if (--chunk.references > 0 || chunk.spilling) return
      waiting.delete(chunk)
      if (chunk.data === undefined) freeSlot(chunk)
      else drop(chunk)
    },
    read (chunk, row, into) {
      const from = row * rowSize
      if (chunk.data !== undefined) {
        into.set(chunk.data.subarray(from, from + into.length))
        return undefined
      }
      return spill.read(chunk.slot!, 4 * from, new Uint8Array(into.buffer, into.byteOffset, into.byteLength))
    },
    reclaim () {
      while (inMemory - underWay > memoryBytes) {
        const [oldest] = waiting
        if (oldest === undefined || diskFailed || usedSlots >= slots || underWay + chunkBytes > SPILL_BYTES_UNDER_WAY) return true
        send(oldest)
      }
      return false
    }
  }
}
