import type { BatchItem, BatchResult, Engine, RowOutput, RowResult } from '../../src/engine/index.ts'
import { SessionBusyError } from '../../src/engine/errors.ts'
import { checkKeyValueSpan, checkKeyValueWrite, keyValueBytesPerPosition, keyValueShape } from '../../src/engine/key-values.ts'
import { PageAllocator } from '../../src/engine/page-allocator.ts'
import type { Architecture, Manifest, UnitRange } from '../../src/model/index.ts'

export const STUB_ARCHITECTURE: Architecture = {
  family: 'llama',
  layerCount: 4,
  hiddenSize: 32,
  feedForwardSize: 64,
  headCount: 2,
  keyValueHeadCount: 1,
  headSize: 16,
  vocabularySize: 64,
  contextLength: 1024,
  normEpsilon: 1e-5,
  ropeTheta: 10000,
  ropeScaling: null,
  queryKeyNorm: false,
  slidingWindows: [null, null, null, null],
  tiedEmbedding: true
} as Architecture

export function stubManifest (architecture: Architecture = STUB_ARCHITECTURE, salt = 0): Manifest {
  return {
    version: 2,
    architecture,
    profile: 'exact-1',
    conversion: '1',
    tokenizer: salt.toString(16).padStart(64, '0'),
    units: Array.from({ length: architecture.layerCount + 2 }, (_value, unit) => (unit + 1).toString(16).padStart(64, '0')),
    compression: null
  }
}

export interface StubEngineOptions {
  architecture?: Architecture
  maximumSessions?: number
  /** budget; default a million */
  positions?: number
  /** awaited in each `run` before anything is computed */
  gate?: (batch: BatchItem[]) => Promise<void> | void
  /** called with each batch that runs */
  onBatch?: (batch: BatchItem[]) => void
  /** may spoil what a batch gives */
  onResults?: (results: BatchResult[], batch: BatchItem[]) => void
}

interface StubSession {
  range: UnitRange
  length: number
  /** by unit, for layers: the running sums after each position */
  sums: Map<number, number[]>
}

export interface StubEngine extends Engine {
  /** sessions that are open */
  readonly openSessions: number
  stopped: boolean
}

/**
 * Deterministic arithmetic instead of a model: a hidden element is an integer
 * below 2^20 that depends on the element before the unit, the unit, the
 * position and, in layers, the sum of all positions before it in this session,
 * so that a change of order, position or history changes the results. These
 * sums are what its KV cache holds, in the first eight codes of each layer.
 */
export function createStubEngine (range: UnitRange, options: StubEngineOptions = {}): StubEngine {
  const architecture = options.architecture ?? STUB_ARCHITECTURE
  const { hiddenSize, vocabularySize, layerCount } = architecture
  const head = layerCount + 1
  const sessions = new Map<number, StubSession>()
  const { layerBytes } = keyValueShape(architecture)
  const allocator = new PageAllocator({ range, pages: options.positions ?? 1 << 20, pagePositions: 1, sessions: 1000, contextLength: architecture.contextLength })
  /** the batch under way */
  let running: BatchItem[] | undefined

  function mix (value: number, unit: number, position: number, history: number): number {
    return (Math.imul(value + 1, 0x9E3779B1) + Math.imul(unit + 1, 0x85EBCA6B) + Math.imul(position + 1, 0xC2B2AE35) + Math.imul(history, 0x27D4EB2F)) >>> 12
  }

  function rowLogits (hidden: Float32Array): Float32Array {
    const logits = new Float32Array(vocabularySize)
    for (let id = 0; id < vocabularySize; id++) logits[id] = mix(hidden[id % hiddenSize], head, id, 0) % 4096 / 256
    return logits
  }

  function output (row: number, wanted: RowOutput, logits: Float32Array): RowResult {
    if (wanted.kind === 'logits') return { row, logits }
    const order = Array.from(logits.keys()).sort((a, b) => logits[b] - logits[a] || a - b)
    const logSumExp = Math.log(logits.reduce((sum, value) => sum + Math.exp(value), 0))
    const ids = Uint32Array.from(wanted.kind === 'top' ? order.slice(0, wanted.count) : wanted.ids)
    const values = Float32Array.from(ids, id => logits[id])
    return { row, ids, values, logSumExp, ...(wanted.kind === 'score' ? { argmax: order[0] } : {}) }
  }

  function runItem (item: BatchItem): BatchResult {
    const session = sessions.get(item.session)
    if (session === undefined) throw new Error(`unknown session ${item.session}`)
    const rows = item.tokens?.length ?? item.hidden!.length / hiddenSize
    if (item.position > session.length) throw new Error('gap')
    if ((item.tokens !== undefined) !== (session.range.from === 0)) throw new Error('token ids are for sessions that run the embedding, and for no others')
    const state = new Float32Array(rows * hiddenSize)
    if (item.tokens !== undefined) item.tokens.forEach((id, row) => state.subarray(row * hiddenSize, (row + 1) * hiddenSize).fill(id))
    else state.set(item.hidden!)
    session.length = item.position + rows
    for (let unit = session.range.from; unit < Math.min(session.range.to, head); unit++) {
      const sums = session.sums.get(unit)
      for (let row = 0; row < rows; row++) {
        const position = item.position + row
        let history = position === 0 ? 0 : sums?.[position - 1] ?? 0
        for (let index = 0; index < hiddenSize; index++) {
          const at = row * hiddenSize + index
          state[at] = mix(state[at] + index, unit, position, history)
          history = (history + state[at]) >>> 0
        }
        if (sums !== undefined) sums[position] = history
      }
    }
    if (session.range.to <= head) return { session: item.session, hidden: state, milliseconds: 0 }
    const results = (item.outputs ?? []).map(({ row, output: wanted }) => output(row, wanted, rowLogits(state.subarray(row * hiddenSize, (row + 1) * hiddenSize))))
    return { session: item.session, rows: results, milliseconds: 0 }
  }

  /** The sums of all layers, in the order of the bytes. */
  const layersOf = (session: StubSession): number[][] => [...session.sums.values()]

  const engine: StubEngine = {
    architecture,
    range,
    get freePositions () {
      return allocator.freePositions
    },
    stopped: false,
    get openSessions () {
      return sessions.size
    },
    openSession (init) {
      if (sessions.size >= (options.maximumSessions ?? 1000)) throw new Error('no room for another session')
      const id = allocator.open(init)
      const source = init?.prefix === undefined ? undefined : sessions.get(init.prefix.session)
      const own = allocator.range(id)
      const sums = new Map<number, number[]>()
      for (let unit = Math.max(own.from, 1); unit < Math.min(own.to, head); unit++) sums.set(unit, source?.sums.get(unit)!.slice(0, init!.prefix!.length) ?? [])
      sessions.set(id, { range: own, length: allocator.length(id), sums })
      return id
    },
    sessionRange: id => allocator.range(id),
    sessionLength: id => sessions.get(id)!.length,
    reserve: (session, from, to) => allocator.reserve({ session, from, to }),
    release: session => allocator.release(session),
    truncate (id, length) {
      allocator.truncate(id, length)
      const session = sessions.get(id)!
      session.length = Math.min(session.length, length)
    },
    closeSession (id) {
      if (!sessions.delete(id)) throw new Error('closed twice')
      allocator.close(id)
    },
    readKeyValues (id, from, to) {
      checkKeyValueSpan(from, to, allocator.length(id))
      const layers = layersOf(sessions.get(id)!)
      const bytes = new Uint8Array((to - from) * keyValueBytesPerPosition(architecture, allocator.range(id)))
      for (let position = from, at = 0; position < to; position++) {
        for (const sums of layers) {
          // four bits to a code: not every byte is one
          for (let i = 0; i < 8; i++) bytes[at + i] = sums[position] >>> 4 * i & 15
          at += layerBytes
        }
      }
      return bytes
    },
    writeKeyValues (id, from, bytes, to) {
      if (running?.some(({ session }) => session === id) === true) throw new SessionBusyError(id)
      const end = checkKeyValueWrite({ architecture, range: allocator.range(id), length: allocator.length(id), from, bytes, to })
      allocator.write([{ session: id, from, to: end }])
      const session = sessions.get(id)!
      for (let position = from, at = 0; position < end; position++) {
        for (const sums of layersOf(session)) {
          sums[position] = 0
          for (let i = 0; i < 8; i++) sums[position] = (sums[position] | (bytes[at + i] & 15) << 4 * i) >>> 0
          at += layerBytes
        }
      }
      session.length = end
      allocator.commit(id, end)
    },
    async run (batch) {
      if (running !== undefined) throw new Error('two calls of run at once')
      running = batch
      try {
        options.onBatch?.(batch)
        // something to wait for only where a test wants it: a plain call costs one microtask
        if (options.gate !== undefined) await options.gate(batch)
        const started = performance.now()
        for (const { session } of batch) if (!sessions.has(session)) throw new Error(`unknown session ${session}`)
        const ends = batch.map(({ session, position, tokens, hidden }) => ({ session, from: position, to: position + (tokens?.length ?? hidden!.length / hiddenSize) }))
        allocator.write(ends)
        const results = batch.map(runItem)
        for (const { session, to } of ends) allocator.commit(session, to)
        for (const result of results) result.milliseconds = (performance.now() - started) / batch.length
        options.onResults?.(results, batch)
        return results
      } finally {
        running = undefined
      }
    },
    async stop () {
      engine.stopped = true
    }
  }
  return engine
}
