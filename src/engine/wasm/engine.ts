import { availableParallelism } from 'node:os'
import { unitName } from '../unit-name.ts'
import { checkBatch } from '../batch.ts'
import { EngineStoppedError, NotFiniteError, SessionBusyError } from '../errors.ts'
import { checkKeyValueSpan, checkKeyValueWrite, keyValueBytesPerPosition } from '../key-values.ts'
import { createArenaMemory } from './arena.ts'
import { layOutArenas } from './arena-layout.ts'
import { ARENA_WEIGHT_BYTES, DEFAULT_CONTEXTS, MAX_ROWS } from './constants.ts'
import { KeyValueBytes } from './key-value-bytes.ts'
import { createKeyValueCache } from './key-value-cache.ts'
import { kernelCacheKey, readKernelChoice, writeKernelChoice } from './kernel-cache.ts'
import { availableVariants, compileKernels, readKernels } from './kernels.ts'
import { cutPasses } from './passes.ts'
import { contestants, raceMatrices } from './race.ts'
import { ThreadPool } from './thread-pool.ts'
import type { Architecture, UnitRange, UnitSource } from '../../model/index.ts'
import type { CheckedItem } from '../batch.ts'
import type { PageAllocator } from '../page-allocator.ts'
import type { AbortOptions, BatchItem, BatchResult, Engine, EngineInit, KernelReport, OpenSessionOptions, RowResult } from '../types.ts'
import type { ArenaMemory } from './arena.ts'
import type { ArenaLayout } from './arena-layout.ts'
import type { Segment } from './passes.ts'
import type { Step } from './step.ts'

/** What tests may set besides. */
export interface WasmEngineInit extends EngineInit {
  /** compiled kernels in place of the shipped ones */
  kernels?: Uint8Array
  /** most bytes of weights in one memory */
  arenaBytes?: number
}

/** Loads a range of units into shared memory and starts the threads that run them. */
export async function createWasmEngine (init: WasmEngineInit, options: AbortOptions = {}): Promise<Engine> {
  const engine = new WasmEngine(init)
  try {
    await engine.load(init, options)
  } catch (error) {
    await engine.stop()
    throw error
  }
  return engine
}

class WasmEngine implements Engine {
  readonly architecture: Architecture
  readonly range: UnitRange
  kernels: KernelReport
  readonly #module: Uint8Array
  readonly #arenas: Array<{ layout: ArenaLayout } & ArenaMemory>
  /** where each unit is, by its number */
  readonly #arenaOf: Array<{ layout: ArenaLayout } & ArenaMemory> = []
  readonly #pool: ThreadPool
  readonly #cache: PageAllocator
  readonly #keyValues: KeyValueBytes
  /** the batch under way */
  #running: CheckedItem[] | undefined
  /** the end of the queue of batches */
  #last: Promise<unknown> = Promise.resolve()
  /** batches that run or wait */
  #batches = 0
  #stopped = false

  constructor (init: WasmEngineInit) {
    const { architecture, range } = init
    const threads = init.threads ?? availableParallelism()
    const contextLength = architecture.contextLength
    this.architecture = architecture
    this.range = range
    const layouts = layOutArenas({
      architecture,
      range,
      unit: init.unit,
      threads,
      contextLength,
      keyValuePositions: init.keyValuePositions ?? contextLength * DEFAULT_CONTEXTS,
      arenaBytes: init.arenaBytes ?? ARENA_WEIGHT_BYTES
    })
    const variant = init.variant ?? availableVariants()[0]
    this.#module = init.kernels ?? readKernels(variant)
    this.#arenas = layouts.map(layout => ({ layout, ...createArenaMemory(layout) }))
    this.kernels = { vector: variant, tile: variant, bytes: variant, streams: 4, byteStreams: 4, hugePages: this.#arenas.every(({ hugePages }) => hugePages), cached: false }
    for (const arena of this.#arenas) for (const { unit } of arena.layout.units) this.#arenaOf[unit] = arena
    this.#cache = createKeyValueCache(range, this.#arenas)
    this.#keyValues = new KeyValueBytes(architecture, this.#arenas)
    this.#pool = new ThreadPool({ architecture, arenas: this.#arenas, module: compileKernels(variant, this.#module), kernels: this.kernels }, threads)
  }

  /** Loads all units, threads in parallel, then picks the kernels. */
  async load (init: EngineInit, options: AbortOptions): Promise<void> {
    const queue = this.#arenas.flatMap(({ layout }, arena) => layout.units.map(({ unit }) => ({ arena, unit })))
    const total = queue.length
    let loaded = 0
    await Promise.all(Array.from({ length: this.#pool.threads }, async (_, thread) => {
      for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
        options.signal?.throwIfAborted()
        const source: UnitSource = init.unit(next.unit)
        await this.#pool.ask(thread, { type: 'load', ...next, source })
        init.onProgress?.({ type: 'engine:load', unit: next.unit, loaded: ++loaded, total })
      }
    }))
    if (init.variant === undefined) await this.#chooseKernels(init.kernelCache)
  }

  /** The fastest kernels, as a cache says or else a measurement. */
  async #chooseKernels (cache: string | undefined): Promise<void> {
    const matrices = raceMatrices(this.#arenas[0].layout)
    if (matrices.four.length + matrices.eight.length === 0) return
    const key = kernelCacheKey({ kernels: this.#module, matrices, threads: this.#pool.threads, hugePages: this.kernels.hugePages })
    const known = cache === undefined ? undefined : await readKernelChoice(cache, key, contestants())
    const choice = known ?? (await this.#pool.ask(0, { type: 'race' })).kernels!
    await this.#pool.useKernels(choice)
    this.kernels = { ...choice, hugePages: this.kernels.hugePages, cached: known !== undefined }
    if (cache !== undefined && known === undefined) await writeKernelChoice(cache, key, choice)
  }

  get freePositions (): number {
    return this.#cache.freePositions
  }

  openSession (options?: OpenSessionOptions): number {
    if (this.#stopped) throw new EngineStoppedError()
    return this.#cache.open(options)
  }

  sessionRange (session: number): UnitRange {
    return this.#cache.range(session)
  }

  sessionLength (session: number): number {
    return this.#cache.length(session)
  }

  reserve (session: number, from: number, to: number): void {
    this.#cache.reserve({ session, from, to })
  }

  release (session: number): void {
    this.#cache.release(session)
  }

  truncate (session: number, length: number): void {
    this.#cache.truncate(session, length)
  }

  closeSession (session: number): void {
    this.#cache.close(session)
  }

  readKeyValues (session: number, from: number, to: number): Uint8Array {
    if (this.#stopped) throw new EngineStoppedError()
    checkKeyValueSpan(from, to, this.#cache.length(session))
    const range = this.#cache.range(session)
    const bytes = new Uint8Array((to - from) * keyValueBytesPerPosition(this.architecture, range))
    this.#keyValues.read({ range, table: this.#cache.table(session), from, to }, bytes)
    return bytes
  }

  writeKeyValues (session: number, from: number, bytes: Uint8Array, to?: number): void {
    if (this.#stopped) throw new EngineStoppedError()
    const [length, range] = [this.#cache.length(session), this.#cache.range(session)]
    if (this.#running?.some(({ item }) => item.session === session) === true) throw new SessionBusyError(session)
    const end = checkKeyValueWrite({ architecture: this.architecture, range, length, from, bytes, to })
    this.#cache.write([{ session, from, to: end }])
    this.#keyValues.write({ range, table: this.#cache.table(session), from, to: end }, bytes)
    this.#cache.commit(session, end)
  }

  async run (batch: BatchItem[], options: AbortOptions = {}): Promise<BatchResult[]> {
    // at once where nothing else runs: by way of a promise it would wait for the end of the caller's callback
    const turn = this.#batches++ === 0 ? this.#runBatch(batch, options) : this.#last.then(async () => await this.#runBatch(batch, options))
    const done = (): void => { this.#batches-- }
    this.#last = turn.then(done, done)
    return await turn
  }

  async stop (): Promise<void> {
    this.#stopped = true
    await this.#pool.stop()
  }

  /** All items are checked, and their pages reserved, before the first pass; passes take rows of all sessions together. */
  async #runBatch (batch: BatchItem[], { signal }: AbortOptions): Promise<BatchResult[]> {
    if (this.#stopped) throw new EngineStoppedError()
    signal?.throwIfAborted()
    const { architecture } = this
    const lengthOf = (session: number) => this.#cache.length(session)
    const rangeOf = (session: number) => this.#cache.range(session)
    const checked = checkBatch(batch, { architecture, contextLength: architecture.contextLength, lengthOf, rangeOf })
    const kept = new Map(batch.map(({ session }) => [session, lengthOf(session)]))
    const results = checked.map(({ item, range, rows }): BatchResult => ({
      session: item.session,
      milliseconds: 0,
      ...(range.to === architecture.layerCount + 2 ? { rows: [] } : { hidden: new Float32Array(rows * architecture.hiddenSize) })
    }))
    this.#cache.write(checked.map(({ item: { session, position }, end }) => ({ session, from: position, to: end })))
    this.#running = checked
    try {
      for (const pass of cutPasses(checked, MAX_ROWS)) {
        signal?.throwIfAborted()
        await this.#runPass(pass, results)
      }
      // the last item of a session says how many positions it has
      const ends = new Map(checked.map(({ item, end }) => [item.session, end]))
      for (const [session, end] of ends) this.#cache.commit(session, end)
      return results
    } catch (error) {
      // rows that the batch dropped or wrote anew are gone, what was before them is kept
      for (const { session, position } of batch) kept.set(session, Math.min(kept.get(session)!, position))
      for (const [session, length] of kept) this.#cache.commit(session, length)
      throw error
    } finally {
      this.#running = undefined
    }
  }

  async #runPass (pass: Segment[], results: BatchResult[]): Promise<void> {
    const { range } = pass[0]
    const step: Step = { range, rows: 0, positions: [], tables: [], apart: true, outputs: [] }
    for (const { item, from, count } of pass) {
      this.#writeInput(range.from, item, from, count, step.rows)
      const table = this.#cache.table(item.session)
      for (const { row, output } of item.outputs ?? []) {
        if (row >= from && row < from + count) step.outputs.push({ row: step.rows + row - from, output })
      }
      for (let row = 0; row < count; row++) {
        step.positions.push(item.position + from + row)
        step.tables.push(table)
      }
      step.rows += count
    }
    step.apart = new Set(step.tables).size === step.rows
    const { rows, milliseconds } = await this.#runStep(step)
    let first = 0
    let next = 0
    for (const { index, from, count } of pass) {
      const result = results[index]
      // rows of one pass cost the same, whoever they belong to
      result.milliseconds += milliseconds * count / step.rows
      if (result.hidden !== undefined) this.#readHidden(range.to - 1, result.hidden, from, count, first)
      for (; next < rows.length && rows[next].row < first + count; next++) {
        result.rows?.push({ ...rows[next], row: rows[next].row - first + from })
      }
      first += count
    }
  }

  async #runStep (step: Step): Promise<{ rows: RowResult[], milliseconds: number }> {
    for (const { layout: { counters, counterStride }, memory } of this.#arenas) new Int32Array(memory.buffer, counters, counterStride * this.#pool.threads).fill(0)
    const results = (await this.#pool.step({ type: 'step', step })).map(reply => reply.result!)
    const failures = results.flatMap(result => result.notFinite ?? []).sort((a, b) => a.row - b.row || a.unit - b.unit)
    if (failures.length > 0) throw new NotFiniteError(unitName(failures[0].unit, this.architecture), step.positions[failures[0].row])
    return {
      rows: results.flatMap(result => result.rows).sort((a, b) => a.row - b.row),
      milliseconds: Math.max(...results.map(result => result.milliseconds))
    }
  }

  /** Rows of an item, for the first unit that runs. */
  #writeInput (unit: number, item: BatchItem, from: number, count: number, row: number): void {
    const { layout: { scratch }, memory } = this.#arenaOf[unit]
    if (unit === 0) {
      new Uint32Array(memory.buffer, scratch.tokens + row * 4, count).set(item.tokens!.subarray(from, from + count))
    } else {
      const { hiddenSize } = this.architecture
      const target = new Float32Array(memory.buffer, scratch.hidden + row * hiddenSize * 4, count * hiddenSize)
      target.set(item.hidden!.subarray(from * hiddenSize, (from + count) * hiddenSize))
    }
  }

  /** Rows of a result, from the last unit that has run. */
  #readHidden (unit: number, hidden: Float32Array, from: number, count: number, row: number): void {
    const { layout: { scratch }, memory } = this.#arenaOf[unit]
    const { hiddenSize } = this.architecture
    hidden.set(new Float32Array(memory.buffer, scratch.hidden + row * hiddenSize * 4, count * hiddenSize), from * hiddenSize)
  }
}
