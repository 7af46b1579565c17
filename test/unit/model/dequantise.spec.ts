import { createHash } from 'node:crypto'
import { expect } from 'chai'
import fc from 'fast-check'
import { dequantise } from '../../../src/model/index.ts'
import type { TensorType } from '../../../src/model/index.ts'
import { halfTable, smallestHalfAtLeast } from '../../../src/model/tensor/index.ts'
import { randomBlocks } from '../../support/random-blocks.ts'

/** SHA-256 of what the package `gguf` 0.17 (Python) makes of the same bytes. */
const GOLDEN: Array<[type: TensorType, elements: number, sha256: string]> = [
  ['F16', 16384, '4a6b59fab591cfa598d88a5851e46730acfb09a4fc5016eb439b6e43a34e5240'],
  ['BF16', 16384, '9a784912fd90a35a01a01f8bb5bc4609cb26b33f7d30e84c6c6709e5715ee6b2'],
  ['Q4_0', 2048, '1b1d7030566af3e4859e07eea5b918b2d8428beb7173ba0c7a38d89a05de2538'],
  ['Q4_1', 2048, 'fcd20e32f22601607c3be82d5a72c7879d7f6bfecd5538f081710c0f7e99222b'],
  ['Q5_0', 2048, '607bef2c6e185caa76bad55c5bf7e8159f82f1331e2cc6db7dd610914705cfdb'],
  ['Q5_1', 2048, '2c12bcd1bb76f7ceb11575991ca99b710f3ed93de6f0d4e62cd25272bbc1e176'],
  ['Q8_0', 2048, '545c185035a5d4864e59ffde3605bacae9cc827aae9ccc89584d1db6796709d0'],
  ['Q4_K', 16384, '40b1803e7ed1d2baaa17aedb24a506543bd7ae57baced2414ac087893a6f6b27'],
  ['Q5_K', 16384, '008f9e5cb0cc95ab1785c0cdee4a242e1af6d82e22ac1f95dd34f9371ca771c6'],
  ['Q6_K', 16384, 'ffae19d693e216c21f7cb821be73109cdb581655ddbe549baf5a44cc63f1003a']
]

describe('dequantise', function () {
  it('refuses bytes that are not whole blocks', function () {
    expect(() => dequantise('Q4_K', new Uint8Array(143))).to.throw(RangeError, '143 bytes')
  })

  for (const [type, elements, sha256] of GOLDEN) {
    it(`gives the bits of ggml for ${type}`, function () {
      const values = dequantise(type, randomBlocks(type, elements))
      expect(values.length).to.equal(elements)
      expect(createHash('sha256').update(new Uint8Array(values.buffer)).digest('hex')).to.equal(sha256)
    })
  }

  it('leaves F32 alone, wherever its bytes lie in memory', function () {
    const values = Float32Array.of(1, -0, 1e-45, 3.4e38)
    const shifted = new Uint8Array(17).subarray(1)
    shifted.set(new Uint8Array(values.buffer))
    expect(dequantise('F32', shifted)).to.deep.equal(values)
  })
})

describe('float16', function () {
  it('has the values of the standard', function () {
    const half = halfTable()
    expect(half[0x3c00]).to.equal(1)
    expect(half[0x7bff]).to.equal(65504)
    expect(half[0x0001]).to.equal(2 ** -24)
    expect(half[0xc000]).to.equal(-2)
    expect(half[0x7c00]).to.equal(Infinity)
    expect(half[0xfc00]).to.equal(-Infinity)
    expect(half[0x7e00]).to.be.NaN
    expect(Object.is(half[0x8000], -0)).to.equal(true)
  })

  it('finds the smallest one that is not below a number', function () {
    const positive = halfTable().subarray(0, 0x7c00)
    expect(smallestHalfAtLeast(65504.001)).to.equal(Infinity)
    fc.assert(fc.property(fc.double({ min: 0, max: 65504, noNaN: true }), fc.integer({ min: -60, max: 0 }), (value, exponent) => {
      const wanted = value * 2 ** exponent
      const found = smallestHalfAtLeast(wanted)
      const index = positive.indexOf(found)
      expect(index).to.be.at.least(0)
      expect(found).to.be.at.least(wanted)
      if (index > 0) expect(positive[index - 1]).to.be.below(wanted)
    }), { seed: 1, numRuns: 1000 })
    for (const value of positive) if (smallestHalfAtLeast(value) !== value) expect.fail(`${value}`)
  })
})
