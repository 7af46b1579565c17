import { expect } from 'chai'
import type { BatchItem, BatchResult, Engine } from '../../../src/engine/index.ts'
import { engineQueue } from '../../../src/peer/engine-queue.ts'
import type { EngineJob } from '../../../src/peer/engine-queue.ts'
import { createStubEngine, STUB_ARCHITECTURE } from '../../support/stub-engine.ts'
import type { StubEngineOptions } from '../../support/stub-engine.ts'

function setUp (options: StubEngineOptions = {}, range = { from: 0, to: 6 }) {
  const batches: BatchItem[][] = []
  const engine: Engine = createStubEngine(range, { onBatch: batch => batches.push(batch), ...options })
  const log: string[] = []
  const submit = (session: number, position: number, rows = 1, more: Partial<EngineJob> = {}): Promise<BatchResult | undefined> => new Promise(resolve => {
    engineQueue(engine).submit({
      item: { session, position, tokens: Uint32Array.from({ length: rows }, (_, row) => (position + row) % 64) },
      rows,
      client: 'a client',
      done: result => {
        log.push(`${session}@${position}`)
        resolve(result)
      },
      failed: error => {
        log.push(`${session}@${position} ${(error as Error).message}`)
        resolve(undefined)
      },
      ...more
    })
  })
  const shape = () => batches.map(batch => batch.map(({ session, position, tokens }) => `${session}@${position}${tokens!.length > 1 ? `+${tokens!.length}` : ''}`))
  return { engine, queue: engineQueue(engine), batches, log, submit, shape }
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

  it('runs sessions of different parts of the range together', async () => {
    const { engine, submit, shape } = setUp()
    const [whole, part] = [engine.openSession(), engine.openSession({ range: { from: 0, to: 3 } })]
    const outputs = [{ row: 0, output: { kind: 'logits' as const } }]
    const item = (session: number): Partial<EngineJob> => ({ item: { session, position: 0, tokens: Uint32Array.of(5), outputs } })
    const [one, two] = await Promise.all([submit(whole, 0, 1, item(whole)), submit(part, 0, 1, item(part))])
    expect(shape()).to.deep.equal([[`${whole}@0`, `${part}@0`]])
    const rest = engine.openSession({ range: { from: 3, to: 6 } })
    const three = await submit(rest, 0, 1, { item: { session: rest, position: 0, hidden: two!.hidden, outputs } })
    expect(three!.rows).to.deep.equal(one!.rows)
  })

  it('cuts long steps into passes in which others have their rows, and joins the results', async () => {
    const { engine, submit, shape } = setUp({ architecture: { ...STUB_ARCHITECTURE, contextLength: 4096 } })
    const [a, b] = [engine.openSession(), engine.openSession()]
    const outputs = [3, 15, 16, 69].map(row => ({ row, output: { kind: 'logits' as const } }))
    const item = (session: number): BatchItem => ({ session, position: 0, tokens: Uint32Array.from({ length: 70 }, (_, row) => row % 64), outputs })
    const [long] = await Promise.all([submit(a, 0, 70, { item: item(a) }), submit(b, 0)])
    expect(shape()).to.deep.equal([[`${b}@0`, `${a}@0+15`], [`${a}@15+16`], [`${a}@31+16`], [`${a}@47+16`], [`${a}@63+7`]])
    const alone = setUp()
    const [whole] = await alone.engine.run([item(alone.engine.openSession())])
    expect(long!.rows).to.deep.equal(whole.rows)
  })

  it('joins hidden states', async () => {
    const { engine, submit, batches } = setUp({}, { from: 0, to: 3 })
    const session = engine.openSession()
    const joined = await submit(session, 0, 200)
    expect(batches.map(([{ tokens }]) => tokens!.length)).to.deep.equal([64, 64, 64, 8])
    const alone = setUp({}, { from: 0, to: 3 })
    const [whole] = await alone.engine.run([{ session: alone.engine.openSession(), position: 0, tokens: Uint32Array.from({ length: 200 }, (_, row) => row % 64) }])
    expect(joined!.hidden).to.deep.equal(whole.hidden)
  })

  it('lets 4 sessions decode while a prompt of 2,000 tokens waits', async () => {
    const { engine, submit, batches } = setUp({ architecture: { ...STUB_ARCHITECTURE, contextLength: 4096 } })
    const [long, ...decoders] = Array.from({ length: 5 }, () => engine.openSession())
    const prompt = submit(long, 0, 2000, { client: 'another client' })
    const passes: number[] = []
    await Promise.all(decoders.map(async session => {
      for (let token = 0; token < 20; token++) {
        const before = batches.length
        await submit(session, token)
        passes.push(batches.length - before)
      }
    }))
    // the one that runs when a step comes, and one with the step
    expect(Math.max(...passes)).to.be.at.most(2)
    await prompt
    for (const batch of batches) {
      const prefill = batch.filter(({ session }) => session === long).map(({ tokens }) => tokens!.length)
      expect(prefill.length, 'the prompt goes on in every pass').to.be.at.most(1)
      if (batch.some(({ session }) => session !== long)) expect(prefill[0] ?? 0).to.be.at.most(16)
    }
    expect(batches.length).to.be.below(2000 / 12 + 20)
  })

  it('undoes a long step that fails in the middle', async () => {
    const { engine, submit, log } = setUp({
      gate: async ([{ position }]) => {
        if (position >= 138) throw new Error('no more')
      }
    })
    const session = engine.openSession()
    await submit(session, 0, 10)
    await submit(session, 10, 200)
    expect(log).to.deep.equal([`${session}@0`, `${session}@10 no more`])
    expect(engine.sessionLength(session)).to.equal(10)
  })

  it('ends a long step that is cancelled between its passes, or in one', async () => {
    for (const during of [true, false]) {
      const passed = Promise.withResolvers<void>()
      const gate = Promise.withResolvers<void>()
      const { engine, queue, submit, log, batches } = setUp({
        gate: async () => {
          if (batches.length < 2) return
          passed.resolve()
          await gate.promise
        }
      })
      const [a, b] = [engine.openSession(), engine.openSession()]
      const step = submit(a, 0, 300)
      // after a pass of the first it is the turn of the other
      const other = during ? undefined : submit(b, 0, 64, { client: 'another client' })
      await passed.promise
      expect(batches[1][0].session).to.equal(during ? a : b)
      queue.cancel(a)
      expect(log).to.deep.equal(during ? [] : [`${a}@0 the session is closed`])
      gate.resolve()
      await Promise.all([step, other])
      expect(log).to.deep.equal([`${a}@0 the session is closed`, ...(during ? [] : [`${b}@0`])])
      // the session is of use afterwards
      await submit(a, 0, 3)
      expect(log.at(-1)).to.equal(`${a}@0`)
    }
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
