import { createHash } from 'node:crypto'
import { expect } from 'chai'
import fc from 'fast-check'
import { combineLanes, exp, quantise, rint, rmsNorm, silu } from '../../../src/engine/oracle/float.ts'

const floats = (...values: number[]) => Float32Array.from(values)
const float = fc.float({ noNaN: true, noDefaultInfinity: true, min: Math.fround(-1e30), max: Math.fround(1e30) })

describe('oracle: elementary operations', () => {
  it('rounds to integers with ties to even', () => {
    expect([0.5, 1.5, 2.5, -0.5, -1.5, 2.4999, 16382.5].map(rint)).to.deep.equal([0, 2, 2, 0, -2, 2, 16382].map(x => x + 0))
  })

  describe('quantise', () => {
    it('gives NaN as the scale of a block that is not finite', () => {
      for (const bad of [NaN, Infinity, -Infinity]) {
        const codes = new Int8Array(4).fill(5)
        expect(quantise(floats(1, bad, 2, 3), 0, 4, 127, codes)).to.satisfy(Number.isNaN)
        expect([...codes]).to.deep.equal([0, 0, 0, 0])
      }
    })

    it('gives zeros below 2^-100 and codes from there on', () => {
      const codes = new Int8Array(2).fill(5)
      expect(quantise(floats(0, -0), 0, 2, 127, codes)).to.equal(0)
      expect(quantise(floats(7.888608e-31, -1e-33), 0, 2, 127, codes)).to.equal(0)
      expect([...codes]).to.deep.equal([0, 0])
      const smallest = floats(7.888609052210118e-31, 0)
      expect(quantise(smallest, 0, 2, 127, codes)).to.equal(Math.fround(smallest[0] / 127))
      expect([...codes]).to.deep.equal([127, 0])
    })

    it('reaches the limit at the largest element and is within half a step elsewhere', () => {
      fc.assert(fc.property(fc.array(float, { minLength: 32, maxLength: 32 }), fc.constantFrom(127, 16383), (values, limit) => {
        const x = Float32Array.from(values)
        const codes = new Int16Array(32)
        const scale = quantise(x, 0, 32, limit, codes)
        const largest = Math.max(...x.map(Math.abs))
        if (largest < 7.888609052210118e-31) return scale === 0
        if (!codes.some(code => Math.abs(code) === limit)) return false
        return codes.every((code, i) => Math.abs(code) <= limit && Math.abs(x[i] - code * scale) <= scale * 0.5001 + largest * 1e-6)
      }), { seed: 1, numRuns: 1000 })
    })

    it('touches its own part only', () => {
      const codes = new Int8Array(6).fill(9)
      quantise(floats(1, 1, 1, -2, 1, 1), 2, 2, 127, codes)
      expect([...codes]).to.deep.equal([9, 9, 64, -127, 9, 9])
    })
  })

  describe('exp', () => {
    it('is within 2e-7 of e^x', () => {
      fc.assert(fc.property(fc.float({ min: -87, max: 88, noNaN: true }), x => Math.abs(exp(x) / Math.exp(x) - 1) < 2e-7), { seed: 2, numRuns: 5000 })
    })

    it('gives floats', () => {
      for (let x = -90; x < 90; x += 0.37) expect(Math.fround(exp(Math.fround(x)))).to.equal(exp(Math.fround(x)))
    })

    it('gives the bits of the profile', () => {
      // a step that rounds once instead of twice changes one result in a hundred: few enough to slip through small models
      const results = Buffer.alloc(4 * 40000)
      for (let i = 0; i < 40000; i++) results.writeFloatLE(exp(-i / 512), 4 * i)
      expect(createHash('sha256').update(results).digest('hex')).to.equal('5b9ffbc1532a9ce7980b4299b686107c8ca890e9d4ae2dffa6fe5aa4cfb026b5')
    })

    it('is +0 below −87, flat above 88, 1 at 0, and keeps NaN', () => {
      expect(exp(0)).to.equal(1)
      expect(exp(-0)).to.equal(1)
      expect(Object.is(exp(-87.00001), 0)).to.equal(true)
      expect(exp(-Infinity)).to.equal(0)
      expect(exp(-87)).above(1e-38)
      expect(exp(1000)).to.equal(exp(88))
      expect(exp(Infinity)).to.equal(exp(88))
      expect(exp(NaN)).to.satisfy(Number.isNaN)
    })
  })

  it('silu is x ÷ (1 + e^−x), and finite for finite x', () => {
    expect(silu(0)).to.equal(0)
    fc.assert(fc.property(fc.float({ min: -80, max: 80, noNaN: true }), x => {
      const expected = x / (1 + Math.exp(-x))
      return Math.abs(silu(x) - expected) <= 3e-7 * Math.abs(expected) + 2e-45
    }), { seed: 3 })
    expect(silu(Math.fround(-3e38))).to.satisfy(Number.isFinite)
    expect(silu(Math.fround(3e38))).to.equal(Math.fround(3e38))
  })

  it('combines sixteen lanes as a tree over distances 8, 4 (pairs first by 4), 1 and 2', () => {
    // 2²⁴ + 1 is lost in float; only the pairs of the tree keep the ones
    const c = new Float32Array(16)
    c[0] = 16777216
    c[4] = 1
    c[8] = 1
    c[12] = 1
    // (c0 + c4) loses its 1; (c8 + c12) = 2 stays
    expect(combineLanes(c)).to.equal(16777218)
    c[4] = 0
    c[12] = 0
    c[1] = 1
    // d0 = 2²⁴ + 1 loses it, d0 + d1 loses it again
    expect(combineLanes(c)).to.equal(16777216)
    c[8] = 0
    c[2] = 1
    c[3] = 1
    c[1] = 0
    // d2 + d3 = 2
    expect(combineLanes(c)).to.equal(16777218)
  })

  it('rmsNorm gives vectors of root mean square 1 and then multiplies by the weight', () => {
    const x = Float32Array.from({ length: 64 }, (_, i) => Math.fround(Math.sin(i) * 5))
    const weight = new Float32Array(48).fill(2)
    const out = new Float32Array(64)
    rmsNorm(x, 16, 48, weight, 0, out)
    const squares = out.subarray(16).reduce((sum, y) => sum + y * y, 0) / 48
    expect(Math.sqrt(squares)).to.be.closeTo(2, 1e-5)
    expect([...out.subarray(0, 16)]).to.deep.equal(new Array(16).fill(0))
  })
})
