import { expect } from 'chai'
import fc from 'fast-check'
import { decodeBlocks, dequantise, ELEMENT_TYPES, NonFiniteWeightError, weightFormat } from '../../../src/model/index.ts'
import type { TensorType } from '../../../src/model/index.ts'
import { halfTable } from '../../../src/model/tensor/index.ts'
import { blockValues } from '../../support/block-values.ts'
import { randomBlocks } from '../../support/random-blocks.ts'

const LOSSLESS: TensorType[] = ['Q4_0', 'Q4_1', 'Q5_0', 'Q5_1', 'Q8_0', 'Q4_K', 'Q5_K', 'Q3_32']
const REQUANTISED: TensorType[] = ['Q6_K', 'F16', 'BF16', 'F32']

function bytesOf (values: ArrayLike<number>): Uint8Array {
  return new Uint8Array(Float32Array.from(values).buffer)
}

/** The rules of docs/numerics.md in the plainest form, one block at a time. */
function requantisePlainly (values: Float32Array): { codes: number[], scale: number } {
  const largest = Math.max(...values.map(Math.abs))
  const scale = halfTable().subarray(0, 0x7c00).find(half => half >= largest / 127)!
  const codes = Array.from(values, value => {
    if (scale === 0) return 128
    const exact = value / scale
    let code = Math.round(exact)
    if (Math.abs(exact - Math.trunc(exact)) === 0.5) code = 2 * Math.round(exact / 2)
    return 128 + Math.min(127, Math.max(-127, code))
  })
  return { codes, scale }
}

describe('decodeBlocks', function () {
  it('refuses columns that are not whole blocks', function () {
    expect(() => decodeBlocks('F32', new Uint8Array(4 * 48), 1, 48, 'x')).to.throw(RangeError, 'x: 48 columns are not a multiple of 32')
    expect(() => decodeBlocks('Q4_K', new Uint8Array(144), 8, 32, 'x')).to.throw(RangeError, '32 columns are not whole Q4_K blocks')
  })

  it('refuses bytes that do not fit rows and columns', function () {
    expect(() => decodeBlocks('Q4_0', new Uint8Array(18 * 3), 2, 64)).to.throw(RangeError, '54 bytes')
  })

  for (const type of [...LOSSLESS, 'Q6_K'] as TensorType[]) {
    it(`refuses scales of ${type} that are not finite, by the name of the tensor`, function () {
      const bytes = randomBlocks(type, 512)
      const at = type === 'Q6_K' ? 208 : 0
      bytes[at] = 0
      bytes[at + 1] = 0x7c
      expect(() => decodeBlocks(type, bytes, 1, 512, 'blk.0.x')).to.throw(NonFiniteWeightError, /^blk\.0\.x: /)
    })
  }

  it('refuses minimums that are not finite', function () {
    for (const type of ['Q4_1', 'Q5_1', 'Q4_K', 'Q5_K'] as const) {
      const bytes = randomBlocks(type, 256)
      bytes[2] = 1
      bytes[3] = 0x7c
      expect(() => decodeBlocks(type, bytes, 1, 256), type).to.throw(NonFiniteWeightError, 'minimum')
    }
  })

  it('refuses floats that are not finite or too large', function () {
    for (const bad of [NaN, Infinity, -Infinity]) {
      const values = new Array(64).fill(1)
      values[40] = bad
      expect(() => decodeBlocks('F32', bytesOf(values), 1, 64, 'w')).to.throw(NonFiniteWeightError, 'w: a weight of block 1')
    }
    const values = new Array(32).fill(0)
    values[3] = 127 * 65504 * 1.001
    expect(() => decodeBlocks('F32', bytesOf(values), 1, 32)).to.throw(NonFiniteWeightError, '65504')
    values[3] = 127 * 65504
    expect(decodeBlocks('F32', bytesOf(values), 1, 32).scales[0]).to.equal(65504)
  })

  for (const type of LOSSLESS) {
    it(`loses nothing of ${type}`, function () {
      const bytes = randomBlocks(type, 4096)
      const blocks = decodeBlocks(type, bytes, 8, 512)
      expect(blocks.format).to.equal(weightFormat(type))
      expect(blocks.minimums === null).to.equal(blocks.zero !== 0)
      // bits, so that the sign of zero counts too
      expect(new Uint32Array(blockValues(blocks).buffer)).to.deep.equal(new Uint32Array(dequantise(type, bytes).buffer))
    })
  }

  for (const type of REQUANTISED) {
    it(`requantises ${type} by the written rule, within half a scale`, function () {
      const bytes = randomBlocks(type, 4096, 99)
      // floats of a sensible size; random bits are mostly far outside float16
      if (type === 'F32' || type === 'BF16') for (let at = ELEMENT_TYPES[type].bytes - 1; at < bytes.length; at += ELEMENT_TYPES[type].bytes) bytes[at] = bytes[at] & 0x80 | 0x3c | bytes[at] & 3
      const values = dequantise(type, bytes)
      const { codes, scales, zero, minimums, format } = decodeBlocks(type, bytes, 8, 512)
      expect([format, zero, minimums]).to.deep.equal(['q8', 128, null])
      for (let block = 0; block < scales.length; block++) {
        const part = values.subarray(block * 32, block * 32 + 32)
        const expected = requantisePlainly(part)
        expect(scales[block]).to.equal(expected.scale)
        expect(Array.from(codes.subarray(block * 32, block * 32 + 32))).to.deep.equal(expected.codes)
      }
    })
  }

  it('keeps the bound of the error for any block of floats', function () {
    const float = fc.float({ noNaN: true, noDefaultInfinity: true, min: Math.fround(-8e6), max: Math.fround(8e6) })
    fc.assert(fc.property(fc.array(float, { minLength: 32, maxLength: 32 }), fc.integer({ min: -50, max: 0 }), (numbers, exponent) => {
      const values = Float32Array.from(numbers, number => number * 2 ** exponent)
      const { codes, scales: [scale] } = decodeBlocks('F32', bytesOf(values), 1, 32)
      const largest = Math.max(...values.map(Math.abs))
      expect(scale).to.be.at.least(largest / 127)
      expect(scale).to.be.at.most(largest / 127 * (1 + 2 ** -10) + 2 ** -24)
      values.forEach((value, i) => {
        expect(codes[i]).to.be.within(1, 255)
        // both sides are exact in binary64
        expect(Math.abs(value - scale * (codes[i] - 128))).to.be.at.most(scale / 2)
      })
    }), { seed: 2, numRuns: 1000 })
  })

  it('rounds ties to even and keeps blocks of zeros', function () {
    const values = new Array(64).fill(0)
    values[0] = 127
    ;[0.5, 1.5, 2.5, -0.5, -1.5, -2.5].forEach((value, i) => { values[i + 1] = value })
    const { codes, scales } = decodeBlocks('F32', bytesOf(values), 1, 64)
    expect(Array.from(scales)).to.deep.equal([1, 0])
    expect(Array.from(codes.subarray(0, 7))).to.deep.equal([255, 128, 130, 130, 128, 126, 126])
    expect(new Set(codes.subarray(32))).to.deep.equal(new Set([128]))
  })

  it('gives the same for a matrix and for its rows', function () {
    for (const type of [...LOSSLESS, ...REQUANTISED]) {
      const bytes = randomBlocks(type, 1024, 5)
      if (type === 'F32' || type === 'BF16') bytes.fill(0x3f)
      const whole = decodeBlocks(type, bytes, 4, 256)
      const rowBytes = bytes.length / 4
      for (let row = 0; row < 4; row++) {
        const one = decodeBlocks(type, bytes.subarray(row * rowBytes, (row + 1) * rowBytes), 1, 256)
        expect(one.codes).to.deep.equal(whole.codes.subarray(row * 256, row * 256 + 256))
        expect(one.scales).to.deep.equal(whole.scales.subarray(row * 8, row * 8 + 8))
      }
    }
  })
})
