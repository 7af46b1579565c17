import { createHash } from 'node:crypto'
import { expect } from 'chai'
import fc from 'fast-check'
import { createOracleEngine, keyValueBytesPerPosition, memoryNeeds } from '../../src/engine/index.ts'
import { createWasmEngine } from '../../src/engine/wasm/engine.ts'
import { exactEngines, logitsOf, withEngine } from '../support/engines.ts'
import { openNamed } from '../support/golden-models.ts'
import { randomIds } from '../support/random-weights.ts'
import type { Engine } from '../../src/engine/index.ts'
import type { UnitRange } from '../../src/model/index.ts'
import type { Weights } from '../support/open-weights.ts'

const MODELS = ['llama', 'qwen2', 'qwen3', 'random-q8_0-mixed-windows', 'random-q4_0-qwen3-head-128', 'random-q4_1-biases-linear', 'sotu-4m']

/** Longer contexts than some of the models were made for, so that there is more than a page: only the bits matter. */
function open (name: string): Weights {
  const weights = openNamed(name)!
  return { ...weights, architecture: { ...weights.architecture, contextLength: 600 } }
}

/** Two real engines that differ in all that must not matter, and the oracle. */
async function withEngines (weights: Weights, use: (engines: { first: Engine, oracle: Engine, last: Engine }) => Promise<void>): Promise<void> {
  await withEngine(async init => await createWasmEngine({ ...init, threads: 2 }), weights, async first => {
    await withEngine(createOracleEngine, weights, async oracle => {
      await withEngine(async init => await createWasmEngine({ ...init, threads: 1, variant: 'plain', arenaBytes: 1 }), weights, async last => {
        await use({ first, oracle, last })
      })
    })
  })
}

/** Moves positions [from, to) piece by piece; bytes come at any place in memory, as they do from a network. */
function move (source: Engine, session: number, target: Engine, to: number, from: number, end: number, piece: number): void {
  for (let position = from; position < end; position += piece) {
    const bytes = source.readKeyValues(session, position, Math.min(end, position + piece))
    const shifted = new Uint8Array(bytes.length + 3).subarray(3)
    shifted.set(bytes)
    target.writeKeyValues(to, position, shifted)
  }
}

const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex')

describe('the KV cache as bytes', function () {
  this.timeout(180_000)

  for (const name of MODELS) {
    it(`${name}: are the same from the oracle and from the real engine, however they are read`, async () => {
      const weights = open(name)
      const { architecture } = weights
      const ids = randomIds(70, architecture.vocabularySize, 31)
      await withEngines(weights, async ({ first, oracle, last }) => {
        const bytes = []
        for (const [engine, chunk] of [[first, 70], [oracle, 70], [last, 1]] as const) {
          const session = engine.openSession()
          await logitsOf(engine, session, ids, chunk)
          bytes.push(engine.readKeyValues(session, 0, 70))
          const pieces = [0, 1, 31, 32, 33, 64, 69, 70].map((to, index, all) => engine.readKeyValues(session, all[index - 1] ?? 0, to))
          expect(Buffer.concat(pieces).equals(bytes[0])).to.equal(true)
        }
        const perPosition = keyValueBytesPerPosition(architecture, first.range)
        expect(perPosition).to.equal(memoryNeeds(weights).keyValueBytes * architecture.layerCount)
        expect(bytes[0].length).to.equal(70 * perPosition)
        expect(sha256(bytes[1])).to.equal(sha256(bytes[0]))
        expect(sha256(bytes[2])).to.equal(sha256(bytes[0]))
      })
    })

    it(`${name}: moved from the real engine to the oracle and on to another, give the bits of a session that stayed`, async () => {
      const weights = open(name)
      const { vocabularySize } = weights.architecture
      const ids = randomIds(110, vocabularySize, 32)
      await withEngines(weights, async ({ first, oracle, last }) => {
        const expected = await logitsOf(first, first.openSession(), ids)
        await fc.assert(fc.asyncProperty(fc.integer({ min: 1, max: 80 }), fc.integer({ min: 1, max: 20 }), fc.integer({ min: 1, max: 9 }), fc.constantFrom(1, 5, 32, 100), async (begin, middle, end, piece) => {
          const [a, b, c] = [first, oracle, last].map(engine => engine.openSession())
          const compare = async (engine: Engine, session: number, from: number, to: number): Promise<void> => {
            const logits = await logitsOf(engine, session, ids.subarray(0, to), 7, from)
            expect(sha256(new Uint8Array(logits.buffer))).to.equal(sha256(new Uint8Array(expected.slice(from * vocabularySize, to * vocabularySize).buffer)))
          }
          await compare(first, a, 0, begin)
          move(first, a, oracle, b, 0, begin, piece)
          await compare(oracle, b, begin, begin + middle)
          move(oracle, b, last, c, 0, begin + middle, piece)
          await compare(last, c, begin + middle, begin + middle + end)
          // only what is new goes back
          move(last, c, first, a, begin, begin + middle + end, piece)
          expect(first.sessionLength(a)).to.equal(begin + middle + end)
          await compare(first, a, begin + middle + end, 110)
          first.closeSession(a)
          oracle.closeSession(b)
          last.closeSession(c)
        }), { seed: 33, numRuns: 4 })
      })
    })
  }

  it('do not change from version to version', async () => {
    const weights = openNamed('qwen3')!
    await withEngine(createOracleEngine, weights, async engine => {
      const session = engine.openSession()
      await logitsOf(engine, session, randomIds(40, 512, 34))
      expect(sha256(engine.readKeyValues(session, 0, 40))).to.equal('b9000626acd157b76569b6e3092e71407431bb15afcf60c9c3ae22d6ad5514b7')
    })
  })

  for (const { name: engineName, create } of exactEngines) {
    it(`${engineName}: replace what a session holds from there on, also over a page and on one that it shares`, async () => {
      const weights = open('llama')
      const { vocabularySize } = weights.architecture
      const ids = randomIds(520, vocabularySize, 35)
      const others = randomIds(520, vocabularySize, 36)
      await withEngine(create, weights, async engine => {
        const source = engine.openSession()
        await logitsOf(engine, source, ids.subarray(0, 500))
        const bytes = engine.readKeyValues(source, 0, 500)
        const expected = await logitsOf(engine, source, ids, 20, 500)
        for (const from of [0, 3, 255, 256, 300, 400]) {
          const target = engine.openSession()
          await logitsOf(engine, target, from === 0 ? others.subarray(0, 400) : Uint32Array.of(...ids.subarray(0, from), ...others.subarray(from, 400)))
          const sharer = engine.openSession({ prefix: { session: target, length: 400 } })
          const held = sha256(engine.readKeyValues(sharer, 0, 400))
          engine.writeKeyValues(target, from, engine.readKeyValues(source, from, 500))
          expect(engine.sessionLength(target)).to.equal(500)
          expect(sha256(engine.readKeyValues(target, 0, 500)), `from ${from}`).to.equal(sha256(bytes))
          expect(sha256(engine.readKeyValues(sharer, 0, 400)), 'what another session shares').to.equal(held)
          expect(await logitsOf(engine, target, ids, 20, 500)).to.deep.equal(expected)
          // less than it held before
          engine.writeKeyValues(target, from, engine.readKeyValues(source, from, from + 1))
          expect(engine.sessionLength(target)).to.equal(from + 1)
          expect((await logitsOf(engine, target, ids, 520, from + 1)).slice(-20 * vocabularySize)).to.deep.equal(expected)
          for (const session of [target, sharer]) engine.closeSession(session)
        }
      }, { keyValuePositions: 2600 })
    })

    it(`${engineName}: of a part of the range are those of its layers, and move between engines that host different ranges`, async () => {
      const weights = open('llama')
      const { architecture } = weights
      const ids = randomIds(40, architecture.vocabularySize, 37)
      const perLayer = keyValueBytesPerPosition(architecture, { from: 1, to: 2 })
      await withEngine(create, weights, async engine => {
        const whole = engine.openSession()
        await logitsOf(engine, whole, ids)
        const bytes = engine.readKeyValues(whole, 0, 40)
        const stride = bytes.length / 40
        const range: UnitRange = { from: 2, to: 4 }
        const part = engine.openSession({ range })
        const slices = Array.from({ length: 40 }, (_, position) => bytes.subarray(position * stride + perLayer, position * stride + 3 * perLayer))
        engine.writeKeyValues(part, 0, Buffer.concat(slices))
        const other = await createWasmEngine({ ...weights, range: { from: 1, to: 5 }, threads: 2, arenaBytes: 1 })
        try {
          const there = other.openSession({ range })
          move(engine, part, other, there, 0, 40, 9)
          const [{ hidden: input }] = await first(engine, [...ids, 7], { from: 0, to: 2 })
          const [{ hidden: expected }] = await first(engine, [...ids, 7], { from: 0, to: 4 })
          const row = input!.slice(-architecture.hiddenSize)
          for (const [engine_, session] of [[engine, part], [other, there]] as const) {
            const [{ hidden }] = await engine_.run([{ session, position: 40, hidden: row }])
            expect(hidden).to.deep.equal(expected!.slice(-architecture.hiddenSize))
          }
        } finally {
          await other.stop()
        }
      })
    })

    it(`${engineName}: are not to be mixed up: one that differs changes what follows`, async () => {
      const weights = open('llama')
      const { vocabularySize, headSize } = weights.architecture
      const ids = randomIds(45, vocabularySize, 38)
      const blocks = headSize / Math.min(32, headSize)
      await withEngine(create, weights, async engine => {
        const source = engine.openSession()
        await logitsOf(engine, source, ids.subarray(0, 40))
        const bytes = engine.readKeyValues(source, 0, 40)
        const expected = sha256(new Uint8Array((await logitsOf(engine, source, ids, 5, 40)).buffer))
        const target = engine.openSession()
        const after = async (moved: Uint8Array): Promise<string> => {
          engine.writeKeyValues(target, 0, moved)
          return sha256(new Uint8Array((await logitsOf(engine, target, ids, 5, 40)).buffer))
        }
        expect(await after(bytes)).to.equal(expected)
        const vector = headSize + 4 * blocks
        for (const position of [0, 20, 39]) {
          // a code and a scale of a key and of a value
          for (const at of [3, headSize + 2, vector + 5, vector + headSize + 2]) {
            const mutant = bytes.slice()
            mutant[position * bytes.length / 40 + at] ^= at % vector < headSize ? 0x20 : 0x40
            expect(await after(mutant), `byte ${at} of position ${position}`).to.not.equal(expected)
          }
        }
        expect(await after(bytes)).to.equal(expected)
      })
    })

    it(`${engineName}: take room as steps do, and leave everything as it was where there is none`, async () => {
      const weights = open('qwen2')
      const { vocabularySize } = weights.architecture
      const ids = randomIds(512, vocabularySize, 39)
      await withEngine(create, weights, async engine => {
        const source = engine.openSession()
        await engine.run([{ session: source, position: 0, tokens: ids }])
        const bytes = engine.readKeyValues(source, 0, 512)
        const half = bytes.subarray(0, bytes.length / 2)
        const target = engine.openSession()
        engine.writeKeyValues(target, 0, half)
        // room for as much again, which is promised to somebody
        const promised = engine.openSession({ capacity: 256 })
        const before = sha256(half)
        expect(engine.freePositions).to.equal(0)
        for (const from of [0, 256]) {
          expect(() => engine.writeKeyValues(target, from, from === 0 ? bytes : half)).to.throw().with.property('code', 'ERR_KEY_VALUE_BUDGET')
          expect([engine.freePositions, engine.sessionLength(target), sha256(engine.readKeyValues(target, 0, 256))]).to.deep.equal([0, 256, before])
        }
        engine.writeKeyValues(promised, 0, half)
        engine.truncate(promised, 0)
        engine.release(promised)
        expect(engine.freePositions).to.equal(256)
        engine.reserve(target, 0, 512)
        expect(engine.freePositions).to.equal(0)
        engine.writeKeyValues(target, 0, bytes)
        expect(sha256(engine.readKeyValues(target, 0, 512))).to.equal(sha256(bytes))
        for (const session of [source, target, promised]) engine.closeSession(session)
        expect(engine.freePositions).to.equal(1024)
      }, { keyValuePositions: 1024 })
    })
  }
})

/** What the first units give for some ids, in a session of their own. */
async function first (engine: Engine, ids: number[], range: UnitRange): Promise<Awaited<ReturnType<Engine['run']>>> {
  const session = engine.openSession({ range })
  const results = await engine.run([{ session, position: 0, tokens: Uint32Array.from(ids) }])
  engine.closeSession(session)
  return results
}
