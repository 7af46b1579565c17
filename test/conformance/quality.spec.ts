import { expect } from 'chai'
import { readFileSync } from 'node:fs'
import { createEngine } from '../../src/engine/index.ts'
import { openModel } from '../../src/model/index.ts'
import { goldenPath, readJson, sotuPath } from '../support/golden-models.ts'
import { sharedPath } from '../support/shared-data.ts'
import type { Engine } from '../../src/engine/index.ts'
import type { Model } from '../../src/model/index.ts'

interface Generation {
  ids: number[]
  greedy: number[]
  top2_gap: number[]
}

async function start (model: Model): Promise<Engine> {
  const { architecture } = model
  return await createEngine({ architecture, range: { from: 0, to: architecture.layerCount + 2 }, unit: index => model.unit(index) })
}

/** Perplexity of consecutive windows, each run alone; positions after the first are scored. */
async function perplexity (engine: Engine, ids: number[], window: number, windows: number): Promise<number> {
  let sum = 0
  for (let w = 0; w < windows; w++) {
    const tokens = Uint32Array.from(ids.slice(w * window, (w + 1) * window))
    const session = engine.openSession()
    const outputs = Array.from({ length: window - 1 }, (_, row) => ({ row, output: { kind: 'score' as const, ids: [tokens[row + 1]] } }))
    const [result] = await engine.run([{ session, position: 0, tokens, outputs }])
    engine.closeSession(session)
    for (const { values, logSumExp } of result.rows!) sum += logSumExp! - values![0]
  }
  return Math.exp(sum / (windows * (window - 1)))
}

/** Feeds the reference's own tokens and compares the best token at each step; gives the gaps of the misses. */
async function teacherForced (engine: Engine, generations: Generation[]): Promise<{ steps: number, misses: number[] }> {
  let steps = 0
  const misses: number[] = []
  for (const { ids, greedy, top2_gap: gaps } of generations) {
    const session = engine.openSession()
    const tokens = Uint32Array.from([...ids, ...greedy.slice(0, -1)])
    const outputs = greedy.map((_, i) => ({ row: ids.length - 1 + i, output: { kind: 'top' as const, count: 1 } }))
    const [result] = await engine.run([{ session, position: 0, tokens, outputs }])
    engine.closeSession(session)
    for (const [i, { ids }] of result.rows!.entries()) if (ids![0] !== greedy[i]) misses.push(gaps[i])
    steps += greedy.length
  }
  return { steps, misses }
}

describe('quality of the engine', function () {
  this.timeout(300_000)

  describe('sotu-4m', function () {
    let model: Model
    let engine: Engine
    const golden = readJson<{ perplexity: { ppl: number }, greedy: Generation[] }>(goldenPath('sotu-4m.json')!)

    before(async function () {
      model = await openModel(sotuPath)
      engine = await start(model)
    })
    after(async function () { await engine.stop() })

    it('has a perplexity within 1 % of float32 over 40 windows of its held-out text', async function () {
      const ids = model.tokenizer.encode(readFileSync(`${sotuPath}/heldout.txt`, 'utf8'), { addSpecialTokens: false })
      const actual = await perplexity(engine, ids, 512, 40)
      console.log(`      perplexity ${actual.toFixed(3)}, float32 ${golden.perplexity.ppl.toFixed(3)}`)
      expect(actual / golden.perplexity.ppl).to.be.within(0.99, 1.01)
    })

    it('agrees with at least 97 % of the reference tokens, and misses only near ties', async function () {
      const { steps, misses } = await teacherForced(engine, golden.greedy)
      console.log(`      ${misses.length} of ${steps} tokens differ, largest gap ${Math.max(0, ...misses)}`)
      expect(misses.length / steps).to.be.at.most(0.03)
      expect(Math.max(0, ...misses)).to.be.below(0.5)
    })
  })

  describe('SmolLM2-135M-Instruct, Q4_1', function () {
    let model: Model
    let engine: Engine
    const golden = readJson<{ perplexity: { ppl_10: number }, greedy: Generation[] }>(goldenPath('smollm2.json')!)

    before(async function () {
      const path = sharedPath('models', 'smollm2-135m-instruct', 'SmolLM2-135M-Instruct.Q4_1.gguf')
      if (path === undefined) {
        console.log('      SmolLM2-135M-Instruct is not on this machine')
        this.skip()
      }
      model = await openModel(path)
      engine = await start(model)
    })
    after(async function () { await engine?.stop() })

    it('has a perplexity within 1 % of float32 over 10 windows of WikiText-2', async function () {
      const text = sharedPath('data', 'wikitext-2-test.txt')
      if (text === undefined) this.skip()
      const ids = model.tokenizer.encode(readFileSync(text!, 'utf8').slice(0, 40_000))
      const actual = await perplexity(engine, ids, 512, 10)
      console.log(`      perplexity ${actual.toFixed(3)}, float32 ${golden.perplexity.ppl_10.toFixed(3)}`)
      expect(actual / golden.perplexity.ppl_10).to.be.within(0.99, 1.01)
    })

    it('agrees with at least 97 % of the reference tokens, and misses only near ties', async function () {
      const { steps, misses } = await teacherForced(engine, golden.greedy)
      console.log(`      ${misses.length} of ${steps} tokens differ, largest gap ${Math.max(0, ...misses)}`)
      expect(misses.length / steps).to.be.at.most(0.03)
      expect(Math.max(0, ...misses)).to.be.below(0.5)
    })
  })
})
