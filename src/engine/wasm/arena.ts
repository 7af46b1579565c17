import { ACTIVATION_BLOCK, BARRIER_SPINS, PIECES_PER_THREAD, SHORT_MATRIX_ROWS, TILE_TOKENS, WASM_PAGE } from './constants.ts'
import { RANK_BLOCK } from '../low-rank.ts'
import { askForHugePages } from './huge-pages.ts'
import { dequantiseFor, instantiateKernels, productsOf, takesSigns } from './kernels.ts'
import type { ActivationLayout, ArenaLayout } from './arena-layout.ts'
import type { KernelChoice, Product } from './kernels.ts'
import type { LeftLayout } from './low-rank-layout.ts'
import type { MatrixLayout, ProductKind } from './matrix-layout.ts'

export interface ArenaMemory {
  memory: WebAssembly.Memory
  /** the system was asked to give it in large pages, and agreed */
  hugePages: boolean
}

/** Reserves the memory of an arena. The system gives it page by page as it is touched. */
export function createArenaMemory (layout: ArenaLayout): ArenaMemory {
  const pages = Math.ceil(layout.totalBytes / WASM_PAGE)
  const memory = new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true })
  return { memory, hugePages: askForHugePages(memory) }
}

/** One thread's view of an arena: its memory, its kernels, and the thread's share of the work. */
export class Arena {
  readonly layout: ArenaLayout
  readonly memory: WebAssembly.Memory
  readonly kernels: ReturnType<typeof instantiateKernels>
  readonly floats: Float32Array
  readonly words: Uint32Array
  readonly thread: number
  readonly threads: number
  readonly #counters: Int32Array
  #nextCounter = 0
  /** inner sums that other threads may still be at, as a generation of their barrier */
  #innerSums: number | undefined
  #choice: KernelChoice
  /** products with one token or few, and with many */
  #vector: Record<ProductKind, Product>
  #tile: Record<ProductKind, Product>

  constructor (layout: ArenaLayout, memory: WebAssembly.Memory, module: WebAssembly.Module, choice: KernelChoice, thread: number, threads: number) {
    this.layout = layout
    this.memory = memory
    this.kernels = instantiateKernels(module, memory)
    this.floats = new Float32Array(memory.buffer)
    this.words = new Uint32Array(memory.buffer)
    this.#counters = new Int32Array(memory.buffer)
    this.#choice = choice
    this.#vector = productsOf(this.kernels, choice.vector, choice.bytes)
    this.#tile = productsOf(this.kernels, choice.tile, choice.bytes)
    this.thread = thread
    this.threads = threads
  }

  get choice (): KernelChoice {
    return this.#choice
  }

  set choice (choice: KernelChoice) {
    this.#choice = choice
    this.#vector = productsOf(this.kernels, choice.vector, choice.bytes)
    this.#tile = productsOf(this.kernels, choice.tile, choice.bytes)
  }

  /** Waits until all threads are here. */
  barrier (): void {
    this.kernels.barrier(this.layout.barrier, this.threads, BARRIER_SPINS)
  }

  /** This thread has its part of the inner sums of the next products; their corrections wait for the parts of all. */
  innerSumsDone (): void {
    if (this.threads > 1) this.#innerSums = this.kernels.arrive(this.layout.innerBarrier, this.threads)
  }

  /** Has to be called before each step: all threads count products from here. */
  beginStep (): void {
    this.#nextCounter = this.layout.counters / 4
  }

  /**
   * Shares `count` things among the threads, in pieces of whole units of
   * `grain`. Each thread has a part of its own, always the same one, so that
   * what it wrote is still in its cache; a thread that is done with its part
   * takes pieces of others'. Every thread has to call this the same number of
   * times in a step.
   */
  forEachPiece (count: number, grain: number, work: (from: number, to: number) => void): void {
    const counter = this.#nextCounter++
    const { thread, threads } = this
    if (threads === 1) return work(0, count)
    const { counterStride } = this.layout
    const piece = this.pieceOf(count, grain)
    for (let turn = 0; turn < threads; turn++) {
      const owner = (thread + turn) % threads
      const begin = this.partStart(count, grain, owner)
      const end = this.partStart(count, grain, owner + 1)
      for (;;) {
        const from = begin + Atomics.add(this.#counters, counter + owner * counterStride, 1) * piece
        if (from >= end) break
        work(from, Math.min(end, from + piece))
      }
    }
  }

  /** Where the part of `count` things begins, in whole units of `grain`, that is a thread's own; it ends where the next one's begins. */
  partStart (count: number, grain: number, thread: number): number {
    return Math.min(count, Math.floor(Math.ceil(count / grain) * thread / this.threads) * grain)
  }

  /** How many of `count` things a thread takes at a time. */
  pieceOf (count: number, grain: number): number {
    return this.threads === 1 ? count : Math.ceil(count / (grain * this.threads * PIECES_PER_THREAD)) * grain
  }

  /** Output rows [from, to) of a matrix product, a low-rank correction included, for `tokens` tokens; `y` is [token][paddedRows]. */
  product (matrix: MatrixLayout, x: ActivationLayout, y: number, from: number, to: number, tokens: number): void {
    if (matrix.zero) this.#clear(y, from, to, tokens, matrix.paddedRows)
    else this.#multiply(matrix, x, y, from, to, tokens)
    if (matrix.left !== undefined) this.#addLowRank(matrix.left, y, from, to, tokens, matrix.paddedRows)
  }

  #multiply (matrix: MatrixLayout, x: ActivationLayout, y: number, from: number, to: number, tokens: number): void {
    const products = tokens < TILE_TOKENS ? this.#vector : this.#tile
    const codes = matrix.bits === 4 ? x.codes : takesSigns(this.#choice.bytes) ? x.positive : x.wide
    const streams = matrix.paddedRows < SHORT_MATRIX_ROWS ? 1 : matrix.bits === 4 ? this.#choice.streams : this.#choice.byteStreams
    products[matrix.kind](
      matrix.offset, codes, x.scales, matrix.bits === 4 ? x.sums : x.negative, x.scaled,
      y, from, to, matrix.blocks, tokens, matrix.paddedRows, streams, matrix.zeroShift, 15)
  }

  /** L·z, with z as innerProduct has left it in scratch memory. */
  #addLowRank ({ offset, rank, column, stride }: LeftLayout, y: number, from: number, to: number, tokens: number, rows: number): void {
    if (this.#innerSums !== undefined) this.kernels.awaitAll(this.layout.innerBarrier, this.#innerSums, BARRIER_SPINS)
    this.#innerSums = undefined
    const { codes, scales } = this.layout.scratch.inner
    this.kernels.addLowRank(offset, codes + column * 2, scales + column / RANK_BLOCK * 4, y, from, to, rank / RANK_BLOCK, tokens, rows, stride)
  }

  #clear (y: number, from: number, to: number, tokens: number, rows: number): void {
    for (let token = 0; token < tokens; token++) this.floats.fill(0, y / 4 + token * rows + from, y / 4 + token * rows + to)
  }

  /** Quantises `count` floats that begin a row, or part of a row at `column`. */
  quantise (x: number, to: ActivationLayout, row: number, columns: number, column = 0, count = columns): void {
    const at = row * columns + column
    const block = at / ACTIVATION_BLOCK * 4
    this.kernels.quantise(x, to.codes + at, to.positive + at, to.negative + at, to.wide + at * 2, to.scales + block, to.sums + block, to.scaled + block, count / ACTIVATION_BLOCK)
  }

  /** Dequantises a row of a matrix. */
  dequantiseRow (matrix: MatrixLayout, row: number, y: number): void {
    dequantiseFor(this.kernels, matrix.kind)(matrix.offset, y, row, matrix.blocks, matrix.zeroShift)
  }
}
