import { ATTENTION_WEIGHT_BYTES, ITEMS_PER_THREAD, PAGE_TILES, SHORT_ATTENTION, TILE } from './constants.ts'
import type { Architecture } from '../../model/index.ts'
import type { Arena } from './arena.ts'
import type { UnitLayout } from './arena-layout.ts'
import type { Step } from './step.ts'

/**
 * Norms and RoPE of q and k, the KV cache and attention: docs/numerics.md,
 * section 5, steps 2-5, from `scratch.query`, `key` and `value` to
 * `scratch.attention`. Work comes in items, a row and a KV head with its group
 * of query heads. Threads take whole items; where there are too few for that,
 * all threads share each item. Nothing is allocated in a step.
 */
export class Attention {
  readonly #arena: Arena
  readonly #architecture: Architecture
  readonly #unit: UnitLayout
  /** query heads of a KV head */
  readonly #group: number
  readonly #headBytes: number
  /** positions and elements that have a scale of their own */
  readonly #block: number
  readonly #scale: number
  readonly #weights: number
  #step: Step = { range: { from: 0, to: 0 }, rows: 0, positions: [], tables: [], apart: true, outputs: [] }

  constructor (arena: Arena, architecture: Architecture, unit: UnitLayout) {
    this.#arena = arena
    this.#architecture = architecture
    this.#unit = unit
    this.#group = architecture.headCount / architecture.keyValueHeadCount
    this.#headBytes = architecture.headSize * 4
    this.#block = Math.min(32, architecture.headSize)
    this.#scale = Math.fround(1 / Math.sqrt(architecture.headSize))
    this.#weights = arena.layout.scratch.attentionWeights + arena.thread * ATTENTION_WEIGHT_BYTES
  }

  /** The caller passes a barrier before and after. */
  run (step: Step): void {
    this.#step = step
    const { thread, threads } = this.#arena
    const items = step.rows * this.#architecture.keyValueHeadCount
    const whole = threads === 1 || items >= threads * ITEMS_PER_THREAD || this.#longest() < SHORT_ATTENTION
    for (let item = thread; item < items; item += threads) this.#store(item)
    // a thread that takes whole items of rows that do not see each other needs nothing of the others
    if (!whole || !step.apart) this.#arena.barrier()
    if (whole) this.#attendWhole(items)
    else this.#attendShared(items)
  }

  /** Each thread takes whole items, one after another. */
  #attendWhole (items: number): void {
    const { thread, threads } = this.#arena
    for (let item = thread; item < items; item += threads) {
      this.#prepare(item, thread)
      this.#score(item, thread, this.#firstTile(item), this.#lastTile(item) + 1)
      for (let head = 0; head < this.#group; head++) this.#exponentials(item, thread, head)
      this.#combine(item, thread, 0, this.#architecture.headSize)
    }
  }

  /** All threads share each item: ranges of tiles, then heads, then blocks of the output. */
  #attendShared (items: number): void {
    const arena = this.#arena
    const { thread, threads } = arena
    for (let item = thread; item < items; item += threads) this.#prepare(item, item)
    arena.barrier()
    for (let item = 0; item < items; item++) {
      const first = this.#firstTile(item)
      const tiles = this.#lastTile(item) + 1 - first
      this.#score(item, item, first + Math.floor(tiles * thread / threads), first + Math.floor(tiles * (thread + 1) / threads))
    }
    arena.barrier()
    for (let n = thread; n < items * this.#group; n += threads) {
      const item = Math.floor(n / this.#group)
      this.#exponentials(item, item, n % this.#group)
    }
    arena.barrier()
    const blocks = this.#architecture.headSize / this.#block
    for (let n = thread; n < items * blocks; n += threads) {
      const item = Math.floor(n / blocks)
      const from = n % blocks * this.#block
      this.#combine(item, item, from, from + this.#block)
    }
  }

  // ---- where an item's data is ----

  #row (item: number): number {
    return Math.floor(item / this.#architecture.keyValueHeadCount)
  }

  #head (item: number): number {
    return item % this.#architecture.keyValueHeadCount
  }

  #position (item: number): number {
    return this.#step.positions[this.#row(item)]
  }

  /** First position that an item sees. */
  #first (item: number): number {
    const { window } = this.#unit
    return window === null ? 0 : Math.max(0, this.#position(item) - window + 1)
  }

  #firstTile (item: number): number {
    return Math.floor(this.#first(item) / TILE)
  }

  #lastTile (item: number): number {
    return Math.floor(this.#position(item) / TILE)
  }

  /** Most positions that a row sees. */
  #longest (): number {
    let longest = 0
    for (let row = 0; row < this.#step.rows; row++) {
      const item = row * this.#architecture.keyValueHeadCount
      longest = Math.max(longest, this.#position(item) - this.#first(item) + 1)
    }
    return longest
  }

  /** The session's table of tiles. */
  #table (item: number): number {
    const { tables, tableStride } = this.#arena.layout
    return tables + this.#step.tables[this.#row(item)] * tableStride
  }

  /** The KV head's run of key tiles, from a tile's place in its page; its values follow. */
  #keys (item: number): number {
    return this.#unit.tiles + this.#head(item) * 2 * this.#runBytes()
  }

  #runBytes (): number {
    return this.#arena.layout.tileBytes * PAGE_TILES
  }

  /** Of the group's queries and outputs, from those of all rows. */
  #queryOffset (item: number): number {
    return (this.#row(item) * this.#architecture.headCount + this.#head(item) * this.#group) * this.#headBytes
  }

  /** An area holds an item's quantised queries and, behind them, its scores. */
  #queries (area: number): number {
    const { scratch } = this.#arena.layout
    return scratch.attentionAreas + area * scratch.attentionAreaBytes
  }

  #scores (area: number): number {
    return this.#queries(area) + this.#group * (2 * this.#architecture.headSize + 64)
  }

  // ---- the steps ----

  /** Norms and RoPE of an item's heads; its key and value go into the cache. */
  #store (item: number): void {
    const { kernels, layout: { scratch }, words } = this.#arena
    const { headSize, keyValueHeadCount, normEpsilon } = this.#architecture
    const { queryNorm, keyNorm } = this.#unit.vectors
    const row = this.#row(item)
    const query = scratch.query + this.#queryOffset(item)
    const keyValue = (row * keyValueHeadCount + this.#head(item)) * this.#headBytes
    const key = scratch.key + keyValue
    if (queryNorm !== undefined && keyNorm !== undefined) {
      for (let head = 0; head < this.#group; head++) {
        const at = query + head * this.#headBytes
        kernels.rmsNorm(at, queryNorm.offset, at, headSize, normEpsilon)
      }
      kernels.rmsNorm(key, keyNorm.offset, key, headSize, normEpsilon)
    }
    const angles = row * this.#headBytes / 2
    kernels.rotate(query, scratch.cos + angles, scratch.sin + angles, this.#group, headSize)
    kernels.rotate(key, scratch.cos + angles, scratch.sin + angles, 1, headSize)
    const keys = words[this.#table(item) / 4 + this.#lastTile(item)] + this.#keys(item)
    kernels.storeKeyValue(key, scratch.value + keyValue, keys, keys + this.#runBytes(), this.#position(item) % TILE, headSize, this.#block)
  }

  #prepare (item: number, area: number): void {
    const { kernels, layout: { scratch } } = this.#arena
    kernels.prepareQueries(scratch.query + this.#queryOffset(item), this.#group, this.#architecture.headSize, this.#block, this.#scale, this.#queries(area))
  }

  #score (item: number, area: number, fromTile: number, toTile: number): void {
    const { kernels, layout: { scratch } } = this.#arena
    kernels.scoreTiles(this.#queries(area), this.#group, this.#table(item), this.#keys(item), fromTile, toTile, this.#first(item),
      this.#position(item), this.#architecture.headSize, this.#block, this.#scores(area), scratch.scoreBytes)
  }

  #exponentials (item: number, area: number, head: number): void {
    const { kernels, layout: { scratch } } = this.#arena
    kernels.exponentials(this.#queries(area), head, this.#architecture.headSize, this.#firstTile(item), this.#lastTile(item), this.#scores(area), scratch.scoreBytes)
  }

  #combine (item: number, area: number, from: number, to: number): void {
    const { kernels, layout: { scratch } } = this.#arena
    kernels.combineValues(this.#queries(area), this.#group, this.#table(item), this.#keys(item) + this.#runBytes(), this.#first(item), this.#position(item),
      this.#architecture.headSize, this.#block, from, to, this.#scores(area), scratch.scoreBytes, this.#weights, scratch.attention + this.#queryOffset(item))
  }
}
