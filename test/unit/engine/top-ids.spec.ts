import { expect } from 'chai'
import fc from 'fast-check'
import { topIds } from '../../../src/engine/wasm/head.ts'

describe('engine: ids of the largest logits', () => {
  const largest = (values: Float32Array): Float32Array =>
    Float32Array.from({ length: Math.ceil(values.length / 16) }, (_, block) => Math.max(...values.subarray(block * 16, block * 16 + 16)))

  const sorted = (values: Float32Array, count: number): number[] =>
    Array.from(values.keys()).sort((a, b) => values[b] - values[a] || a - b).slice(0, count)

  it('are those of a sort, the lowest id first where values are equal', () => {
    // few different values, so that many are equal
    const array = fc.array(fc.integer({ min: -6, max: 6 }), { minLength: 1, maxLength: 200 })
    fc.assert(fc.property(array, fc.integer({ min: 1, max: 210 }), fc.boolean(), (list, count, rough) => {
      const values = Float32Array.from(list)
      const maxima = largest(values)
      // what is known of a block may be more than its largest
      if (rough) maxima[maxima.length - 1] += 3
      expect([...topIds(values, maxima, count)]).to.deep.equal(sorted(values, count))
    }), { seed: 7, numRuns: 500 })
  })
})
