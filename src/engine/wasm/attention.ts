import { ATTENTION_WEIGHT_BYTES, ITEMS_PER_THREAD, PAGE_TILES, SHORT_ATTENTION, TILE } from './constants.ts'
import type { Architecture } from '../../model/index.ts'
import type { Arena } from './arena.ts'
import type { UnitLayout } from './arena-layout.ts'
import type { Step } from './step.ts'

/** A row and a KV head with its group of query heads: where its data is. */
interface Item {
  row: number
  head: number
  position: number
  /** first visible position */
  first: number
  /** byte offsets of the group's queries (floats), its output, and the KV head's keys and values of this row */
  query: number
  output: number
  key: number
  value: number
  /** the session's table of tiles */
  table: number
  /** of the KV head's key and value tiles from a tile's place in its page */
  keys: number
  values: number
}

/**
 * Norms and RoPE of q and k, the KV cache and attention: docs/numerics.md,
 * section 5, steps 2-5, from `scratch.query`, `key` and `value` to
 * `scratch.attention`. Threads take whole items; where there are too few for
 * that, all threads share each item. The caller passes a barrier before and
 * after.
 */
export function attendRows (arena: Arena, a: Architecture, unit: UnitLayout, step: Step): void {
  const items = listItems(arena, a, unit, step)
  for (let i = arena.thread; i < items.length; i += arena.threads) store(arena, a, unit, items[i])
  arena.barrier()
  const most = items.reduce((most, { first, position }) => Math.max(most, position - first), 0)
  if (items.length >= arena.threads * ITEMS_PER_THREAD || most < SHORT_ATTENTION || arena.threads === 1) attendWhole(arena, a, items)
  else attendShared(arena, a, items)
}

function listItems (arena: Arena, a: Architecture, unit: UnitLayout, { rows, positions, tables }: Step): Item[] {
  const { scratch, tables: firstTable, tableStride, tileBytes } = arena.layout
  const runBytes = tileBytes * PAGE_TILES
  const group = a.headCount / a.keyValueHeadCount
  const headBytes = a.headSize * 4
  const items: Item[] = []
  for (let row = 0; row < rows; row++) {
    for (let head = 0; head < a.keyValueHeadCount; head++) {
      const queries = (row * a.headCount + head * group) * headBytes
      const keyValue = (row * a.keyValueHeadCount + head) * headBytes
      items.push({
        row,
        head,
        position: positions[row],
        first: unit.window === null ? 0 : Math.max(0, positions[row] - unit.window + 1),
        query: scratch.query + queries,
        output: scratch.attention + queries,
        key: scratch.key + keyValue,
        value: scratch.value + keyValue,
        table: firstTable + tables[row] * tableStride,
        keys: unit.tiles + head * 2 * runBytes,
        values: unit.tiles + (head * 2 + 1) * runBytes
      })
    }
  }
  return items
}

/** Norms and RoPE of an item's heads; its key and value go into the cache. */
function store ({ kernels, layout: { scratch }, words }: Arena, a: Architecture, { vectors }: UnitLayout, item: Item): void {
  const group = a.headCount / a.keyValueHeadCount
  const headBytes = a.headSize * 4
  if (vectors.queryNorm !== undefined && vectors.keyNorm !== undefined) {
    for (let h = 0; h < group; h++) {
      const q = item.query + h * headBytes
      kernels.rmsNorm(q, vectors.queryNorm.offset, q, a.headSize, a.normEpsilon)
    }
    kernels.rmsNorm(item.key, vectors.keyNorm.offset, item.key, a.headSize, a.normEpsilon)
  }
  const angles = item.row * headBytes / 2
  kernels.rotate(item.query, scratch.cos + angles, scratch.sin + angles, group, a.headSize)
  kernels.rotate(item.key, scratch.cos + angles, scratch.sin + angles, 1, a.headSize)
  const tile = words[item.table / 4 + Math.floor(item.position / TILE)]
  kernels.storeKeyValue(item.key, item.value, tile + item.keys, tile + item.values, item.position % TILE, a.headSize, Math.min(32, a.headSize))
}

/** Each thread takes whole items, one after another. */
function attendWhole (arena: Arena, a: Architecture, items: Item[]): void {
  const steps = attentionSteps(arena, a)
  const group = a.headCount / a.keyValueHeadCount
  for (let i = arena.thread; i < items.length; i += arena.threads) {
    const item = items[i]
    steps.prepare(item, arena.thread)
    steps.score(item, arena.thread, item.first >> 5, (item.position >> 5) + 1)
    for (let h = 0; h < group; h++) steps.exponentials(item, arena.thread, h)
    steps.combine(item, arena.thread, 0, a.headSize)
  }
}

/** All threads share each item: ranges of tiles, then heads, then blocks of the output. */
function attendShared (arena: Arena, a: Architecture, items: Item[]): void {
  const steps = attentionSteps(arena, a)
  const { thread, threads } = arena
  const group = a.headCount / a.keyValueHeadCount
  const block = Math.min(32, a.headSize)
  for (let i = thread; i < items.length; i += threads) steps.prepare(items[i], i)
  arena.barrier()
  for (const [i, item] of items.entries()) {
    const firstTile = item.first >> 5
    const tiles = arena.share((item.position >> 5) + 1 - firstTile)
    steps.score(item, i, firstTile + tiles.from, firstTile + tiles.to)
  }
  arena.barrier()
  for (let n = thread; n < items.length * group; n += threads) {
    const i = Math.floor(n / group)
    steps.exponentials(items[i], i, n % group)
  }
  arena.barrier()
  const blocks = a.headSize / block
  for (let n = thread; n < items.length * blocks; n += threads) {
    const i = Math.floor(n / blocks)
    const from = n % blocks * block
    steps.combine(items[i], i, from, from + block)
  }
}

/** The kernels' steps on an item, with its intermediate results in one of the arena's areas. */
function attentionSteps ({ kernels, thread, layout: { scratch } }: Arena, { headSize, headCount, keyValueHeadCount }: Architecture) {
  const group = headCount / keyValueHeadCount
  const block = Math.min(32, headSize)
  const scale = Math.fround(1 / Math.sqrt(headSize))
  const queriesOf = (area: number) => scratch.attentionAreas + area * scratch.attentionAreaBytes
  const scoresOf = (area: number) => queriesOf(area) + group * (2 * headSize + 64)
  const scoreBytes = scratch.scoreBytes
  const weights = scratch.attentionWeights + thread * ATTENTION_WEIGHT_BYTES
  return {
    prepare (item: Item, area: number): void {
      kernels.prepareQueries(item.query, group, headSize, block, scale, queriesOf(area))
    },
    score (item: Item, area: number, fromTile: number, toTile: number): void {
      kernels.scoreTiles(queriesOf(area), group, item.table, item.keys, fromTile, toTile, item.first, item.position,
        headSize, block, scoresOf(area), scoreBytes)
    },
    exponentials (item: Item, area: number, head: number): void {
      kernels.exponentials(queriesOf(area), head, headSize, item.first >> 5, item.position >> 5, scoresOf(area), scoreBytes)
    },
    combine (item: Item, area: number, from: number, to: number): void {
      kernels.combineValues(queriesOf(area), group, item.table, item.values, item.first, item.position,
        headSize, block, from, to, scoresOf(area), scoreBytes, weights, item.output)
    }
  }
}
