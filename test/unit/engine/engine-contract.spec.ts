import { expect } from 'chai'
import { createEngine, createOracleEngine, createReferenceEngine, keyValueBytesPerPosition } from '../../../src/engine/index.ts'
import { bestLogits } from '../../../src/engine/scalar/best-logits.ts'
import type { BatchItem, Engine, EngineInit, EngineProgress } from '../../../src/engine/index.ts'
import { allLogits, logitsOf, withEngine } from '../../support/engines.ts'
import { openNamed } from '../../support/golden-models.ts'
import { wholeModel } from '../../support/open-weights.ts'

/** The error of a promise that must be rejected. */
async function failure (promise: Promise<unknown>): Promise<Error & { code?: string, unit?: string, position?: number, field?: string }> {
  try {
    await promise
  } catch (error) {
    return error as Error
  }
  throw new Error('was not rejected')
}

function codeOf (run: () => unknown): unknown {
  try {
    run()
  } catch (error) {
    return (error as { code?: unknown }).code
  }
  return 'no error'
}

const ids = Uint32Array.of(5, 6, 7, 8, 9)

for (const { name, create } of [
  { name: 'reference', create: createReferenceEngine },
  { name: 'oracle', create: createOracleEngine },
  { name: 'real engine', create: createEngine }
]) {
  describe(`engine: ${name}`, () => {
    const weights = openNamed('qwen2')!
    const use = (run: (engine: Engine) => Promise<void>, options: Partial<EngineInit> = {}) => withEngine(create, weights, run, options)

    it('refuses sessions that are not open', () => use(async engine => {
      expect(codeOf(() => engine.sessionLength(1))).to.equal('ERR_UNKNOWN_SESSION')
      expect(codeOf(() => engine.truncate(1, 0))).to.equal('ERR_UNKNOWN_SESSION')
      expect((await failure(engine.run([{ session: 1, position: 0, tokens: ids }]))).code).to.equal('ERR_UNKNOWN_SESSION')
      const session = engine.openSession()
      engine.closeSession(session)
      engine.closeSession(session)
      expect((await failure(engine.run([{ session, position: 0, tokens: ids }]))).name).to.equal('UnknownSessionError')
    }))

    it('refuses batches that make no sense before it computes anything', () => use(async engine => {
      const session = engine.openSession()
      const refuse = async (changes: Partial<BatchItem>, field: string) => {
        const good = { session, position: 0, tokens: ids }
        const error = await failure(engine.run([good, { ...good, position: 5, ...changes }]))
        expect([error.code, error.field]).to.deep.equal(['ERR_INVALID_BATCH', field])
        expect(engine.sessionLength(session)).to.equal(0)
      }
      await refuse({ position: 6 }, 'position')
      await refuse({ position: -1 }, 'position')
      await refuse({ position: 0.5 }, 'position')
      await refuse({ tokens: undefined }, 'tokens')
      await refuse({ tokens: Uint32Array.of(1, 512) }, 'tokens')
      await refuse({ tokens: new Uint32Array(0) }, 'rows')
      await refuse({ outputs: [{ row: 5, output: { kind: 'logits' } }] }, 'outputs')
      await refuse({ outputs: [{ row: 1, output: { kind: 'logits' } }, { row: 0, output: { kind: 'logits' } }] }, 'outputs')
      await refuse({ outputs: [{ row: 1, output: { kind: 'top', count: 0 } }] }, 'outputs')
      await refuse({ outputs: [{ row: 1, output: { kind: 'top', count: 513 } }] }, 'outputs')
      await refuse({ outputs: [{ row: 1, output: { kind: 'score', ids: [512] } }] }, 'outputs')
    }))

    it('refuses hidden states of the wrong size where the range starts after embed', () => use(async engine => {
      const session = engine.openSession()
      expect((await failure(engine.run([{ session, position: 0, tokens: ids }]))).message).to.match(/hidden/)
      expect((await failure(engine.run([{ session, position: 0, hidden: new Float32Array(65) }]))).message).to.match(/65 values/)
    }, { range: { from: 1, to: 3 } }))

    it('keeps to the context length and to the budget of positions', () => use(async engine => {
      // multiples of 256, so that the sums are the same for engines that keep pages
      expect(engine.freePositions).to.equal(768)
      expect(codeOf(() => engine.openSession({ capacity: 513 }))).to.equal('ERR_CONTEXT_LENGTH')
      const [first, second] = [engine.openSession(), engine.openSession()]
      expect((await failure(engine.run([{ session: first, position: 0, tokens: new Uint32Array(513) }]))).code).to.equal('ERR_CONTEXT_LENGTH')
      await engine.run([{ session: first, position: 0, tokens: new Uint32Array(512) }])
      expect(engine.freePositions).to.equal(256)
      expect(codeOf(() => engine.openSession({ capacity: 257 }))).to.equal('ERR_KEY_VALUE_BUDGET')
      const error = await failure(engine.run([{ session: second, position: 0, tokens: new Uint32Array(257) }])) as Error & { retryable?: boolean }
      expect([error.name, error.retryable]).to.deep.equal(['KeyValueBudgetError', true])
      expect([engine.sessionLength(second), engine.freePositions]).to.deep.equal([0, 256])
      engine.truncate(first, 256)
      await engine.run([{ session: second, position: 0, tokens: new Uint32Array(512) }])
      expect(engine.freePositions).to.equal(0)
      engine.closeSession(first)
      expect(engine.freePositions).to.equal(256)
    }, { keyValuePositions: 768, range: { from: 0, to: 1 } }))

    it('promises no more positions than there are, and keeps what it promised', () => use(async engine => {
      const promised = engine.openSession({ capacity: 512 })
      expect(engine.freePositions).to.equal(256)
      expect(codeOf(() => engine.openSession({ capacity: 512 }))).to.equal('ERR_KEY_VALUE_BUDGET')
      const free = engine.openSession()
      await engine.run([{ session: free, position: 0, tokens: new Uint32Array(256) }])
      expect((await failure(engine.run([{ session: free, position: 256, tokens: ids }]))).name).to.equal('KeyValueBudgetError')
      expect(engine.sessionLength(free)).to.equal(256)
      // twice: what is given back stays promised
      for (let turn = 0; turn < 2; turn++) {
        for (const position of [0, 256]) await engine.run([{ session: promised, position, tokens: new Uint32Array(256) }])
        engine.truncate(promised, 0)
        expect(codeOf(() => engine.reserve(free, 256, 512))).to.equal('ERR_KEY_VALUE_BUDGET')
      }
      engine.release(promised)
      engine.reserve(free, 256, 512)
      expect(engine.freePositions).to.equal(256)
      expect(codeOf(() => engine.openSession({ capacity: 512 }))).to.equal('ERR_KEY_VALUE_BUDGET')
      await engine.run([{ session: free, position: 256, tokens: new Uint32Array(256) }])
      expect(engine.freePositions).to.equal(256)
      for (const session of [free, promised]) engine.closeSession(session)
      expect(engine.freePositions).to.equal(768)
    }, { keyValuePositions: 768, range: { from: 0, to: 1 } }))

    it('keeps all rows of a batch that goes through one session twice', () => use(async engine => {
      const session = engine.openSession()
      const text = Uint32Array.from({ length: 300 }, (_, i) => i % 512)
      await engine.run([{ session, position: 0, tokens: text.subarray(0, 10) }, { session, position: 10, tokens: text.subarray(10) }])
      // would be given what the first has lost
      const other = engine.openSession()
      await engine.run([{ session: other, position: 0, tokens: text.slice().reverse() }])
      const fresh = engine.openSession()
      await engine.run([{ session: fresh, position: 0, tokens: text }])
      const [{ hidden: actual }] = await engine.run([{ session, position: 300, tokens: ids }])
      const [{ hidden: expected }] = await engine.run([{ session: fresh, position: 300, tokens: ids }])
      expect(actual).to.deep.equal(expected)
    }, { range: { from: 0, to: 2 } }))

    it('lets a session begin with what another holds, and keeps them apart from then on', () => use(async engine => {
      const source = engine.openSession()
      const text = Uint32Array.from({ length: 300 }, (_, i) => (i * 7) % 512)
      await engine.run([{ session: source, position: 0, tokens: text }])
      expect(codeOf(() => engine.openSession({ prefix: { session: 99, length: 0 } }))).to.equal('ERR_UNKNOWN_SESSION')
      for (const length of [301, -1, 0.5]) {
        expect(codeOf(() => engine.openSession({ prefix: { session: source, length } }))).to.equal('ERR_INVALID_PREFIX')
      }
      const continued = async (session: number, position: number) => (await engine.run([{ session, position, tokens: ids }]))[0].hidden
      const fresh = engine.openSession()
      for (const length of [0, 1, 256, 299, 300]) {
        const session = engine.openSession({ prefix: { session: source, length } })
        expect(engine.sessionLength(session)).to.equal(length)
        if (length > 0) await engine.run([{ session: fresh, position: 0, tokens: text.subarray(0, length) }])
        const expected = await continued(fresh, length)
        // the copy writes, then the source, then the copy reads again what both have in common
        expect(await continued(session, length)).to.deep.equal(expected)
        await engine.run([{ session: source, position: length, tokens: Uint32Array.of(9) }])
        engine.truncate(session, length)
        expect(await continued(session, length)).to.deep.equal(expected)
        engine.closeSession(session)
        await engine.run([{ session: source, position: 0, tokens: text }])
      }
      // what a running step is going to replace cannot be had
      const state = { running: true }
      const run = engine.run([{ session: source, position: 100, tokens: text.subarray(100) }]).finally(() => { state.running = false })
      while (state.running && engine.sessionLength(source) === 300) await Promise.resolve()
      expect(codeOf(() => engine.openSession({ prefix: { session: source, length: 101 } }))).to.equal('ERR_INVALID_PREFIX')
      engine.closeSession(engine.openSession({ prefix: { session: source, length: 100 } }))
      await run
      const orphan = engine.openSession({ prefix: { session: source, length: 290 } })
      engine.closeSession(source)
      await engine.run([{ session: fresh, position: 0, tokens: text.subarray(0, 290) }])
      expect(await continued(orphan, 290)).to.deep.equal(await continued(fresh, 290))
    }, { range: { from: 0, to: 3 } }))

    it('names unit and position of a result that is not finite, and keeps what was before', () => use(async engine => {
      const session = engine.openSession()
      const good = Float32Array.from({ length: 3 * 64 }, (_, i) => (i % 7) - 3)
      await engine.run([{ session, position: 0, hidden: good }])
      const bad = good.slice()
      bad[64 + 5] = NaN
      const error = await failure(engine.run([{ session, position: 2, hidden: bad }]))
      expect([error.name, error.code, error.unit, error.position]).to.deep.equal(['NotFiniteError', 'ERR_NOT_FINITE', 'layer 1', 3])
      expect(engine.sessionLength(session)).to.equal(2)
      // infinities are found as well, whatever they do to norms and products
      for (const value of [Infinity, -Infinity]) {
        bad[64 + 5] = value
        expect((await failure(engine.run([{ session, position: 2, hidden: bad }]))).position).to.equal(3)
      }
      const [after] = await engine.run([{ session, position: 2, hidden: good }])
      const fresh = engine.openSession()
      await engine.run([{ session: fresh, position: 0, hidden: good.slice(0, 128) }])
      expect((await engine.run([{ session: fresh, position: 2, hidden: good }]))[0].hidden).to.deep.equal(after.hidden)
    }, { range: { from: 2, to: 4 } }))

    it('runs a part of its range for a session that asks for it', () => use(async engine => {
      const { hiddenSize } = engine.architecture
      expect(engine.sessionRange(engine.openSession())).to.deep.equal({ from: 0, to: 6 })
      expect(codeOf(() => engine.sessionRange(99))).to.equal('ERR_UNKNOWN_SESSION')
      for (const range of [{ from: -1, to: 3 }, { from: 2, to: 7 }, { from: 3, to: 3 }, { from: 4, to: 2 }, { from: 0.5, to: 2 }]) {
        expect(codeOf(() => engine.openSession({ range }))).to.equal('ERR_INVALID_RANGE')
      }
      const [embed, layers, head] = [[0, 1], [1, 5], [5, 6]].map(([from, to]) => engine.openSession({ range: { from, to } }))
      expect(engine.sessionRange(layers)).to.deep.equal({ from: 1, to: 5 })
      // what a session takes depends on its own range
      const refused = async (item: BatchItem): Promise<unknown> => (await failure(engine.run([item]))).field
      expect(await refused({ session: embed, position: 0, hidden: new Float32Array(hiddenSize) })).to.equal('tokens')
      expect(await refused({ session: layers, position: 0, tokens: ids })).to.equal('hidden')
      expect(await refused({ session: head, position: 0, tokens: ids })).to.equal('hidden')
      const [one] = await engine.run([{ session: embed, position: 0, tokens: ids }])
      expect([one.hidden!.length, one.rows]).to.deep.equal([5 * hiddenSize, undefined])
      const [two] = await engine.run([{ session: layers, position: 0, hidden: one.hidden }])
      const [three] = await engine.run([{ session: head, position: 0, hidden: two.hidden, outputs: allLogits(5) }])
      expect(three.hidden).to.equal(undefined)
      const expected = await logitsOf(engine, engine.openSession(), ids)
      expect(three.rows!.flatMap(({ logits }) => [...logits!])).to.deep.equal([...expected])
      expect([embed, layers, head].map(session => engine.sessionLength(session))).to.deep.equal([5, 5, 5])
      expect(codeOf(() => engine.openSession({ prefix: { session: layers, length: 3 } }))).to.equal('ERR_INVALID_PREFIX')
      expect(codeOf(() => engine.openSession({ range: { from: 1, to: 4 }, prefix: { session: layers, length: 3 } }))).to.equal('ERR_INVALID_PREFIX')
      expect(engine.sessionLength(engine.openSession({ range: { from: 1, to: 5 }, prefix: { session: layers, length: 3 } }))).to.equal(3)
    }))

    it('names unit and position in a part of the range, whatever else is in the batch', () => use(async engine => {
      const { hiddenSize } = engine.architecture
      const [part, whole] = [engine.openSession({ range: { from: 2, to: 4 } }), engine.openSession()]
      const good = Float32Array.from({ length: 3 * hiddenSize }, (_, i) => (i % 7) - 3)
      await engine.run([{ session: part, position: 0, hidden: good }, { session: whole, position: 0, tokens: ids }])
      const bad = good.slice()
      bad[hiddenSize + 5] = NaN
      const error = await failure(engine.run([{ session: whole, position: 5, tokens: ids }, { session: part, position: 3, hidden: bad }, { session: whole, position: 10, tokens: ids }]))
      expect([error.name, error.unit, error.position]).to.deep.equal(['NotFiniteError', 'layer 1', 4])
      expect([engine.sessionLength(part), engine.sessionLength(whole)]).to.deep.equal([3, 5])
      const continued = await logitsOf(engine, whole, Uint32Array.of(...ids, 3), 1, 5)
      expect(continued).to.deep.equal((await logitsOf(engine, engine.openSession(), Uint32Array.of(...ids, 3))).slice(-512))
    }))

    if (name === 'reference') {
      it('has no bytes of its KV cache for engines of another profile', () => use(async engine => {
        const session = engine.openSession()
        await engine.run([{ session, position: 0, tokens: ids }])
        expect(codeOf(() => engine.readKeyValues(session, 0, 5))).to.equal('ERR_UNSUPPORTED_PROFILE')
        expect(codeOf(() => engine.writeKeyValues(session, 0, new Uint8Array(0)))).to.equal('ERR_UNSUPPORTED_PROFILE')
        expect(engine.sessionLength(session)).to.equal(5)
      }))
    } else {
      it('refuses bytes for its KV cache that cannot be, before anything is changed', () => use(async engine => {
        const session = engine.openSession()
        await engine.run([{ session, position: 0, tokens: ids }])
        const bytes = engine.readKeyValues(session, 0, 5)
        const size = keyValueBytesPerPosition(engine.architecture, engine.range)
        expect(bytes.length).to.equal(5 * size)
        const free = engine.freePositions
        const unchanged = (): void => {
          expect([engine.sessionLength(session), engine.freePositions]).to.deep.equal([5, free])
          expect(engine.readKeyValues(session, 0, 5)).to.deep.equal(bytes)
        }
        for (const [from, to] of [[-1, 2], [0, 6], [3, 2], [6, 6], [0.5, 2], [0, 1.5], [0, NaN], [NaN, 1], [0, Infinity], [0, 2 ** 40]]) {
          expect(codeOf(() => engine.readKeyValues(session, from, to)), `reading ${from} to ${to}`).to.equal('ERR_INVALID_KEY_VALUES')
        }
        expect(engine.readKeyValues(session, 5, 5).length).to.equal(0)
        expect(codeOf(() => engine.readKeyValues(99, 0, 1))).to.equal('ERR_UNKNOWN_SESSION')
        expect(codeOf(() => engine.writeKeyValues(99, 0, bytes))).to.equal('ERR_UNKNOWN_SESSION')
        const refused = (from: number, given: Uint8Array, to: number | undefined, code = 'ERR_INVALID_KEY_VALUES'): void => {
          expect(codeOf(() => engine.writeKeyValues(session, from, given, to)), `writing ${given.length} bytes from ${from} to ${to}`).to.equal(code)
          unchanged()
        }
        for (const from of [6, -1, 0.5, NaN, Infinity, 2 ** 53]) refused(from, bytes, undefined)
        for (const length of [0, 1, size - 1, size + 1, 5 * size - 4]) refused(0, bytes.subarray(0, length), undefined)
        for (const to of [0, 4, 6, 4.5, NaN, -1, Infinity]) refused(0, bytes, to)
        refused(0, bytes, 2 ** 40, 'ERR_CONTEXT_LENGTH')
        refused(5, new Uint8Array(size * (engine.architecture.contextLength - 4)), undefined, 'ERR_CONTEXT_LENGTH')
        const { headSize } = engine.architecture
        for (const changes of [[[7, 0x80]], [[headSize + 3, 0x80]], [[headSize + 3, 0x7f], [headSize + 2, 0x80]], [[headSize + 3, 0x7f], [headSize + 2, 0xff]], [[headSize + 3, 0xff]], [[5 * size - 1, 0xbf]]]) {
          const bad = bytes.slice()
          for (const [at, value] of changes) bad[at] = value
          refused(0, bad, undefined)
        }
        engine.writeKeyValues(session, 0, bytes, 5)
        unchanged()
        // without layers there are positions, but no bytes
        const embed = engine.openSession({ range: { from: 0, to: 1 } })
        expect(codeOf(() => engine.writeKeyValues(embed, 0, new Uint8Array(0)))).to.equal('ERR_INVALID_KEY_VALUES')
        expect(codeOf(() => engine.writeKeyValues(embed, 0, new Uint8Array(1), 3))).to.equal('ERR_INVALID_KEY_VALUES')
        engine.writeKeyValues(embed, 0, new Uint8Array(0), 3)
        expect([engine.sessionLength(embed), engine.readKeyValues(embed, 0, 3).length]).to.deep.equal([3, 0])
        await engine.run([{ session: embed, position: 3, tokens: ids }])
      }))

      it('gives what a running step leaves alone, and takes nothing for its session', () => use(async engine => {
        const [session, other] = [engine.openSession(), engine.openSession()]
        await engine.run([{ session, position: 0, tokens: new Uint32Array(100) }])
        const bytes = engine.readKeyValues(session, 0, 40)
        const state = { running: true }
        const run = engine.run([{ session, position: 40, tokens: new Uint32Array(200) }]).finally(() => { state.running = false })
        while (state.running && engine.sessionLength(session) === 100) await Promise.resolve()
        expect(codeOf(() => engine.readKeyValues(session, 0, 41))).to.equal('ERR_INVALID_KEY_VALUES')
        expect(codeOf(() => engine.writeKeyValues(session, 0, bytes))).to.equal('ERR_SESSION_BUSY')
        expect(engine.readKeyValues(session, 0, 40)).to.deep.equal(bytes)
        engine.writeKeyValues(other, 0, bytes)
        await run
        expect([engine.sessionLength(session), engine.sessionLength(other)]).to.deep.equal([240, 40])
        engine.writeKeyValues(session, 0, bytes)
        const continued = async (session: number): Promise<Float32Array> => await logitsOf(engine, session, new Uint32Array(45), 5, 40)
        expect(await continued(session)).to.deep.equal(await continued(other))
        await engine.stop()
        expect(codeOf(() => engine.readKeyValues(session, 0, 1))).to.equal('ERR_ENGINE_STOPPED')
        expect(codeOf(() => engine.writeKeyValues(session, 0, bytes))).to.equal('ERR_ENGINE_STOPPED')
      }))
    }

    it('stops at an abort, and goes on afterwards', () => use(async engine => {
      const session = engine.openSession()
      await engine.run([{ session, position: 0, tokens: ids }])
      const reason = new Error('enough')
      const run = engine.run([{ session, position: 5, tokens: new Uint32Array(500) }], { signal: AbortSignal.abort(reason) })
      expect(await failure(run)).to.equal(reason)
      const controller = new AbortController()
      // the queue gives the abort a turn before the first unit of the second item
      const batch = Array.from({ length: 100 }, (_, i) => ({ session, position: 5 + 5 * i, tokens: ids, outputs: allLogits(5) }))
      const later = engine.run(batch, { signal: controller.signal })
      controller.abort(reason)
      expect(await failure(later)).to.equal(reason)
      expect(engine.sessionLength(session)).to.equal(5)
      const continued = await logitsOf(engine, session, Uint32Array.of(...ids, 3), 1, 5)
      expect(continued).to.deep.equal((await logitsOf(engine, engine.openSession(), Uint32Array.of(...ids, 3))).slice(-512))
    }))

    it('runs batches one after another, and no more once it is stopped', async () => {
      const engine = await create(wholeModel(weights))
      const session = engine.openSession()
      const first = engine.run([{ session, position: 0, tokens: ids }])
      const second = engine.run([{ session, position: 5, tokens: ids, outputs: allLogits(5) }])
      await first
      expect((await second)[0].rows!.length).to.equal(5)
      await engine.stop()
      await engine.stop()
      expect(codeOf(() => engine.openSession())).to.equal('ERR_ENGINE_STOPPED')
      expect((await failure(engine.run([{ session, position: 0, tokens: ids }]))).name).to.equal('EngineStoppedError')
    })

    it('reports what it loads, and stops loading at an abort', async () => {
      const events: EngineProgress[] = []
      const engine = await create({ ...weights, range: { from: 3, to: 6 }, onProgress: event => events.push(event) })
      await engine.stop()
      // threads may finish units in another order
      expect(events.map(event => event.loaded)).to.deep.equal([1, 2, 3])
      expect(events.map(event => event.unit).sort()).to.deep.equal([3, 4, 5])
      expect(events.map(event => event.total)).to.deep.equal([3, 3, 3])
      expect((await failure(create(wholeModel(weights), { signal: AbortSignal.abort(new Error('no')) }))).message).to.equal('no')
    })

    it('names the tensor that a unit lacks', async () => {
      const error = await failure(withEngine(create, {
        ...weights,
        unit: index => {
          const { unit, tensors: { gate, ...tensors } } = weights.unit(index)
          return { unit, tensors }
        }
      }, engine => engine.run([{ session: engine.openSession(), position: 0, tokens: ids }])))
      expect([error.code, error.field]).to.deep.equal(['ERR_UNSUPPORTED_MODEL', 'gate'])
    })
  })
}

describe('engine: oracle', () => {
  it('refuses shapes that the profile does not define', async () => {
    const weights = openNamed('qwen2')!
    for (const [field, changes] of [['hiddenSize', { hiddenSize: 48 }], ['headSize', { headSize: 40 }], ['feedForwardSize', { feedForwardSize: 100 }]] as const) {
      const architecture = { ...weights.architecture, ...changes }
      const error = await failure(createOracleEngine(wholeModel({ ...weights, architecture })))
      expect([error.name, error.field]).to.deep.equal(['UnsupportedModelError', field])
    }
  })
})

describe('best logits', () => {
  it('come best first, equal ones by the lowest id', () => {
    const logits = Float32Array.of(1, 3, 2, 3, -0, 0, 3)
    expect([...bestLogits(logits, 1)]).to.deep.equal([1])
    expect([...bestLogits(logits, 7)]).to.deep.equal([1, 3, 6, 2, 0, 4, 5])
    expect([...bestLogits(logits, 2)]).to.deep.equal([1, 3])
  })
})
