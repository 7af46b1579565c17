import { expect } from 'chai'
import { fileURLToPath } from 'node:url'
import { layOutArenas } from '../../../src/engine/wasm/arena-layout.ts'
import { describeFile, openWeights } from '../../../src/model/index.ts'
import { capacityOf, modelCosts, peerBytes, rangeBytes, totalWork } from '../../../src/partition/index.ts'
import { sharedPath } from '../../support/shared-data.ts'
import type { ArenaLayout } from '../../../src/engine/wasm/arena-layout.ts'
import type { ModelWeights } from '../../../src/model/index.ts'

const path = fileURLToPath(new URL('../../../models/sotu-4m', import.meta.url))

function layOut ({ architecture, unit }: ModelWeights, from: number, to: number, keyValuePositions: number): ArenaLayout[] {
  return layOutArenas({ architecture, unit, range: { from, to }, threads: 1, keyValuePositions, contextLength: 1024, arenaBytes: 2 ** 31 })
}

describe('partition: costs of a model', () => {
  const model = openWeights(path)
  const { layerCount, hiddenSize, vocabularySize } = model.architecture
  const costs = modelCosts(model)

  it('has every unit', () => {
    expect(costs.units).to.have.length(layerCount + 2)
    for (const { memoryBytes, storedBytes, work } of costs.units) {
      expect(Math.min(memoryBytes, storedBytes, work)).to.be.above(0)
    }
  })

  it('refuses a model that no engine can host', () => {
    const odd = { ...model, architecture: { ...model.architecture, headSize: 24 }, unit: (index: number) => model.unit(index) }
    expect(() => modelCosts(odd)).to.throw().with.property('code', 'ERR_UNSUPPORTED_MODEL')
  })

  it('counts stored bytes as the file has them, a tied embedding once', () => {
    const { storedBytes } = rangeBytes(costs, { from: 0, to: layerCount + 2 }, 0)
    expect(storedBytes).to.equal(describeFile(path).tensors.reduce((sum, { byteLength }) => sum + byteLength, 0))
    expect(costs.tied.storedBytes).to.equal(vocabularySize * hiddenSize * 2)
  })

  it('counts memory in the form of the engine: 8-bit codes and a float for 32 of them', () => {
    const embedding = vocabularySize * hiddenSize * 9 / 8
    expect(costs.units[0].memoryBytes).to.equal(embedding)
    expect(costs.tied.memoryBytes).to.equal(embedding)
    expect(costs.units[0].work).to.equal(hiddenSize * 9 / 8)
    // and the final norm
    expect(costs.units[layerCount + 1].memoryBytes).to.equal(embedding + hiddenSize * 4)
    expect(totalWork(costs)).to.be.closeTo(rangeBytes(costs, { from: 0, to: layerCount + 2 }, 0).weightBytes, 1000)
  })

  it('says what an engine lays out, KV cache included', () => {
    const { pagePositions } = costs
    for (const [pages, layers] of [[1, 2], [5, 3], [12, 7]]) {
      const [one] = layOut(model, 1, 2, pages * pagePositions)
      const [more] = layOut(model, 1, 1 + layers, pages * pagePositions)
      const needs = (to: number) => peerBytes(costs, { from: 1, to }, { positions: pages * pagePositions, baseBytes: 0 })
      // but for counters, 32 bytes a unit, in lines of 64
      expect(more.totalBytes - one.totalBytes).to.be.within(needs(1 + layers) - needs(2), needs(1 + layers) - needs(2) + 64 * layers)
    }
  })

  it('counts a page of KV cache of a layer as the engine has it', () => {
    const { keyValueHeadCount, headSize } = model.architecture
    expect(costs.units[1].keyValueBytes).to.equal(2 * keyValueHeadCount * (headSize + 4 * headSize / Math.min(32, headSize)))
    expect([costs.units[0].keyValueBytes, costs.units[layerCount + 1].keyValueBytes]).to.deep.equal([0, 0])
  })

  it('gives a machine with more memory more units', () => {
    const most = (memoryBytes: number) => capacityOf(costs, { memoryBytes, positions: 4096 }).most
    expect(most(200e6)).to.equal(0)
    expect(most(210e6)).to.be.above(0).and.below(layerCount + 2)
    expect(most(1e9)).to.equal(layerCount + 2)
  })

  it('counts 4-bit weights as 4 bits', function () {
    const smollm = sharedPath('models', 'smollm2-135m-instruct', 'SmolLM2-135M-Instruct.Q4_1.gguf')
    if (smollm === undefined) return this.skip()
    const weights = openWeights(smollm)
    const { units } = modelCosts(weights)
    const weightCount = (unit: number) => Object.values(weights.unit(unit).tensors).reduce((sum, { shape }) => sum + shape.reduce((a, b) => a * b, 1), 0)
    // 4 bits, and two floats for 32 of them
    expect(units[1].memoryBytes).to.be.closeTo(weightCount(1) * 6 / 8, 10_000)
    expect(units[1].storedBytes).to.be.closeTo(weightCount(1) * 5 / 8, 10_000)
  })
})
