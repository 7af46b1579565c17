import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { expect } from 'chai'
import fc from 'fast-check'
import { createOracleEngine, memoryNeeds } from '../../src/engine/index.ts'
import { createWasmEngine } from '../../src/engine/wasm/engine.ts'
import { closeChain, runChain } from '../support/chain.ts'
import { allLogits, logitsOf, withEngine } from '../support/engines.ts'
import { sha256 } from '../support/golden-hashes.ts'
import type { GoldenHash } from '../support/golden-hashes.ts'
import { openNamed } from '../support/golden-models.ts'
import { openWeights } from '../support/open-weights.ts'
import { randomIds } from '../support/random-weights.ts'
import { sharedPath } from '../support/shared-data.ts'
import type { Engine, EngineInit } from '../../src/engine/index.ts'
import type { UnitRange } from '../../src/model/index.ts'
import type { Weights } from '../support/open-weights.ts'

const golden: Record<string, GoldenHash[]> = JSON.parse(readFileSync(new URL('../fixtures/golden-hashes.json', import.meta.url), 'utf8'))

/** Parts that follow each other and together are all units. */
function cut (weights: Weights, borders: number[]): UnitRange[] {
  const { layerCount } = weights.architecture
  const all = [...new Set([0, ...borders.map(border => 1 + border % (layerCount + 1)), layerCount + 2])].sort((a, b) => a - b)
  return all.slice(1).map((to, index) => ({ from: all[index], to }))
}

/** A page for each session: those that run a part of the units take whole pages all the same. */
const keyValuePositions = 20 * 256

const borders = fc.array(fc.nat(99), { minLength: 1, maxLength: 8 })

/** Logits of all positions, by one engine that runs the parts one after another in sessions of their own. */
async function chained (engine: Engine, parts: UnitRange[], ids: Uint32Array, chunk: number): Promise<Float32Array> {
  const { vocabularySize } = engine.architecture
  const engines = parts.map(() => engine)
  const session = parts.map(range => engine.openSession({ range }))
  const all = new Float32Array(ids.length * vocabularySize)
  for (let position = 0; position < ids.length; position += chunk) {
    const tokens = ids.subarray(position, position + chunk)
    const [{ rows }] = await runChain(engines, [{ session, position, tokens, outputs: allLogits(tokens.length) }])
    for (const { row, logits } of rows!) all.set(logits!, (position + row) * vocabularySize)
  }
  closeChain(engines, session)
  return all
}

/** Weights of a memory that has room for about two units. */
function twoUnits (weights: Weights): number {
  return 2 * Math.max(...memoryNeeds(weights).units) + 4096
}

/** Models that differ in what a unit is, not in how its weights are stored. */
const few = (name: string): boolean => ['llama', 'qwen3', 'random-q8_0-mixed-windows', 'random-compressed', 'sotu-4m'].includes(name)

const ENGINES: Array<{ name: string, models: (name: string) => boolean, create: (init: EngineInit, weights: Weights) => Promise<Engine> }> = [
  { name: 'real engine', models: () => true, create: async init => await createWasmEngine({ ...init, threads: 2 }) },
  { name: 'real engine with about two units in a memory', models: few, create: async (init, weights) => await createWasmEngine({ ...init, threads: 3, arenaBytes: twoUnits(weights) }) },
  { name: 'real engine with each unit in a memory of its own', models: few, create: async init => await createWasmEngine({ ...init, threads: 1, arenaBytes: 1 }) },
  { name: 'oracle', models: name => few(name) && name !== 'sotu-4m', create: async init => await createOracleEngine(init) }
]

describe('exactness of parts of an engine\'s range', function () {
  this.timeout(300_000)

  for (const { name: engineName, models, create } of ENGINES) {
    for (const [name, hashes] of Object.entries(golden).filter(([name]) => models(name))) {
      it(`${engineName}, ${name}: sessions that run one part each give the golden hashes`, async function () {
        const weights = openNamed(name)
        if (weights === undefined) return this.skip()
        await withEngine(async init => await create(init, weights), weights, async engine => {
          await fc.assert(fc.asyncProperty(fc.constantFrom(...hashes), borders, fc.constantFrom(1, 7, 32, 200), async (expected, borders, chunk) => {
            const logits = await chained(engine, cut(weights, borders), Uint32Array.from(expected.ids), chunk)
            expect(sha256(logits)).to.equal(expected.all)
          }), { seed: 21, numRuns: engineName === 'oracle' ? 3 : 6 })
        }, { keyValuePositions })
      })
    }
  }

  it('SmolLM2-135M: sessions that run one part each give the bits of the whole', async function () {
    const path = sharedPath('models', 'smollm2-135m-instruct', 'SmolLM2-135M-Instruct.Q4_1.gguf')
    if (path === undefined) {
      console.log('      SmolLM2-135M-Instruct is not on this machine')
      return this.skip()
    }
    const weights = openWeights(path)
    const ids = randomIds(40, weights.architecture.vocabularySize, 3)
    await withEngine(createWasmEngine, weights, async engine => {
      const whole = sha256(await logitsOf(engine, engine.openSession(), ids))
      await fc.assert(fc.asyncProperty(borders, fc.constantFrom(1, 9, 40), async (borders, chunk) => {
        expect(sha256(await chained(engine, cut(weights, borders), ids, chunk))).to.equal(whole)
      }), { seed: 22, numRuns: 4 })
    }, { threads: 2, keyValuePositions })
  })

  for (const name of ['llama', 'random-q8_0-mixed-windows', 'random-compressed', 'sotu-4m']) {
    it(`${name}: gives the same bits in batches that mix parts, prompts and single tokens`, async () => {
      const weights = openNamed(name)!
      const { vocabularySize, layerCount } = weights.architecture
      await withEngine(async init => await createWasmEngine({ ...init, threads: 2, arenaBytes: twoUnits(weights) }), weights, async engine => {
        const texts = await Promise.all([3, 40, 71, 18, 33, 26].map(async (count, i) => {
          const ids = randomIds(count, vocabularySize, i + 40)
          const parts = cut(weights, [[], [layerCount], [2, layerCount], [0, 1, 2, 3], [layerCount], [0]][i])
          const session = engine.openSession()
          const expected = sha256(await logitsOf(engine, session, ids))
          engine.closeSession(session)
          return { ids, parts, expected, sessions: parts.map(range => engine.openSession({ range })), part: 0, position: 0, rows: 0, hidden: undefined as Float32Array | undefined, logits: createHash('sha256') }
        }))
        const mixed = new Set<number>()
        for (let round = 0; texts.some(({ ids, position }) => position < ids.length); round++) {
          const going = texts.filter(({ ids, position }) => position < ids.length)
          const results = await engine.run(going.map((text, i) => {
            const last = text.part === text.parts.length - 1
            if (text.part === 0) text.rows = Math.min((round + i) % 3 === 0 ? 17 : 1, text.ids.length - text.position)
            return {
              session: text.sessions[text.part],
              position: text.position,
              ...(text.part === 0 ? { tokens: text.ids.subarray(text.position, text.position + text.rows) } : { hidden: text.hidden }),
              ...(last ? { outputs: allLogits(text.rows) } : {})
            }
          }))
          mixed.add(new Set(going.map(({ parts, part }) => `${parts[part].from}:${parts[part].to}`)).size)
          for (const [i, text] of going.entries()) {
            text.hidden = results[i].hidden
            for (const { logits } of results[i].rows ?? []) text.logits.update(new Uint8Array(logits!.buffer))
            text.part = (text.part + 1) % text.parts.length
            if (text.part === 0) text.position += text.rows
            expect(results[i].hidden === undefined).to.equal(text.part === 0)
          }
        }
        expect(Math.max(...mixed), 'parts in a batch').to.be.at.least(3)
        expect(texts.map(({ logits }) => logits.digest('hex'))).to.deep.equal(texts.map(({ expected }) => expected))
      }, { keyValuePositions })
    })
  }

  it('gives the same bits in sessions that begin with a prefix of another with the same part', async () => {
    const weights = openNamed('llama')!
    const range = { from: 2, to: 4 }
    const hidden = Float32Array.from(randomIds(300 * weights.architecture.hiddenSize, 2001, 5), value => value / 1000 - 1)
    const rows = (from: number, to: number) => hidden.subarray(from * weights.architecture.hiddenSize, to * weights.architecture.hiddenSize)
    await withEngine(async init => await createWasmEngine({ ...init, threads: 2, arenaBytes: 1 }), weights, async engine => {
      const source = engine.openSession({ range })
      const [whole] = await engine.run([{ session: source, position: 0, hidden: rows(0, 300) }])
      for (const length of [1, 256, 299]) {
        const session = engine.openSession({ range, prefix: { session: source, length } })
        const [{ hidden: actual }] = await engine.run([{ session, position: length, hidden: rows(length, 300) }])
        expect(actual).to.deep.equal(whole.hidden!.slice(length * weights.architecture.hiddenSize))
      }
    })
  })
})
