import { expect } from 'chai'
import type { BatchItem, Engine } from '../../../src/engine/index.ts'
import { engineQueue } from '../../../src/peer/engine-queue.ts'
import type { EngineJob } from '../../../src/peer/engine-queue.ts'
import { createStubEngine } from '../../support/stub-engine.ts'
import type { StubEngineOptions } from '../../support/stub-engine.ts'

function setUp (options: StubEngineOptions = {}) {
  const batches: BatchItem[][] = []
  const engine: Engine = createStubEngine({ from: 0, to: 6 }, { onBatch: batch => batches.push(batch), ...options })
  const log: string[] = []
  const submit = (session: number, position: number, rows = 1, more: Partial<EngineJob> = {}): Promise<void> => new Promise(resolve => {
    engineQueue(engine).submit({
      item: { session, position, tokens: new Uint32Array(rows) },
      rows,
      done: () => {
        log.push(`${session}@${position}`)
        resolve()
      },
      failed: error => {
        log.push(`${session}@${position} ${(error as Error).message}`)
        resolve()
      },
      ...more
    })
  })
  return { engine, queue: engineQueue(engine), batches, log, submit, shape: () => batches.map(batch => batch.map(({ session, position }) => `${session}@${position}`)) }
}

describe('peer: queue of an engine', () => {
  it('is one for each engine', () => {
    const { engine, queue } = setUp()
    expect(engineQueue(engine)).to.equal(queue)
    expect(engineQueue(createStubEngine({ from: 0, to: 6 }))).to.not.equal(queue)
  })

  it('does not let one bad session fail the others', async () => {
    const { engine, submit, log } = setUp()
    const good = engine.openSession()
    await Promise.all([submit(good, 0), submit(99, 0), submit(good, 1)])
    expect(log).to.deep.equal([`${good}@0`, '99@0 unknown session 99', `${good}@1`])
  })

  it('takes the next job of every session, in order, as one call', async () => {
    const { engine, submit, shape } = setUp()
    const [a, b] = [engine.openSession(), engine.openSession()]
    await Promise.all([submit(a, 0), submit(a, 1), submit(b, 0), submit(a, 2)])
    expect(shape()).to.deep.equal([[`${a}@0`, `${b}@0`], [`${a}@1`], [`${a}@2`]])
  })

  it('bounds the rows of a call, and nobody waits for ever', async () => {
    const { engine, submit, shape } = setUp()
    const [a, b, c] = [engine.openSession(), engine.openSession(), engine.openSession()]
    await Promise.all([submit(a, 0, 200), submit(b, 0, 200), submit(c, 0, 1), submit(a, 200, 200)])
    expect(shape()).to.deep.equal([[`${a}@0`, `${c}@0`], [`${b}@0`], [`${a}@200`]])
  })

  it('holds back what cannot be passed on', async () => {
    const { engine, queue, submit, shape } = setUp()
    const [a, b] = [engine.openSession(), engine.openSession()]
    let open = false
    const held = submit(a, 0, 1, { admit: () => open })
    await submit(b, 0)
    expect(shape()).to.deep.equal([[`${b}@0`]])
    open = true
    queue.kick()
    await held
    expect(shape()).to.deep.equal([[`${b}@0`], [`${a}@0`]])
  })

  it('cancels what does not run yet, and lets bookkeeping wait for what does', async () => {
    const gate = Promise.withResolvers<void>()
    const entered = Promise.withResolvers<void>()
    const { engine, queue, submit, log } = setUp({
      gate: async () => {
        entered.resolve()
        await gate.promise
      }
    })
    const [a, b] = [engine.openSession(), engine.openSession()]
    const first = submit(a, 0)
    await entered.promise
    submit(a, 1)
    const other = submit(b, 0)
    queue.cancel(a, job => job.item.position === 1)
    queue.afterRun(a, () => log.push('after a'))
    queue.afterRun(b, () => log.push('after b'))
    gate.resolve()
    await Promise.all([first, other])
    expect(log).to.deep.equal(['after b', `${a}@0`, 'after a', `${b}@0`])
  })
})
