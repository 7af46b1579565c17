import { expect } from 'chai'
import fc from 'fast-check'
import { dequantise, NonFiniteWeightError } from '../../../src/model/index.ts'
import type { TensorType } from '../../../src/model/index.ts'
import { decodeLeftFactor, ELEMENT_TYPES, encodeBlocks, halfTable, nearestHalf } from '../../../src/model/tensor/index.ts'
import { integerGenerator } from '../../support/random-bytes.ts'

const TYPES: TensorType[] = ['Q8_0', 'Q5_0', 'Q5_1', 'Q4_0', 'Q4_1', 'Q3_32', 'Q8_8']

/** Normally distributed (Box and Muller). */
function normal (count: number, seed: number): Float32Array {
  const integer = integerGenerator(seed)
  const uniform = () => (integer(2 ** 24) + 0.5) / 2 ** 24
  return Float32Array.from({ length: count }, () => Math.sqrt(-2 * Math.log(uniform())) * Math.cos(2 * Math.PI * uniform()))
}

function squaredError (type: TensorType, weights: Float32Array, importance?: number[]): number {
  const decoded = dequantise(type, encodeBlocks(type, weights, { importance }))
  return weights.reduce((sum, weight, i) => sum + (importance?.[i % importance.length] ?? 1) * (weight - decoded[i]) ** 2, 0)
}

/** Error of the plain rule: the largest weight at the end of the levels, nearest codes. */
function plainError (low: number, count: number, weights: Float32Array): number {
  let error = 0
  for (let from = 0; from < weights.length; from += 32) {
    const block = weights.subarray(from, from + 32)
    const largest = block.reduce((a, b) => Math.abs(b) > Math.abs(a) ? b : a)
    const scale = halfTable()[nearestHalf(largest / low)]
    for (const weight of block) error += (weight - scale * Math.min(low + count - 1, Math.max(low, Math.round(weight / scale)))) ** 2
  }
  return error
}

describe('encodeBlocks', function () {
  it('refuses types without an encoder, and matrices of zeros', function () {
    for (const type of ['Q4_K', 'Q6_K', 'F16', 'ZERO'] as const) expect(() => encodeBlocks(type, new Float32Array(256)), type).to.throw(RangeError, type)
  })

  it('refuses weights that are not whole blocks', function () {
    expect(() => encodeBlocks('Q4_0', new Float32Array(48))).to.throw(RangeError, '48 weights')
    expect(() => encodeBlocks('Q8_8', new Float32Array(12))).to.throw(RangeError, '12 weights')
  })

  it('refuses weights that are not finite, or beyond what float16 holds', function () {
    for (const bad of [NaN, Infinity, -Infinity, 70_000]) {
      const weights = new Float32Array(64).fill(1)
      weights[40] = bad
      for (const type of TYPES) expect(() => encodeBlocks(type, weights, { name: 'w' }), type).to.throw(NonFiniteWeightError, 'w: element 40')
    }
  })

  it('refuses an importance that does not fit', function () {
    const weights = new Float32Array(128)
    for (const importance of [[], new Array<number>(48).fill(1), new Array<number>(96).fill(1), new Array<number>(64).fill(-1), new Array<number>(64).fill(NaN)]) {
      expect(() => encodeBlocks('Q4_0', weights, { importance })).to.throw(RangeError, 'importance')
    }
  })

  // relative errors of normally distributed weights: what is measured, and a little room
  const bounds: Array<[TensorType, number]> = [['Q8_0', 0.0054], ['Q8_8', 0.0064], ['Q5_1', 0.0352], ['Q5_0', 0.0405], ['Q4_1', 0.0712], ['Q4_0', 0.0813], ['Q3_32', 0.1565]]
  for (const [type, bound] of bounds) {
    it(`has an error of at most ${bound} with ${type}`, function () {
      const weights = normal(32_768, 3)
      expect(Math.sqrt(squaredError(type, weights) / weights.reduce((sum, weight) => sum + weight ** 2, 0))).to.be.within(bound * 0.97, bound)
    })
  }

  it('is better than the largest weight at the end of the levels', function () {
    const weights = normal(8192, 4)
    expect(squaredError('Q4_0', weights)).to.be.below(0.9 * plainError(-8, 16, weights))
    expect(squaredError('Q5_0', weights)).to.be.below(0.9 * plainError(-16, 32, weights))
    expect(squaredError('Q3_32', weights)).to.be.below(0.82 * plainError(-4, 8, weights))
  })

  it('spends accuracy where it counts', function () {
    const weights = normal(8192, 5)
    const importance = Array.from({ length: 64 }, (_, i) => i % 8 === 0 ? 100 : 1)
    const blind = (type: TensorType) => {
      const decoded = dequantise(type, encodeBlocks(type, weights))
      return weights.reduce((sum, weight, i) => sum + importance[i % 64] * (weight - decoded[i]) ** 2, 0)
    }
    for (const type of ['Q3_32', 'Q4_0', 'Q4_1', 'Q5_0', 'Q5_1'] as const) {
      expect(squaredError(type, weights, importance), type).to.be.below(0.8 * blind(type))
    }
    // a block that counts for nothing is as if all of it counted
    const first = Array.from({ length: 64 }, (_, i) => i < 32 ? 0 : 1)
    expect(encodeBlocks('Q4_1', weights, { importance: first })).to.deep.equal(encodeBlocks('Q4_1', weights))
  })

  it('finds most of the scales again that made the weights', function () {
    for (const type of TYPES) {
      const first = normal(4096, 6)
      const weights = dequantise(type, encodeBlocks(type, first))
      expect(squaredError(type, weights), type).to.be.below(0.1 * squaredError(type, first))
    }
  })

  it('keeps zeros, and blocks of one value where a minimum can hold it', function () {
    for (const type of TYPES) expect(dequantise(type, encodeBlocks(type, new Float32Array(64))).every(value => value === 0), type).to.equal(true)
    for (const type of ['Q4_1', 'Q5_1'] as const) {
      expect([...new Set(dequantise(type, encodeBlocks(type, new Float32Array(32).fill(-0.75))))]).to.deep.equal([-0.75])
    }
  })

  it('takes any weights', function () {
    const float = fc.float({ noNaN: true, noDefaultInfinity: true, min: -65504, max: 65504 })
    fc.assert(fc.property(fc.array(float, { minLength: 32, maxLength: 32 }), fc.integer({ min: -40, max: 0 }), (numbers, exponent) => {
      const weights = Float32Array.from(numbers, number => number * 2 ** exponent)
      const size = weights.reduce((sum, weight) => sum + weight ** 2, 0)
      for (const type of TYPES) {
        const bytes = encodeBlocks(type, weights)
        expect(bytes.length).to.equal(32 / ELEMENT_TYPES[type].elements * ELEMENT_TYPES[type].bytes)
        // scales are multiples of 2^-24
        expect(squaredError(type, weights), type).to.be.at.most(size + 32 * (32 * 2 ** -24) ** 2)
      }
    }), { seed: 8, numRuns: 300 })
  })
})

describe('Q3_32', function () {
  it('has the levels that the lowest bit of the scale chooses', function () {
    const bytes = new Uint8Array(28)
    // 1 and the next float16, codes 0 … 7 four times
    bytes.set([0, 0x3c], 0)
    bytes.set([1, 0x3c], 14)
    const codes = [0b10001000, 0b11000110, 0b11111010]
    for (const at of [2, 16]) for (let i = 0; i < 12; i++) bytes[at + i] = codes[i % 3]
    const next = 1 + 2 ** -10
    expect(Array.from(dequantise('Q3_32', bytes))).to.deep.equal([
      ...[0, 1, 2, 3].flatMap(() => [-8, -6, -4, -2, 0, 2, 4, 6]), ...[0, 1, 2, 3].flatMap(() => [-7, -5, -3, -1, 1, 3, 5, 7].map(level => level * next))
    ])
  })
})

describe('Q8_8', function () {
  it('refuses ranks that are not whole blocks, other lengths, and scales that are not finite', function () {
    expect(() => decodeLeftFactor(new Uint8Array(9), 1, 12, 'l')).to.throw(RangeError, 'l: rank 12')
    expect(() => decodeLeftFactor(new Uint8Array(17), 1, 16)).to.throw(RangeError, '17 bytes')
    expect(() => decodeLeftFactor(Uint8Array.of(127, 1, 2, 3, 4, 5, 6, 7, 8, 255, 1, 2, 3, 4, 5, 6, 7, 8), 2, 8, 'l')).to.throw(NonFiniteWeightError, 'l: the scale of block 1')
  })

  it('takes the smallest power of two, as codes and exponents', function () {
    const weights = Float32Array.of(127, -127, 1, -1, 0.5, 1.5, 2.5, -126.5, 127.5, 0, 0, 0, 0, 0, 0, 0)
    const { codes, exponents } = decodeLeftFactor(encodeBlocks('Q8_8', weights), 1, 16)
    expect(Array.from(exponents)).to.deep.equal([127, 128])
    expect(Array.from(codes)).to.deep.equal([127, -127, 1, -1, 0, 2, 2, -126, 64, 0, 0, 0, 0, 0, 0, 0])
  })

  it('has the same values in both forms', function () {
    const bytes = encodeBlocks('Q8_8', normal(512, 9))
    const { codes, exponents } = decodeLeftFactor(bytes, 8, 64)
    expect(Array.from(dequantise('Q8_8', bytes))).to.deep.equal(Array.from(codes, (code, i) => code * 2 ** (exponents[i >> 3] - 127)))
  })
})

describe('nearest float16', function () {
  it('is the nearest of all, ties to even', function () {
    const half = halfTable()
    const positive = half.subarray(0, 0x7c00)
    fc.assert(fc.property(fc.double({ min: 0, max: 65519, noNaN: true }), fc.integer({ min: -40, max: 0 }), (value, exponent) => {
      const wanted = value * 2 ** exponent
      const pattern = nearestHalf(wanted)
      const distance = Math.abs(half[pattern] - wanted)
      for (const next of [pattern - 1, pattern + 1]) {
        if (next < 0 || next >= positive.length) continue
        const other = Math.abs(positive[next] - wanted)
        expect(distance < other || (distance === other && pattern % 2 === 0)).to.equal(true)
      }
      if (wanted > 0) expect(nearestHalf(-wanted)).to.equal(pattern | 0x8000)
    }), { seed: 10, numRuns: 2000 })
    expect([nearestHalf(65520), nearestHalf(-1e9), nearestHalf(0), nearestHalf(1)]).to.deep.equal([0x7c00, 0xfc00, 0, 0x3c00])
  })
})
