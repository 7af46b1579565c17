import { expect } from 'chai'
import { setImmediate } from 'node:timers/promises'
import { DecompositionError, InvalidProblemError, PoolStoppedError, WorkerCrashedError, createDecompositionPool, createTaskPool, truncatedSvd, whitenedFactors } from '../../../src/svd/index.ts'
import type { TaskPool } from '../../../src/svd/index.ts'
import { gramOf, randomInputs, randomMatrix } from '../../support/matrices.ts'
import { rejection } from '../../support/rejection.ts'
import type { TestTask } from '../../support/task-worker.ts'

const worker = new URL('../../support/task-worker.ts', import.meta.url)

describe('svd: task pool', () => {
  let pool: TaskPool<TestTask, unknown>

  beforeEach(() => { pool = createTaskPool(worker, { threads: 1 }) })
  afterEach(async () => { await pool.stop() })

  const echo = (value: unknown) => pool.run({ kind: 'echo', value })

  /** A task that is running for certain: its counter has moved. */
  async function spinning (signal?: AbortSignal): Promise<{ result: Promise<unknown>, counter: Int32Array }> {
    const counter = new Int32Array(new SharedArrayBuffer(4))
    const result = rejection(pool.run({ kind: 'spin', counter }, { signal }))
    while (Atomics.load(counter, 0) === 0) await setImmediate()
    return { result, counter }
  }

  it('rejects with what the task threw, its class and fields kept, and goes on', async () => {
    const error = await rejection(pool.run({ kind: 'throw' }))
    expect(error).to.be.instanceOf(DecompositionError)
    expect(error).to.include({ name: 'DecompositionError', code: 'ERR_SVD_DECOMPOSITION', message: 'on purpose', retryable: false })
    expect(await rejection(pool.run({ kind: 'throwOther' }))).to.include({ name: 'TypeError', code: 'ERR_OTHER', message: 'of another kind' })
    expect(await echo('next')).to.equal('next')
    expect(pool.size).to.equal(1)
  })

  it('rejects with WorkerCrashedError where the thread ends, and goes on with another', async () => {
    for (const kind of ['exit', 'crash'] as const) {
      const [error, next] = await Promise.all([rejection(pool.run({ kind })), echo('next')])
      expect(error).to.be.instanceOf(WorkerCrashedError).and.include({ code: 'ERR_SVD_WORKER_CRASHED', retryable: true })
      expect(next).to.equal('next')
    }
  })

  it('rejects where the module of the worker is missing', async () => {
    const missing = createTaskPool(new URL('./missing.ts', import.meta.url), { threads: 1 })
    expect(await rejection(missing.run(1))).to.be.instanceOf(WorkerCrashedError)
    await missing.stop()
  })

  it('rejects a task that cannot cross threads, and goes on', async () => {
    expect(await rejection(echo(() => {}))).to.include({ name: 'DataCloneError' })
    expect(await echo(1)).to.equal(1)
  })

  it('aborts a task that runs: its thread ends, and the next task has one', async () => {
    const controller = new AbortController()
    const { result, counter } = await spinning(controller.signal)
    const next = echo('next')
    controller.abort(new Error('enough'))
    expect(await result).to.include({ message: 'enough' })
    expect(await next).to.equal('next')
    await pool.stop()
    const last = Atomics.load(counter, 0)
    for (let turn = 0; turn < 100; turn++) await setImmediate()
    expect(Atomics.load(counter, 0)).to.equal(last)
  })

  it('aborts a task that waits, and one that was aborted before', async () => {
    const controller = new AbortController()
    const { result } = await spinning()
    const waiting = rejection(pool.run({ kind: 'echo', value: 1 }, { signal: controller.signal }))
    controller.abort(new Error('enough'))
    expect(await waiting).to.include({ message: 'enough' })
    expect(await rejection(pool.run({ kind: 'echo', value: 1 }, { signal: controller.signal }))).to.include({ message: 'enough' })
    await pool.stop()
    expect(await result).to.be.instanceOf(PoolStoppedError)
  })

  it('rejects all tasks when it is stopped, and later ones', async () => {
    const { result } = await spinning()
    const waiting = rejection(echo(1))
    await pool.stop()
    for (const error of [await result, await waiting, await rejection(echo(2))]) expect(error).to.be.instanceOf(PoolStoppedError)
    expect(pool.size).to.equal(0)
  })

  it('starts no more threads than allowed, none before there is work, and ends idle ones', async () => {
    pool = createTaskPool(worker, { threads: 2, idleMilliseconds: 0 })
    expect(pool.size).to.equal(0)
    const results = Array.from({ length: 5 }, (_, i) => echo(i))
    expect(pool.size).to.equal(2)
    expect(await Promise.all(results)).to.deep.equal([0, 1, 2, 3, 4])
    while (pool.size > 0) await setImmediate()
    expect(await echo('again')).to.equal('again')
  })

  it('passes on progress in steps, up to 1', async () => {
    const shares: number[] = []
    await pool.run({ kind: 'progress' }, { onProgress: share => shares.push(share) })
    expect(shares.length).to.be.within(50, 110)
    expect(shares).to.deep.equal([...shares].sort((a, b) => a - b))
    expect(shares.at(-1)).to.equal(1)
  })

  it('moves buffers that are to be transferred', async () => {
    const value = Float64Array.of(1, 2)
    expect(await pool.run({ kind: 'echo', value }, { transfer: [value.buffer] })).to.deep.equal(Float64Array.of(1, 2))
    expect(value.length).to.equal(0)
  })
})

describe('svd: decompositions in threads', function () {
  const pool = createDecompositionPool({ threads: 1 })
  after(async () => { await pool.stop() })

  it('reject with the errors of the functions', async () => {
    const error = await rejection(pool.whitenedFactors(randomMatrix(4, 4, 1), randomMatrix(3, 3, 1), { rank: 1 }))
    expect(error).to.be.instanceOf(InvalidProblemError).and.include({ code: 'ERR_SVD_INVALID_PROBLEM', field: 'gram' })
  })

  it('give what the functions give', async () => {
    const matrix = randomMatrix(20, 30, 1)
    const gram = gramOf(randomInputs(30, 50, 2))
    expect(await pool.whitenedFactors(matrix, gram, { rank: 4 })).to.deep.equal(whitenedFactors(matrix, gram, { rank: 4 }))
    expect(await pool.truncatedSvd(matrix, { rank: 4 })).to.deep.equal(truncatedSvd(matrix, { rank: 4 }))
    const plain = await pool.plainFactors(matrix, { rank: 4 })
    const random = await pool.randomisedSvd(matrix, { rank: 4, seed: 1, powerIterations: 8 })
    plain.spectrum.forEach((value, i) => expect(random.values[i]).to.be.closeTo(value, 1e-3))
  })

  it('leave the event loop free while a long one runs', async () => {
    const matrix = randomMatrix(400, 400, 1)
    const gram = gramOf(randomInputs(400, 500, 2))
    let turns = 0
    const state = { running: true }
    const shares: Array<[share: number, turn: number]> = []
    const result = pool.whitenedFactors(matrix, gram, { rank: 64, onProgress: share => shares.push([share, turns]) }).finally(() => { state.running = false })
    while (state.running) {
      await setImmediate()
      turns++
    }
    await result
    // the loop turned between the events of the decomposition, not only before and after it
    const [begin, end] = [shares.find(([share]) => share > 0.3)!, shares.findLast(([share]) => share < 0.95)!]
    expect(end[0]).to.be.above(begin[0])
    expect(end[1] - begin[1]).to.be.above(20)
  })

  it('can be cancelled in the midst of it', async () => {
    const controller = new AbortController()
    const events: number[] = []
    const onProgress = (share: number) => {
      events.push(share)
      controller.abort(new Error('enough'))
    }
    const matrix = randomMatrix(300, 300, 1)
    const gram = gramOf(randomInputs(300, 400, 2))
    expect(await rejection(pool.whitenedFactors(matrix, gram, { rank: 64, onProgress, signal: controller.signal }))).to.include({ message: 'enough' })
    expect(events.length).to.equal(1)
    expect(events[0]).to.be.below(1)
  })
})
