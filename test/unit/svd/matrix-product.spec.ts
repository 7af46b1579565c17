import { expect } from 'chai'
import fc from 'fast-check'
import { matrixProduct } from '../../../src/svd/product/index.ts'
import type { DenseMatrix } from '../../../src/svd/product/index.ts'

function matrix (rows: number, columns: number, seed: number): DenseMatrix {
  let state = seed + 1
  const next = () => (state = Math.imul(state, 1664525) + 1013904223 | 0) / 2 ** 31
  return { rows, columns, data: Float64Array.from({ length: rows * columns }, next) }
}

function transposed ({ rows, columns, data }: DenseMatrix): DenseMatrix {
  return { rows: columns, columns: rows, data: Float64Array.from(data, (_, i) => data[i % rows * columns + Math.floor(i / rows)]) }
}

/** Sum over ascending inner indices, one after another. */
function direct (a: DenseMatrix, b: DenseMatrix): Float64Array {
  return Float64Array.from({ length: a.rows * b.columns }, (_, at) => {
    const [row, column] = [Math.floor(at / b.columns), at % b.columns]
    let sum = 0
    for (let k = 0; k < a.columns; k++) sum += a.data[row * a.columns + k] * b.data[k * b.columns + column]
    return sum
  })
}

function expectClose (actual: Float64Array, wanted: Float64Array): void {
  expect(actual.length).to.equal(wanted.length)
  wanted.forEach((value, i) => expect(Math.abs(actual[i] - value)).to.be.below(1e-12 * 600))
}

describe('svd/product', () => {
  it('refuses operands that do not fit together', () => {
    expect(() => matrixProduct(matrix(2, 3, 1), matrix(2, 3, 2))).to.throw(RangeError)
  })

  it('gives the direct sums for any sizes and transpositions', () => {
    const size = fc.integer({ min: 1, max: 23 })
    fc.assert(fc.property(size, size, size, fc.nat(1000), fc.boolean(), fc.boolean(), (rows, inner, columns, seed, transposeA, transposeB) => {
      const a = matrix(rows, inner, seed)
      const b = matrix(inner, columns, seed + 1)
      const product = matrixProduct(transposeA ? transposed(a) : a, transposeB ? transposed(b) : b, { transposeA, transposeB })
      expect([product.rows, product.columns]).to.deep.equal([rows, columns])
      expectClose(product.data, direct(a, b))
    }), { numRuns: 200, seed: 1 })
  })

  it('gives the direct sums where the inner size takes several passes, and after a larger product', () => {
    const large = matrix(90, 1100, 3)
    expectClose(matrixProduct(large, matrix(1100, 70, 4)).data, direct(large, matrix(1100, 70, 4)))
    const small = matrix(5, 7, 5)
    expectClose(matrixProduct(small, matrix(7, 3, 6)).data, direct(small, matrix(7, 3, 6)))
  })
})
