import type { Architecture, UnitName, UnitRange } from '../../model/index.ts'
import { checkBatch } from '../batch.ts'
import { EngineStoppedError, NotFiniteError, SessionBusyError, UnsupportedProfileError } from '../errors.ts'
import { checkKeyValueSpan, checkKeyValueWrite, keyValueBytesPerPosition, keyValueShape } from '../key-values.ts'
import type { CheckedItem } from '../batch.ts'
import type { AbortOptions, BatchItem, BatchResult, Engine, EngineInit, OpenSessionOptions, RowOutput, RowResult } from '../types.ts'
import { bestLogits } from './best-logits.ts'
import { Sessions } from './sessions.ts'

/** What differs between the reference engine and the oracle: how numbers are made. */
export interface Arithmetic<Cache> {
  /** an empty KV cache of one layer of one session */
  createCache (): Cache
  copyCache (cache: Cache): Cache
  /** rows × hiddenSize */
  embed (ids: Uint32Array): Float32Array
  /** runs a layer on `rows` rows, the first at `position`, in place; keys and values go into the cache */
  layer (index: number, hidden: Float32Array, rows: number, position: number, cache: Cache): void
  /** rows × vocabularySize, of rows × hiddenSize */
  logits (hidden: Float32Array, rows: number): Float32Array
  logSumExp (logits: Float32Array): number
  /** the bytes of one position in the cache of a layer, for arithmetic of profile exact-1: docs/numerics.md, section 11 */
  keyValues?: {
    read (cache: Cache, position: number, bytes: Uint8Array): void
    write (cache: Cache, position: number, bytes: Uint8Array): void
  }
}

/** The event loop gets a turn at least this often between units, so that an abort is seen. */
const YIELD_MILLISECONDS = 20

/** Rows of logits that are held at once. */
const HEAD_ROWS = 32

/** Runs units one after another on the calling thread: clear before fast, for tests and comparisons. */
export class ScalarEngine<Cache> implements Engine {
  readonly architecture: Architecture
  readonly range: UnitRange
  #arithmetic: Arithmetic<Cache>
  #sessions: Sessions<Map<number, Cache>>
  #queue: Promise<unknown> = Promise.resolve()
  /** the batch under way */
  #running: CheckedItem[] | undefined
  #stopped = false
  #lastYield = 0

  constructor (init: EngineInit, arithmetic: Arithmetic<Cache>) {
    this.architecture = init.architecture
    this.range = init.range
    this.#arithmetic = arithmetic
    const { contextLength } = init.architecture
    this.#sessions = new Sessions({
      range: init.range,
      positions: init.keyValuePositions ?? contextLength * 4,
      contextLength,
      createState: () => new Map(),
      copyState: state => new Map([...state].map(([layer, cache]) => [layer, arithmetic.copyCache(cache)]))
    })
  }

  get freePositions (): number { return this.#sessions.free }

  openSession (options?: OpenSessionOptions): number {
    if (this.#stopped) throw new EngineStoppedError()
    return this.#sessions.open(options)
  }

  sessionRange (session: number): UnitRange { return this.#sessions.range(session) }
  sessionLength (session: number): number { return this.#sessions.length(session) }
  reserve (session: number, from: number, to: number): void { this.#sessions.reserve(session, from, to) }
  release (session: number): void { this.#sessions.release(session) }
  truncate (session: number, length: number): void { this.#sessions.truncate(session, length) }
  closeSession (session: number): void { this.#sessions.close(session) }

  readKeyValues (session: number, from: number, to: number): Uint8Array {
    if (this.#stopped) throw new EngineStoppedError()
    checkKeyValueSpan(from, to, this.#sessions.length(session))
    const { read } = this.#keyValues()
    const bytes = new Uint8Array((to - from) * keyValueBytesPerPosition(this.architecture, this.#sessions.range(session)))
    this.#forEachCache(session, from, to, bytes, read)
    return bytes
  }

  writeKeyValues (session: number, from: number, bytes: Uint8Array, to?: number): void {
    if (this.#stopped) throw new EngineStoppedError()
    const [length, range] = [this.#sessions.length(session), this.#sessions.range(session)]
    if (this.#running?.some(({ item }) => item.session === session) === true) throw new SessionBusyError(session)
    const { write } = this.#keyValues()
    const end = checkKeyValueWrite({ architecture: this.architecture, range, length, from, bytes, to })
    this.#sessions.write([{ session, from, to: end }])
    this.#forEachCache(session, from, end, bytes, write)
    this.#sessions.commit(session, end)
  }

  run (batch: BatchItem[], options: AbortOptions = {}): Promise<BatchResult[]> {
    const result = this.#queue.then(() => this.#run(batch, options.signal))
    this.#queue = result.catch(() => {})
    return result
  }

  async stop (): Promise<void> {
    this.#stopped = true
    await this.#queue
    this.#sessions.clear()
  }

  async #run (batch: BatchItem[], signal?: AbortSignal): Promise<BatchResult[]> {
    if (this.#stopped) throw new EngineStoppedError()
    signal?.throwIfAborted()
    const checked = this.#check(batch)
    const before = new Map(batch.map(item => [item.session, this.#sessions.length(item.session)]))
    this.#sessions.write(checked.map(({ item: { session, position }, end }) => ({ session, from: position, to: end })))
    this.#running = checked
    try {
      const results = []
      for (const item of checked) results.push(await this.#runItem(item, signal))
      // the last item of a session says how many positions it has
      const ends = new Map(checked.map(({ item, end }) => [item.session, end]))
      for (const [session, end] of ends) this.#sessions.commit(session, end)
      return results
    } catch (error) {
      // rows that the batch dropped or wrote anew are gone, what was before them is kept
      for (const { session, position } of batch) before.set(session, Math.min(before.get(session)!, position))
      for (const [session, length] of before) this.#sessions.commit(session, length)
      throw error
    } finally {
      this.#running = undefined
    }
  }

  #check (batch: BatchItem[]): CheckedItem[] {
    const { architecture } = this
    return checkBatch(batch, {
      architecture,
      contextLength: architecture.contextLength,
      lengthOf: session => this.#sessions.length(session),
      rangeOf: session => this.#sessions.range(session)
    })
  }

  async #runItem ({ item, range, rows }: CheckedItem, signal?: AbortSignal): Promise<BatchResult> {
    const started = performance.now()
    const { hiddenSize, layerCount } = this.architecture
    const state = this.#sessions.state(item.session)
    let hidden: Float32Array
    if (range.from === 0) {
      hidden = this.#arithmetic.embed(item.tokens!)
      checkFinite('embed', hidden, hiddenSize, item.position)
    } else {
      hidden = item.hidden!.slice()
    }
    for (let unit = Math.max(range.from, 1); unit < Math.min(range.to, layerCount + 1); unit++) {
      await this.#yield(signal)
      const layer = unit - 1
      this.#arithmetic.layer(layer, hidden, rows, item.position, this.#cacheOf(state, layer))
      checkFinite(`layer ${layer}`, hidden, hiddenSize, item.position)
    }
    const result: BatchResult = { session: item.session, milliseconds: 0 }
    if (range.to === layerCount + 2) {
      result.rows = await this.#head(hidden, item, signal)
    } else {
      result.hidden = hidden
    }
    result.milliseconds = performance.now() - started
    return result
  }

  #cacheOf (state: Map<number, Cache>, layer: number): Cache {
    let cache = state.get(layer)
    if (cache === undefined) state.set(layer, cache = this.#arithmetic.createCache())
    return cache
  }

  #keyValues (): NonNullable<Arithmetic<Cache>['keyValues']> {
    if (this.#arithmetic.keyValues === undefined) throw new UnsupportedProfileError()
    return this.#arithmetic.keyValues
  }

  /** Goes through bytes of a KV cache in their order: positions, and in each the layers. */
  #forEachCache (session: number, from: number, to: number, bytes: Uint8Array, visit: (cache: Cache, position: number, bytes: Uint8Array) => void): void {
    const range = this.#sessions.range(session)
    const state = this.#sessions.state(session)
    const { layerBytes } = keyValueShape(this.architecture)
    let at = 0
    for (let position = from; position < to; position++) {
      for (let unit = Math.max(range.from, 1); unit < Math.min(range.to, this.architecture.layerCount + 1); unit++) {
        visit(this.#cacheOf(state, unit - 1), position, bytes.subarray(at, at += layerBytes))
      }
    }
  }

  async #head (hidden: Float32Array, item: BatchItem, signal?: AbortSignal): Promise<RowResult[]> {
    const { hiddenSize, vocabularySize } = this.architecture
    const wanted = item.outputs ?? []
    const results: RowResult[] = []
    for (let from = 0; from < wanted.length; from += HEAD_ROWS) {
      await this.#yield(signal)
      const group = wanted.slice(from, from + HEAD_ROWS)
      const inputs = new Float32Array(group.length * hiddenSize)
      group.forEach(({ row }, i) => inputs.set(hidden.subarray(row * hiddenSize, (row + 1) * hiddenSize), i * hiddenSize))
      const logits = this.#arithmetic.logits(inputs, group.length)
      group.forEach(({ row, output }, i) => {
        const own = logits.slice(i * vocabularySize, (i + 1) * vocabularySize)
        checkFinite('head', own, vocabularySize, item.position + row)
        results.push(this.#output(row, own, output))
      })
    }
    return results
  }

  #output (row: number, logits: Float32Array, output: RowOutput): RowResult {
    if (output.kind === 'logits') return { row, logits }
    const ids = output.kind === 'top' ? bestLogits(logits, output.count) : Uint32Array.from(output.ids)
    const result: RowResult = { row, ids, values: Float32Array.from(ids, id => logits[id]), logSumExp: this.#arithmetic.logSumExp(logits) }
    if (output.kind === 'score') result.argmax = bestLogits(logits, 1)[0]
    return result
  }

  async #yield (signal?: AbortSignal): Promise<void> {
    if (performance.now() - this.#lastYield > YIELD_MILLISECONDS) {
      await new Promise<void>(resolve => setImmediate(resolve))
      this.#lastYield = performance.now()
    }
    signal?.throwIfAborted()
  }
}

/** @throws NotFiniteError for the first row that holds NaN or an infinity */
function checkFinite (unit: UnitName, values: Float32Array, columns: number, position: number): void {
  for (let i = 0; i < values.length; i++) {
    if (!Number.isFinite(values[i])) throw new NotFiniteError(unit, position + Math.floor(i / columns))
  }
}
