import { expect } from 'chai'
import fc from 'fast-check'
import { fileURLToPath } from 'node:url'
import { openModel, readTensor } from '../../../src/model/index.ts'
import {
  DecompositionError, InvalidProblemError, frobeniusError, plainFactors, predictedError, randomisedSvd, reconstruct, subtract, transpose, truncatedSvd
} from '../../../src/svd/index.ts'
import type { Matrix, TruncatedSvd } from '../../../src/svd/index.ts'
import { expectOrthonormalColumns, matrixWithSpectrum, randomMatrix } from '../../support/matrices.ts'

/** √ of the squares that a truncated SVD leaves. */
function tail ({ values, energy }: TruncatedSvd): number {
  return Math.sqrt(Math.max(0, energy - values.reduce((sum, value) => sum + value ** 2, 0)))
}

function errorOf (matrix: Matrix, svd: TruncatedSvd): number {
  return frobeniusError(subtract(matrix, reconstruct(svd)))
}

describe('svd: truncated', () => {
  it('refuses ranks that there are not and values that are not finite', () => {
    expect(() => truncatedSvd(randomMatrix(3, 5, 1), { rank: 4 })).to.throw(InvalidProblemError)
    const broken = randomMatrix(4, 4, 1)
    broken.data[3] = NaN
    expect(() => truncatedSvd(broken, { rank: 2 })).to.throw(DecompositionError)
  })

  it('is the matrix at full rank, of any shape, and leaves the tail of its values at others', () => {
    const size = fc.integer({ min: 1, max: 24 })
    fc.assert(fc.property(size, size, fc.nat(1e6), (rows, columns, seed) => {
      const matrix = randomMatrix(rows, columns, seed)
      const full = truncatedSvd(matrix, { rank: Math.min(rows, columns) })
      expect(errorOf(matrix, full)).to.be.below(1e-12 * rows * columns)
      expectOrthonormalColumns(full.left)
      expectOrthonormalColumns(transpose(full.right))
      expect([...full.values]).to.deep.equal([...full.values].sort((a, b) => b - a))
      const half = truncatedSvd(matrix, { rank: Math.ceil(Math.min(rows, columns) / 2) })
      expect(errorOf(matrix, half)).to.be.closeTo(tail(half), 1e-6)
    }), { numRuns: 60, seed: 4 })
  })

  it('holds for matrices of zeros and of low rank', () => {
    expect([...truncatedSvd({ rows: 3, columns: 5, data: new Float64Array(15) }, { rank: 3 }).values]).to.deep.equal([0, 0, 0])
    const low = reconstruct(truncatedSvd(randomMatrix(9, 7, 2), { rank: 2 }))
    expect(truncatedSvd(low, { rank: 3 }).values[2]).to.be.below(1e-12)
  })
})

describe('svd: randomised', () => {
  it('refuses to go without power iterations', () => {
    const matrix = randomMatrix(8, 8, 1)
    for (const powerIterations of [0, -1, 0.5]) {
      expect(() => randomisedSvd(matrix, { rank: 2, seed: 1, powerIterations })).to.throw(InvalidProblemError, 'powerIterations')
    }
    expect(() => randomisedSvd(matrix, { rank: 2, seed: 1, oversampling: -1 })).to.throw(InvalidProblemError, 'oversampling')
    expect(() => randomisedSvd(matrix, { rank: 9, seed: 1 })).to.throw(InvalidProblemError, 'rank')
  })

  it('with two power iterations is within 2 % of the optimum, on spectra from flat to steep', function () {
    for (const decay of [0, 0.3, 0.6, 1]) {
      for (const [rows, columns] of [[96, 160], [160, 96]]) {
        const matrix = decay === 0 ? randomMatrix(rows, columns, 3) : matrixWithSpectrum(rows, columns, decay, 3)
        for (const [rank, seed] of [[8, 1], [16, 2], [16, 3]]) {
          const svd = randomisedSvd(matrix, { rank, seed, powerIterations: 2 })
          expectOrthonormalColumns(svd.left)
          expectOrthonormalColumns(transpose(svd.right))
          const optimum = tail(truncatedSvd(matrix, { rank }))
          expect(errorOf(matrix, svd)).to.be.within(optimum * (1 - 1e-9), optimum * 1.02)
        }
      }
    }
  })

  it('stays there at large ranks of real weights, whose spectra are the flattest', async function () {
    const model = await openModel(fileURLToPath(new URL('../../../models/sotu-4m', import.meta.url)))
    const tensor = model.unit(1).tensors.gate!
    const [rows, columns] = tensor.shape
    const matrix = { rows, columns, data: Float64Array.from(readTensor(tensor)) }
    const optima = plainFactors(matrix, { rank: 128 })
    for (const rank of [64, 128]) {
      const error = errorOf(matrix, randomisedSvd(matrix, { rank, seed: 1 }))
      expect(error).to.be.within(predictedError(optima, rank) * (1 - 1e-9), predictedError(optima, rank) * 1.02)
    }
  })

  it('comes closer with more iterations', () => {
    const matrix = matrixWithSpectrum(80, 120, 0.3, 5)
    const errors = [1, 2, 4, 8].map(powerIterations => errorOf(matrix, randomisedSvd(matrix, { rank: 24, seed: 6, oversampling: 4, powerIterations })))
    expect(errors).to.deep.equal([...errors].sort((a, b) => b - a))
    expect(errors[3]).to.be.below(errors[0])
  })

  it('is exact where the sketch is as wide as the matrix or its rank', () => {
    const matrix = randomMatrix(20, 12, 6)
    expect(errorOf(matrix, randomisedSvd(matrix, { rank: 12, seed: 1 }))).to.be.below(1e-10)
    const low = reconstruct(truncatedSvd(randomMatrix(40, 30, 2), { rank: 3 }))
    expect(errorOf(low, randomisedSvd(low, { rank: 3, seed: 1 }))).to.be.below(1e-10)
  })

  it('depends on its seed and on nothing else', () => {
    const matrix = randomMatrix(40, 30, 7)
    const run = (seed: number) => randomisedSvd(matrix, { rank: 4, seed })
    expect(run(1)).to.deep.equal(run(1))
    expect(run(1).values).not.to.deep.equal(run(2).values)
  })
})
