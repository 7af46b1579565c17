import { readFileSync } from 'node:fs'
import { expect } from 'chai'
import { weightFormat } from '../../src/model/index.ts'
import { isWeightType } from '../../src/model/tensor/index.ts'
import { exactEngines, withEngine } from '../support/engines.ts'
import { hashOf } from '../support/golden-hashes.ts'
import type { GoldenHash } from '../support/golden-hashes.ts'
import { openNamed } from '../support/golden-models.ts'

const golden: Record<string, GoldenHash[]> = JSON.parse(readFileSync(new URL('../fixtures/golden-hashes.json', import.meta.url), 'utf8'))

describe('golden hashes', () => {
  it('are of every architecture and every weight format', () => {
    const families = new Set<string>()
    const formats = new Set<string>()
    for (const name of Object.keys(golden)) {
      const weights = openNamed(name)
      if (weights === undefined) continue
      families.add(weights.architecture.family)
      for (const source of Object.values(weights.unit(1).tensors)) {
        if (isWeightType(source.type) && source.shape.length === 2) formats.add(weightFormat(source.type))
      }
    }
    expect([...families].sort()).to.deep.equal(['llama', 'mistral', 'qwen2', 'qwen3'])
    expect([...formats].sort()).to.deep.equal(['q3', 'q4', 'q4k', 'q4s', 'q5', 'q5k', 'q5s', 'q8'])
  })

  for (const { name: engineName, create } of exactEngines) {
    describe(engineName, () => {
      for (const [name, hashes] of Object.entries(golden)) {
        it(`${name}: the bits of all logits`, async function () {
          const weights = openNamed(name)
          if (weights === undefined) return this.skip()
          await withEngine(create, weights, async engine => {
            for (const expected of hashes) expect(await hashOf(engine, expected.ids, expected.greedy.length)).to.deep.equal(expected)
          })
        })
      }
    })
  }
})
