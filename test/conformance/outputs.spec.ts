import { expect } from 'chai'
import { createEngine, createOracleEngine } from '../../src/engine/index.ts'
import { withEngine } from '../support/engines.ts'
import { openNamed } from '../support/golden-models.ts'
import type { BatchItem, RowResult } from '../../src/engine/index.ts'

describe('outputs of the head', function () {
  for (const name of ['qwen2', 'random-q8_0-mixed-windows', 'sotu-4m']) {
    it(`${name}: the real engine gives the best ids, logits and log-sum-exp of the oracle, bit for bit`, async function () {
      const weights = openNamed(name)!
      const { vocabularySize } = weights.architecture
      const tokens = Uint32Array.from({ length: 40 }, (_, i) => (i * 53 + 3) % vocabularySize)
      const counts = [1, 2, 40, 1025, vocabularySize].filter(count => count <= vocabularySize)
      const outputs: BatchItem['outputs'] = [
        ...counts.map((count, row) => ({ row, output: { kind: 'top' as const, count } })),
        { row: 20, output: { kind: 'score', ids: [7, 3, 7, vocabularySize - 1] } },
        { row: 39, output: { kind: 'logits' } }
      ]
      const run = async (create: typeof createEngine): Promise<RowResult[]> => await withEngine(create, weights, async engine =>
        (await engine.run([{ session: engine.openSession(), position: 0, tokens, outputs }]))[0].rows!)
      const expected = await run(createOracleEngine)
      expect(expected.map(({ row }) => row)).to.deep.equal(outputs.map(({ row }) => row))
      expect(await run(createEngine)).to.deep.equal(expected)
    })
  }
})
