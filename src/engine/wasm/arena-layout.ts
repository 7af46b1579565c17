import { UnsupportedModelError } from '../errors.ts'
import {
  ALIGNMENT, ATTENTION_WEIGHT_BYTES, ARENA_MAXIMUM_BYTES, COUNTERS_PER_UNIT, ITEMS_PER_THREAD, KERNEL_DATA_BYTES, LOGIT_ROWS, MAX_ROWS, MAX_SESSIONS, PAGE_TILES, TILE, WASM_PAGE
} from './constants.ts'
import { checkMatrix, matrixKey } from '../low-rank.ts'
import { layOutFactors, layOutInner } from './low-rank-layout.ts'
import { layOutMatrix } from './matrix-layout.ts'
import type { Architecture, TensorRole, TensorSource, UnitRange, UnitSource } from '../../model/index.ts'
import type { FactorsLayout, InnerLayout } from './low-rank-layout.ts'
import type { MatrixLayout } from './matrix-layout.ts'

/** A tensor of floats: norm weights or a bias. */
export interface VectorLayout {
  offset: number
  length: number
}

export interface UnitLayout {
  /** number of the unit */
  unit: number
  kind: 'embed' | 'layer' | 'head'
  matrices: Partial<Record<TensorRole, MatrixLayout>>
  vectors: Partial<Record<TensorRole, VectorLayout>>
  /** of low-rank corrections, by the first matrix of those with the same input */
  factors: Partial<Record<TensorRole, FactorsLayout>>
  /** attention window of a layer, or null */
  window: number | null
  /** byte offset of the layer's tiles inside a page: for each KV head a run of key tiles and one of value tiles */
  tiles: number
}

/** Buffers that a step works in; each is for MAX_ROWS rows unless said otherwise. */
export interface ScratchLayout {
  tokens: number
  hidden: number
  /** MAX_ROWS × max(hidden, query) floats: outputs of norms and of projections */
  temporary: number
  /** quantised activations: codes, scales, sums, scaled sums */
  activations: ActivationLayout
  /** for each thread, of one row: what all of them compute for themselves, without taking cache lines from each other */
  own: Array<{ normed: number, activations: ActivationLayout }>
  /** quantised activations of the feed-forward network, written while others are read */
  feedForward: ActivationLayout
  /** of low-rank corrections */
  inner: InnerLayout
  query: number
  key: number
  value: number
  attention: number
  gate: number
  up: number
  cos: number
  sin: number
  /** LOGIT_ROWS × padded vocabulary */
  logits: number
  /** the largest of every 16 logits */
  logitMaxima: number
  /** ITEMS_PER_THREAD areas a thread for queries and scores of a group of heads, see attention.ts */
  attentionAreas: number
  attentionAreaBytes: number
  /** scores of one head over a whole context */
  scoreBytes: number
  /** ATTENTION_WEIGHT_BYTES for each thread */
  attentionWeights: number
}

export interface ActivationLayout {
  codes: number
  /** max(code, 0) and max(-code, 0) */
  positive: number
  negative: number
  /** codes of 16 bits */
  wide: number
  scales: number
  sums: number
  scaled: number
}

/** One shared memory with the units it holds. Pure data: threads get a copy. */
export interface ArenaLayout {
  units: UnitLayout[]
  scratch: ScratchLayout
  barrier: number
  /** another one, for the inner sums of a product with corrections */
  innerBarrier: number
  /** counters of pieces that are taken: for each thread one word for each product of a step */
  counters: number
  /** words from one thread's counters to the next one's */
  counterStride: number
  /** bytes from one session's page table to the next */
  tableStride: number
  tables: number
  /** KV pages: PAGE_TILES × 32 positions of all layers of the arena */
  pages: number
  pageBytes: number
  /** bytes of one tile: 32 positions of the keys, or the values, of one layer and KV head */
  tileBytes: number
  pageCount: number
  /** positions that a page table has room for */
  contextLength: number
  totalBytes: number
}

const MATRICES: readonly TensorRole[] = [
  'embedding', 'query', 'key', 'value', 'attentionOutput', 'gate', 'up', 'down', 'projection'
]

/** Tensors that a unit cannot do without. */
const ROLES: Readonly<Record<UnitLayout['kind'], readonly TensorRole[]>> = {
  embed: ['embedding'],
  layer: ['attentionNorm', 'query', 'key', 'value', 'attentionOutput', 'feedForwardNorm', 'gate', 'up', 'down'],
  head: ['finalNorm', 'projection']
}

export interface ArenaInit {
  architecture: Architecture
  range: UnitRange
  unit: (index: number) => UnitSource
  threads: number
  keyValuePositions: number
  contextLength: number
  /** most bytes of weights in one arena; a unit is never cut */
  arenaBytes: number
}

/** Cuts a range of units into arenas and gives every tensor, buffer and KV page its place. */
export function layOutArenas (init: ArenaInit): ArenaLayout[] {
  checkShapes(init.architecture)
  const arenas: ArenaLayout[] = []
  let unit = init.range.from
  while (unit < init.range.to) {
    const arena = layOutArena(init, unit)
    arenas.push(arena)
    unit += arena.units.length
  }
  return arenas
}

function checkShapes (a: Architecture): void {
  const multipleOf32: Array<[string, number]> = [
    ['hiddenSize', a.hiddenSize], ['feedForwardSize', a.feedForwardSize], ['headCount × headSize', a.headCount * a.headSize]
  ]
  for (const [field, value] of multipleOf32) {
    if (value % 32 !== 0) throw new UnsupportedModelError(field, `${value} is not a multiple of 32, as profile exact-1 requires`)
  }
  if (a.headSize !== 16 && a.headSize % 32 !== 0) {
    throw new UnsupportedModelError('headSize', `${a.headSize} is neither 16 nor a multiple of 32, as profile exact-1 requires`)
  }
  if (a.headCount % a.keyValueHeadCount !== 0) {
    throw new UnsupportedModelError('headCount', `${a.headCount} is not a multiple of ${a.keyValueHeadCount} KV heads`)
  }
}

function layOutArena ({ architecture: a, range, unit, threads, keyValuePositions, contextLength, arenaBytes }: ArenaInit, first: number): ArenaLayout {
  let end = KERNEL_DATA_BYTES
  const reserve = (bytes: number): number => {
    const offset = end
    end += Math.ceil(bytes / ALIGNMENT) * ALIGNMENT
    return offset
  }
  const barrier = reserve(12)
  const innerBarrier = reserve(12)
  const block = Math.min(32, a.headSize)
  const tileBytes = TILE * a.headSize + (a.headSize / block) * TILE * 4
  const layerTiles = 2 * tileBytes * PAGE_TILES * a.keyValueHeadCount

  const units: UnitLayout[] = []
  const shared = new Map<string, MatrixLayout>()
  let layers = 0
  for (let u = first; u < range.to; u++) {
    const before = end
    const layout = layOutUnit(a, u, unit(u), reserve, shared)
    if (end > arenaBytes && units.length > 0) {
      end = before
      break
    }
    if (layout.kind === 'layer') layout.tiles = layers++ * layerTiles
    units.push(layout)
  }

  // no two threads' in one cache line
  const counterStride = Math.ceil((COUNTERS_PER_UNIT * (units.length + 1) + Math.ceil(MAX_ROWS / LOGIT_ROWS)) * 4 / ALIGNMENT) * ALIGNMENT / 4
  const counters = reserve(counterStride * threads * 4)
  const scratch = layOutScratch(a, units, threads, contextLength, reserve)
  const tableStride = Math.ceil(contextLength / (TILE * PAGE_TILES)) * PAGE_TILES * 4
  const tables = reserve(tableStride * MAX_SESSIONS)
  const pageBytes = Math.max(layers, 1) * layerTiles
  const pages = reserve(0)
  // without layers pages exist in name only: sessions still count their positions
  const room = layers === 0 ? Infinity : Math.floor((ARENA_MAXIMUM_BYTES - WASM_PAGE - pages) / pageBytes)
  const pageCount = Math.min(Math.ceil(keyValuePositions / (TILE * PAGE_TILES)), room)
  if (pageCount < 1) throw new UnsupportedModelError(`units ${first} to ${first + units.length - 1}`, 'their weights leave no room for a KV cache in 4 GiB')
  const totalBytes = pages + (layers === 0 ? 0 : pageCount * pageBytes)
  return { units, scratch, barrier, innerBarrier, counters, counterStride, tableStride, tables, pages, pageBytes: layers === 0 ? 0 : pageBytes, tileBytes, pageCount, contextLength, totalBytes }
}

function layOutUnit (a: Architecture, unit: number, source: UnitSource, reserve: (bytes: number) => number, shared: Map<string, MatrixLayout>): UnitLayout {
  const kind = unit === 0 ? 'embed' : unit === a.layerCount + 1 ? 'head' : 'layer'
  for (const role of ROLES[kind]) {
    if (source.tensors[role] === undefined) throw new UnsupportedModelError(role, `missing in ${source.unit}`)
  }
  const layout: UnitLayout = {
    unit, kind, matrices: {}, vectors: {}, factors: {}, window: kind === 'layer' ? a.slidingWindows[unit - 1] : null, tiles: 0
  }
  for (const [role, tensor] of Object.entries(source.tensors) as Array<[TensorRole, TensorSource]>) {
    if (MATRICES.includes(role)) {
      // a tied head reads the embedding's weights
      checkMatrix(role, tensor)
      const key = matrixKey(tensor)
      const matrix = shared.get(key) ?? layOutMatrix(tensor, reserve)
      shared.set(key, matrix)
      layout.matrices[role] = matrix
    } else {
      const length = tensor.shape.reduce((product, n) => product * n, 1)
      layout.vectors[role] = { offset: reserve(length * 4), length }
    }
  }
  layout.factors = layOutFactors(source.tensors, layout.matrices, reserve)
  return layout
}

function layOutScratch (a: Architecture, units: UnitLayout[], threads: number, contextLength: number, reserve: (bytes: number) => number): ScratchLayout {
  const querySize = a.headCount * a.headSize
  const keyValueSize = a.keyValueHeadCount * a.headSize
  const rows = (floats: number) => reserve(MAX_ROWS * floats * 4)
  const activations = (size: number, count = MAX_ROWS): ActivationLayout => ({
    codes: reserve(count * size), positive: reserve(count * size), negative: reserve(count * size), wide: reserve(count * size * 2), scales: reserve(count * size / 8), sums: reserve(count * size / 8), scaled: reserve(count * size / 8)
  })
  const inputSize = Math.max(a.hiddenSize, querySize)
  const hasHead = units.some(unit => unit.kind === 'head')
  const logitBytes = hasHead ? LOGIT_ROWS * Math.ceil(a.vocabularySize / 16) * 16 * 4 : 0
  const scoreBytes = Math.ceil(contextLength / TILE) * TILE * 4
  const attentionAreaBytes = a.headCount / a.keyValueHeadCount * (2 * a.headSize + 64 + scoreBytes)
  return {
    tokens: rows(1),
    hidden: rows(a.hiddenSize),
    temporary: rows(inputSize),
    activations: activations(inputSize),
    own: Array.from({ length: threads }, () => ({ normed: reserve(inputSize * 4), activations: activations(inputSize, 1) })),
    feedForward: activations(a.feedForwardSize),
    inner: layOutInner(units.flatMap(({ factors }) => Object.values(factors)), MAX_ROWS, reserve),
    query: rows(querySize),
    key: rows(keyValueSize),
    value: rows(keyValueSize),
    attention: rows(querySize),
    gate: rows(a.feedForwardSize),
    up: rows(a.feedForwardSize),
    cos: rows(a.headSize / 2),
    sin: rows(a.headSize / 2),
    logits: reserve(logitBytes),
    logitMaxima: reserve(logitBytes / 16),
    attentionAreas: reserve(threads * ITEMS_PER_THREAD * attentionAreaBytes),
    attentionAreaBytes,
    scoreBytes,
    attentionWeights: reserve(threads * ATTENTION_WEIGHT_BYTES)
  }
}
