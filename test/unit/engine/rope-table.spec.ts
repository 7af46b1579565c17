import { expect } from 'chai'
import { fillRopeRow, frequencies } from '../../../src/engine/rope-table.ts'
import type { Architecture } from '../../../src/model/types.ts'

const plain: Architecture = {
  family: 'llama',
  layerCount: 1,
  hiddenSize: 64,
  feedForwardSize: 64,
  headCount: 1,
  keyValueHeadCount: 1,
  headSize: 64,
  vocabularySize: 32,
  contextLength: 131072,
  normEpsilon: 1e-5,
  ropeTheta: 500000,
  ropeScaling: null,
  queryKeyNorm: false,
  slidingWindows: [null],
  tiedEmbedding: false
}
const close = (value: number, expected: number) => Math.abs(value - expected) <= 1e-14 * expected

describe('rope-table', () => {
  it('has theta^(−2i ÷ headSize) without scaling', () => {
    const result = frequencies(plain)
    expect(result.length).to.equal(32)
    expect(result[0]).to.equal(1)
    for (let i = 0; i < 32; i++) expect(result[i]).to.satisfy((v: number) => close(v, Math.pow(500000, -i / 32)))
  })

  it('divides all frequencies for linear scaling, and each by its own for factors', () => {
    const base = frequencies(plain)
    const linear = frequencies({ ...plain, ropeScaling: { kind: 'linear', factor: 4 } })
    const factors = frequencies({ ...plain, ropeScaling: { kind: 'factors', factors: Array.from(base, (_, i) => 1 + i / 8) } })
    for (let i = 0; i < 32; i++) {
      expect(linear[i]).to.equal(base[i] / 4)
      expect(factors[i]).to.equal(base[i] / (1 + i / 8))
    }
  })

  it('keeps short waves, divides long ones and blends between for llama3 scaling', () => {
    const base = frequencies(plain)
    const scaled = frequencies({
      ...plain,
      ropeScaling: { kind: 'llama3', factor: 32, lowFrequencyFactor: 1, highFrequencyFactor: 4, originalContextLength: 8192 }
    })
    const seen = { kept: 0, divided: 0, blended: 0 }
    for (let i = 0; i < 32; i++) {
      const turns = 8192 * base[i] / (2 * Math.PI)
      if (turns > 4) {
        seen.kept++
        expect(scaled[i]).to.equal(base[i])
      } else if (turns < 1) {
        seen.divided++
        expect(scaled[i]).to.equal(base[i] / 32)
      } else {
        seen.blended++
        const g = (turns - 1) / 3
        expect(scaled[i]).to.satisfy((v: number) => close(v, (1 - g) * base[i] / 32 + g * base[i]))
      }
    }
    expect(Math.min(seen.kept, seen.divided, seen.blended)).above(0)
  })

  it('fills a row of floats at an offset and nothing else', () => {
    const result = frequencies(plain)
    const cos = new Float32Array(96).fill(7)
    const sin = new Float32Array(96).fill(7)
    fillRopeRow(result, 100003, cos, sin, 32)
    for (let i = 0; i < 96; i++) {
      const inside = i >= 32 && i < 64
      const angle = 100003 * result[i - 32]
      expect(cos[i]).to.satisfy((v: number) => inside ? Math.abs(v - Math.cos(angle)) < 1e-7 : v === 7)
      expect(sin[i]).to.satisfy((v: number) => inside ? Math.abs(v - Math.sin(angle)) < 1e-7 : v === 7)
    }
  })
})
