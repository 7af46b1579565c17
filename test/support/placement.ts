import type { Engine } from '../../src/engine/index.ts'
import type { UnitRange } from '../../src/model/index.ts'
import type { ModelCosts } from '../../src/partition/index.ts'
import type { HostedRange, HostInit, RangeLoader } from '../../src/peer/index.ts'
import { createStubEngine } from './stub-engine.ts'
import type { StubEngine } from './stub-engine.ts'

/** Units that all cost the same: 1,000 bytes each, and nothing else takes memory. */
export function evenCosts (unitCount: number): ModelCosts {
  return {
    units: Array.from({ length: unitCount }, () => ({ memoryBytes: 1000, storedBytes: 1000, keyValueBytes: 0, work: 1000 })),
    tied: { memoryBytes: 0, storedBytes: 0 },
    pagePositions: 1
  }
}

/** Room for so many of them. */
export const roomFor = (units: number): { memoryBytes: number, positions: number, baseBytes: number } => ({ memoryBytes: 1000 * units, positions: 0, baseBytes: 0 })

export const range = (from: number, to: number): UnitRange => ({ from, to })

/** A node of which one sees what it hosts. `sessions` of a range end when they are told to. */
export function createStubHost () {
  const hosted: StubHosted[] = []
  return {
    hosted,
    /** thrown by the next `host` */
    problem: undefined as Error | undefined,
    host ({ engine }: HostInit): HostedRange {
      if (this.problem !== undefined) throw this.problem
      const made = new StubHosted(engine, gone => { hosted.splice(hosted.indexOf(gone), 1) })
      hosted.push(made)
      return made
    }
  }
}

export class StubHosted implements HostedRange {
  readonly engine: Engine
  readonly range: UnitRange
  state: HostedRange['state'] = 'serving'
  sessions = 0
  readonly calls: string[] = []
  #ended = Promise.withResolvers<void>()
  readonly #onRemove: (self: StubHosted) => void

  constructor (engine: Engine, onRemove: (self: StubHosted) => void) {
    this.engine = engine
    this.range = engine.range
    this.#onRemove = onRemove
  }

  /** its last session ends */
  empty (): void {
    this.sessions = 0
    this.#ended.resolve()
  }

  async drain ({ milliseconds, signal }: { milliseconds?: number, signal?: AbortSignal } = {}): Promise<void> {
    this.calls.push(`drain ${milliseconds}`)
    signal?.throwIfAborted()
    this.state = 'draining'
    if (this.sessions === 0 || milliseconds === 0) return
    await Promise.race([this.#ended.promise, new Promise((_resolve, reject) => signal?.addEventListener('abort', () => reject(signal.reason)))])
  }

  resume (): void {
    this.calls.push('resume')
    this.state = 'serving'
  }

  async remove (): Promise<void> {
    this.calls.push('remove')
    this.#onRemove(this)
  }
}

/** A loader whose steps the test lets pass, or fail. `stubborn`: it goes on after an abort. */
export function createStubLoader ({ stubborn = false } = {}) {
  interface Step { what: 'fetch' | 'load', range: UnitRange, signal: AbortSignal, resolve: () => void, reject: (error: Error) => void }
  const steps: Step[] = []
  const engines: StubEngine[] = []
  /** what was asked for, in order */
  const calls: string[] = []
  let waiter: (() => void) | undefined

  async function wait (what: Step['what'], range: UnitRange, signal: AbortSignal): Promise<void> {
    calls.push(`${what} ${range.from}:${range.to}`)
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    steps.push({ what, range, signal, resolve, reject })
    waiter?.()
    if (!stubborn) signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true })
    await promise
  }

  const loader: RangeLoader = {
    fetch: async (range, { signal }) => await wait('fetch', range, signal),
    async load (range, { signal }) {
      await wait('load', range, signal)
      const engine = createStubEngine(range)
      engines.push(engine)
      return engine
    }
  }
  return {
    loader,
    engines,
    calls,
    /** the next step that is asked for */
    async next (what: Step['what']): Promise<Step> {
      while (steps.length === 0) await new Promise<void>(resolve => { waiter = resolve })
      const step = steps.shift()!
      if (step.what !== what) throw new Error(`${step.what} was asked for, not ${what}`)
      return step
    },
    async pass (what: Step['what']): Promise<void> {
      (await this.next(what)).resolve()
    }
  }
}

/** Whatever has been settled has had its effects then. */
export async function settled (): Promise<void> {
  for (let turn = 0; turn < 3; turn++) await new Promise(resolve => setImmediate(resolve))
}
