import { expect } from 'chai'
import fc from 'fast-check'
import {
  DecompositionError, InvalidProblemError, frobeniusError, lowRankProduct, matrixProduct, plainFactors, predictedError, residualFactors,
  shrinkGram, subtract, truncateFactors, truncatedSvd, weightedError, whitenedFactors
} from '../../../src/svd/index.ts'
import type { Factors, Matrix } from '../../../src/svd/index.ts'
import {
  choleskyApproximation, expectOrthonormalColumns, gramOf, matrixWithSpectrum, randomInputs, randomMatrix, relativeDifference
} from '../../support/matrices.ts'

/** Sizes of all three kinds: wide, square, tall. */
const sizes = fc.tuple(fc.integer({ min: 2, max: 30 }), fc.integer({ min: 2, max: 30 }))

/** Predicted errors of all ranks against measured ones, relative to 1e-6; both are rounding below 1e-7 of the whole. */
function expectPredicted (factors: Factors, measure: (approximation: Matrix) => number): void {
  for (let rank = 1; rank <= factors.spectrum.length; rank++) {
    const prefix = truncateFactors(factors, rank)
    const measured = measure(lowRankProduct(prefix))
    expect(Math.abs(predictedError(prefix) - measured)).to.be.at.most(1e-6 * measured + 1e-7 * Math.sqrt(factors.energy))
    expect(predictedError(factors, rank)).to.equal(predictedError(prefix))
  }
}

describe('svd: whitened factors', () => {
  const matrix = randomMatrix(10, 14, 1)
  const gram = gramOf(randomInputs(14, 40, 2))

  it('refuses sizes that do not fit, ranks that there are not, and values that are not finite', () => {
    expect(() => whitenedFactors(matrix, gramOf(randomInputs(10, 40, 2)), { rank: 2 })).to.throw(InvalidProblemError, 'gram')
    expect(() => whitenedFactors(matrix, randomMatrix(13, 14, 1), { rank: 2 })).to.throw(InvalidProblemError, 'gram')
    expect(() => whitenedFactors({ ...matrix, rows: 11 }, gram, { rank: 2 })).to.throw(InvalidProblemError, 'matrix')
    for (const rank of [0, 11, 1.5, NaN]) expect(() => whitenedFactors(matrix, gram, { rank })).to.throw(InvalidProblemError, 'rank')
    for (const [rows, columns] of [[6, 9], [9, 6]]) {
      const broken = randomMatrix(rows, columns, 1)
      broken.data[7] = NaN
      const whole = gramOf(randomInputs(columns, 40, 2))
      expect(() => whitenedFactors(broken, whole, { rank: 2 })).to.throw(DecompositionError)
      expect(() => plainFactors(broken, { rank: 2 })).to.throw(DecompositionError)
      whole.data[columns + 1] = Infinity
      expect(() => whitenedFactors(randomMatrix(rows, columns, 1), whole, { rank: 2 })).to.throw(DecompositionError)
    }
    expect(() => predictedError(whitenedFactors(matrix, gram, { rank: 3 }), 4)).to.throw(InvalidProblemError)
    expect(() => truncateFactors(whitenedFactors(matrix, gram, { rank: 3 }), 0)).to.throw(InvalidProblemError)
  })

  it('leave the error that their spectrum predicts, at every rank, whether G is singular or not', () => {
    fc.assert(fc.property(sizes, fc.nat(1e6), fc.integer({ min: 1, max: 60 }), ([rows, columns], seed, tokens) => {
      const matrix = randomMatrix(rows, columns, seed)
      const gram = gramOf(randomInputs(columns, tokens, seed + 1))
      const factors = whitenedFactors(matrix, gram, { rank: Math.min(rows, columns) })
      expectOrthonormalColumns(factors.left)
      expect(relativeDifference(factors.right, matrixProduct(factors.left, matrix, { transposeA: true }))).to.be.below(1e-12)
      expectPredicted(factors, approximation => weightedError(subtract(matrix, approximation), gram))
    }), { numRuns: 60, seed: 2 })
  })

  it('agree with the approximation by way of Cholesky to 1e-8', () => {
    let compared = 0
    fc.assert(fc.property(sizes, fc.nat(1e6), fc.double({ min: 0, max: 1, noNaN: true }), ([rows, columns], seed, share) => {
      const matrix = randomMatrix(rows, columns, seed)
      const gram = gramOf(randomInputs(columns, columns * 3, seed + 1))
      const most = Math.min(rows, columns)
      const rank = Math.max(1, Math.ceil(share * (most - 1)))
      const { spectrum } = whitenedFactors(matrix, gram, { rank: most })
      // between equal singular values the best approximation is not unique
      fc.pre(spectrum[rank - 1] > 1.01 * spectrum[rank])
      compared++
      const approximation = lowRankProduct(whitenedFactors(matrix, gram, { rank }))
      expect(relativeDifference(approximation, choleskyApproximation(matrix, gram, rank))).to.be.below(1e-8)
    }), { numRuns: 60, seed: 3 })
    expect(compared).to.be.above(50)
  })

  it('are the optimum for a singular G: the tail of the singular values of W·X', () => {
    for (const [rows, columns] of [[12, 20], [20, 12], [16, 16]]) {
      const matrix = randomMatrix(rows, columns, 4)
      const inputs = randomInputs(columns, 9, 5)
      const { values } = truncatedSvd(matrixProduct(matrix, inputs), { rank: 9 })
      const factors = whitenedFactors(matrix, gramOf(inputs), { rank: 12 })
      for (let rank = 0; rank < 9; rank++) {
        const tail = Math.sqrt(values.slice(rank).reduce((sum, value) => sum + value ** 2, 0))
        expect(predictedError(factors, rank)).to.be.closeTo(tail, 1e-9 * tail)
      }
      // nine directions are all there is
      expect(weightedError(subtract(matrix, lowRankProduct(factors)), gramOf(inputs))).to.be.below(1e-6)
    }
  })

  it('hold for activations that are all zero and for matrices of zeros', () => {
    for (const [rows, columns] of [[5, 8], [8, 5]]) {
      const nothing = { rows: columns, columns, data: new Float64Array(columns * columns) }
      const matrix = randomMatrix(rows, columns, 4)
      const factors = whitenedFactors(matrix, nothing, { rank: 3 })
      expectOrthonormalColumns(factors.left)
      expect(predictedError(factors)).to.equal(0)
      const zero = { rows, columns, data: new Float64Array(rows * columns) }
      const ofZero = whitenedFactors(zero, gramOf(randomInputs(columns, 20, 1)), { rank: 3 })
      expectOrthonormalColumns(ofZero.left)
      expect(predictedError(ofZero)).to.equal(0)
      expect(lowRankProduct(ofZero).data.every(value => value === 0)).to.equal(true)
    }
  })

  it('are nested: factors of a smaller rank are a prefix of those of a larger', () => {
    const wide = whitenedFactors(matrix, gram, { rank: 9 })
    for (const rank of [1, 4, 8]) {
      const own = lowRankProduct(whitenedFactors(matrix, gram, { rank }))
      expect(relativeDifference(lowRankProduct(truncateFactors(wide, rank)), own)).to.be.below(1e-9)
    }
  })

  it('of a residual mend a quantised base best', () => {
    const base = { ...matrix, data: matrix.data.map(value => Math.round(value * 4) / 4) }
    const factors = residualFactors(matrix, base, gram, { rank: 4 })
    const rest = subtract(matrix, base)
    const left = (approximation: Matrix) => weightedError(subtract(rest, approximation), gram)
    expectPredicted(factors, left)
    expect(left(lowRankProduct(factors))).to.be.below(0.9 * weightedError(rest, gram))
    expect(left(lowRankProduct(factors))).to.be.below(left(lowRankProduct(plainFactors(rest, { rank: 4 }))))
  })

  it('reports progress that rises to 1', () => {
    const shares: number[] = []
    whitenedFactors(matrix, gram, { rank: 4, onProgress: share => shares.push(share) })
    expect(shares.length).to.be.above(5)
    expect(shares).to.deep.equal([...shares].sort((a, b) => a - b))
    expect(shares.at(-1)).to.equal(1)
  })

  describe('plain, for comparison', () => {
    it('are the truncated SVD, with its error', () => {
      for (const [rows, columns] of [[12, 20], [20, 12]]) {
        const matrix = matrixWithSpectrum(rows, columns, 0.5, 7)
        const factors = plainFactors(matrix, { rank: 8 })
        expectOrthonormalColumns(factors.left)
        expectPredicted(factors, approximation => frobeniusError(subtract(matrix, approximation)))
        truncatedSvd(matrix, { rank: 8 }).values.forEach((value, i) => expect(factors.spectrum[i]).to.be.closeTo(value, 1e-12))
      }
    })

    it('are worse at the outputs than whitened ones, which are worse at the weights', () => {
      const plain = subtract(matrix, lowRankProduct(plainFactors(matrix, { rank: 4 })))
      const whitened = subtract(matrix, lowRankProduct(whitenedFactors(matrix, gram, { rank: 4 })))
      expect(weightedError(whitened, gram)).to.be.below(0.8 * weightedError(plain, gram))
      expect(frobeniusError(plain)).to.be.below(frobeniusError(whitened))
    })
  })
})

describe('svd: errors', () => {
  it('refuse what does not fit or is not finite', () => {
    expect(() => weightedError(randomMatrix(2, 3, 1), gramOf(randomInputs(2, 9, 1)))).to.throw(InvalidProblemError)
    const broken = randomMatrix(3, 3, 1)
    broken.data[4] = NaN
    expect(() => weightedError(broken, gramOf(randomInputs(3, 9, 1)))).to.throw(DecompositionError)
    expect(() => weightedError(randomMatrix(3, 3, 1), broken)).to.throw(DecompositionError)
    expect(() => frobeniusError(broken)).to.throw(DecompositionError)
  })

  it('are the norms of what they say, below and above the width of a block', () => {
    for (const [rows, columns] of [[1, 1], [5, 7], [3, 191], [2, 192], [4, 193], [3, 400]]) {
      const difference = randomMatrix(rows, columns, 1)
      const inputs = randomInputs(columns, 11, 2)
      const wanted = frobeniusError(matrixProduct(difference, inputs))
      expect(weightedError(difference, gramOf(inputs))).to.be.closeTo(wanted, 1e-12 * wanted)
      expect(frobeniusError(difference)).to.be.closeTo(Math.hypot(...difference.data), 1e-12)
    }
  })
})

describe('svd: shrinkGram', () => {
  const gram = gramOf(randomInputs(6, 4, 3))

  it('refuses amounts outside 0 to 1, and what is not square', () => {
    for (const amount of [-0.1, 1.1, NaN]) expect(() => shrinkGram(gram, amount)).to.throw(InvalidProblemError)
    expect(() => shrinkGram(randomMatrix(2, 3, 1), 0.5)).to.throw(InvalidProblemError)
  })

  it('keeps the diagonal and scales the rest', () => {
    expect(shrinkGram(gram, 0)).to.deep.equal(gram)
    const half = shrinkGram(gram, 0.5)
    half.data.forEach((value, i) => expect(value).to.equal(gram.data[i] * (i % 7 === 0 ? 1 : 0.5)))
  })

  it('makes a singular G regular', () => {
    const matrix = randomMatrix(6, 6, 8)
    expect(whitenedFactors(matrix, gram, { rank: 6 }).spectrum[5]).to.be.below(1e-6)
    expect(whitenedFactors(matrix, shrinkGram(gram, 0.5), { rank: 6 }).spectrum[5]).to.be.above(1e-3)
  })
})
