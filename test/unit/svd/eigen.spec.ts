import { expect } from 'chai'
import fc from 'fast-check'
import { EigenvalueDecomposition, Matrix as LibraryMatrix } from 'ml-matrix'
import { topEigenpairs } from '../../../src/svd/eigen/index.ts'
import { DecompositionError, InvalidProblemError, matrixProduct, transpose } from '../../../src/svd/index.ts'
import type { Matrix } from '../../../src/svd/index.ts'
import { expectOrthonormalColumns, gramOf, randomInputs, randomMatrix } from '../../support/matrices.ts'

function symmetric (size: number, value: (row: number, column: number) => number): Matrix {
  return { rows: size, columns: size, data: Float64Array.from({ length: size * size }, (_, i) => value(Math.floor(i / size), i % size)) }
}

/** Eigenpairs are those of the matrix, the largest ones, and orthonormal. */
function check (matrix: Matrix, count: number): void {
  const { values, vectors } = topEigenpairs(matrix, count)
  const library = new EigenvalueDecomposition(LibraryMatrix.from1DArray(matrix.rows, matrix.columns, matrix.data), { assumeSymmetric: true })
  const wanted = library.realEigenvalues.sort((a, b) => b - a)
  const size = Math.max(...wanted.map(Math.abs))
  expect(values.length).to.equal(count)
  values.forEach((value, i) => expect(Math.abs(value - wanted[i])).to.be.at.most(1e-13 * matrix.rows * size))
  expectOrthonormalColumns(transpose(vectors))
  const images = matrixProduct(vectors, matrix)
  images.data.forEach((value, i) => {
    expect(Math.abs(value - values[Math.floor(i / matrix.rows)] * vectors.data[i])).to.be.at.most(1e-12 * size)
  })
}

describe('svd: eigenvalues', () => {
  it('refuses more pairs than there are, none, and what is not finite', () => {
    expect(() => topEigenpairs(randomMatrix(3, 3, 1), 4)).to.throw(InvalidProblemError)
    expect(() => topEigenpairs(randomMatrix(3, 3, 1), 0)).to.throw(InvalidProblemError)
    for (const value of [NaN, Infinity]) {
      expect(() => topEigenpairs(symmetric(4, (row, column) => row === 3 && column === 1 ? value : 1), 2)).to.throw(DecompositionError)
    }
  })

  it('agrees with ml-matrix on random symmetric matrices', () => {
    fc.assert(fc.property(fc.integer({ min: 1, max: 40 }), fc.nat(1e6), fc.double({ min: 0, max: 1, noNaN: true }), (size, seed, share) => {
      const half = randomMatrix(size, size, seed)
      check(symmetric(size, (row, column) => half.data[row * size + column] + half.data[column * size + row]), Math.max(1, Math.ceil(share * size)))
    }), { numRuns: 60, seed: 1 })
  })

  it('agrees with ml-matrix on 200 × 200 with a long tail of small eigenvalues', () => {
    check(gramOf(randomInputs(200, 260, 5)), 48)
  })

  it('finds all vectors of equal eigenvalues', () => {
    check(symmetric(12, (row, column) => row === column ? 1 : 0), 12)
    check(symmetric(12, (row, column) => row === column ? 1 + row % 3 : 0), 9)
    // 1 once and 0 many times, and a matrix that falls apart into equal blocks
    check(symmetric(30, () => 1 / 30), 30)
    check(symmetric(30, (row, column) => Math.floor(row / 3) === Math.floor(column / 3) ? 1 + (row % 3) * (column % 3) : 0), 30)
  })

  it('holds for matrices of zeros, of low rank, and of very different sizes', () => {
    check(symmetric(7, () => 0), 7)
    check(gramOf(randomMatrix(40, 5, 3)), 20)
    check(symmetric(20, (row, column) => 10 ** -(row + column)), 20)
    // Wilkinson's W21+: pairs of eigenvalues that agree to 14 digits
    check(symmetric(21, (row, column) => row === column ? Math.abs(row - 10) : Math.abs(row - column) === 1 ? 1 : 0), 21)
  })

  it('does not depend on the scale, squares beyond all numbers included', () => {
    const matrix = gramOf(randomInputs(20, 30, 4))
    const { values, vectors } = topEigenpairs(matrix, 5)
    for (const scale of [2 ** -900, 2 ** 900]) {
      const scaled = topEigenpairs({ ...matrix, data: matrix.data.map(value => value * scale) }, 5)
      expect(scaled.vectors).to.deep.equal(vectors)
      expect(scaled.values).to.deep.equal(values.map(value => value * scale))
    }
  })

  it('gives the same bits every time', () => {
    const matrix = gramOf(randomInputs(60, 80, 9))
    expect(topEigenpairs(matrix, 16)).to.deep.equal(topEigenpairs(matrix, 16))
  })
})
