import { expect } from 'chai'
import { multiply } from '../../../src/engine/reference/matrix.ts'
import { nearestHalf, roundInPlace } from '../../../src/engine/reference/rounding.ts'
import { randomIntegers } from '../../support/random-weights.ts'

describe('reference: rounding', () => {
  it('rounds to the nearest float16, ties to even', () => {
    expect(nearestHalf(1 + 2 ** -11)).to.equal(1)
    expect(nearestHalf(1 + 3 * 2 ** -11)).to.equal(1 + 2 ** -9)
    expect(nearestHalf(-1 - 2 ** -10 - 2 ** -20)).to.equal(-1 - 2 ** -10)
    expect(nearestHalf(65519)).to.equal(65504)
    expect(nearestHalf(65520)).to.equal(Infinity)
    expect(nearestHalf(2 ** -25)).to.equal(0)
    expect(nearestHalf(2 ** -24 * 1.5)).to.equal(2 ** -23)
    expect(nearestHalf(2 ** -14 - 2 ** -26)).to.equal(2 ** -14)
    for (const same of [0, 1, -2.5, 65504, 2 ** -24, Infinity]) expect(nearestHalf(same)).to.equal(same)
  })

  it('rounds blocks to 127 steps of their largest element, each by itself', () => {
    const values = Float32Array.of(127, 63.4, -1.5, 0.49, 0.0127, -0.00634, 0, 0.00001)
    roundInPlace(values, 's8', 4)
    expect([...values.subarray(0, 4)]).to.deep.equal([127, 63, -2, 0])
    const scale = Math.fround(Math.fround(0.0127) / 127)
    expect([...values.subarray(4)]).to.deep.equal([127 * scale, -63 * scale, 0, 0].map(Math.fround))
    const zeros = new Float32Array(4)
    roundInPlace(zeros, 's8', 4)
    expect([...zeros]).to.deep.equal([0, 0, 0, 0])
  })
})

describe('reference: matrix product', () => {
  it('is the sum of products for every count of rows and outputs', () => {
    const next = randomIntegers(1)
    const random = (count: number) => Float32Array.from({ length: count }, () => next() % 200 / 100 - 1)
    for (const [rows, columns, count] of [[1, 1, 1], [5, 7, 3], [8, 32, 2], [3, 9, 5]]) {
      const values = random(rows * columns)
      const x = random(count * columns)
      const bias = random(rows)
      const out = multiply({ rows, columns, values }, x, count, bias)
      for (let r = 0; r < count; r++) {
        for (let n = 0; n < rows; n++) {
          let sum = 0
          for (let k = 0; k < columns; k++) sum += values[n * columns + k] * x[r * columns + k]
          expect(out[r * rows + n]).to.equal(Math.fround(sum + bias[n]))
        }
      }
    }
  })
})
