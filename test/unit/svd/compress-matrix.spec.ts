import { expect } from 'chai'
import { dequantise } from '../../../src/model/tensor/index.ts'
import { frobeniusError, subtract, weightedError } from '../../../src/svd/index.ts'
import { compressMatrix } from '../../../src/svd/compress/compress-matrix.ts'
import type { MatrixProblem } from '../../../src/svd/compress/compress-matrix.ts'
import { LEFT_TYPE, RIGHT_TYPE, storedBytes } from '../../../src/svd/compress/modes.ts'
import { chooseShrinkage } from '../../../src/svd/compress/shrinkage.ts'
import { surveyMatrix } from '../../../src/svd/compress/survey-matrix.ts'
import { randomIntegers } from '../../support/random-weights.ts'

const ROWS = 64
const COLUMNS = 96

/** Sums of four uniform numbers: nearly normal, and the same everywhere. */
function noise (seed: number): () => number {
  const next = randomIntegers(seed)
  const uniform = () => next() / 2 ** 32 - 0.5
  return () => uniform() + uniform() + uniform() + uniform()
}

/** G of some tokens that are mostly in a few directions, as those of a model are. */
function gram (tokens: number, seed: number): Float64Array {
  const random = noise(seed)
  const directions = noise(77)
  const basis = Array.from({ length: 6 }, () => Array.from({ length: COLUMNS }, directions))
  const result = new Float64Array(COLUMNS * COLUMNS)
  for (let token = 0; token < tokens; token++) {
    const strengths = basis.map((_, i) => random() * 4 / (i + 1))
    const x = Array.from({ length: COLUMNS }, (_, i) => 0.3 * random() + strengths.reduce((sum, strength, k) => sum + strength * basis[k][i], 0))
    x.forEach((a, i) => x.forEach((b, j) => { result[i * COLUMNS + j] += a * b }))
  }
  return result
}

function problem (shrinkage = 0): MatrixProblem {
  const random = noise(5)
  return { rows: ROWS, columns: COLUMNS, weights: Float32Array.from({ length: ROWS * COLUMNS }, random), gram: gram(500, 9), shrinkage }
}

const matrix = (data: ArrayLike<number>) => ({ rows: ROWS, columns: COLUMNS, data: Float64Array.from(data) })

describe('svd/compress, a matrix', () => {
  const p = problem()
  const g = { rows: COLUMNS, columns: COLUMNS, data: p.gram }
  const weights = matrix(p.weights)

  it('states the errors of what its bytes mean', () => {
    for (const recipe of [{ bases: ['Q8_0'] as const, rank: 0 }, { bases: ['Q4_0', 'Q4_1'] as const, rank: 16 }, { bases: [], rank: 24 }]) {
      const { base, lowRank, decoded, errors } = compressMatrix(p, { ...recipe, whitened: true })
      const values = base === null ? new Float32Array(ROWS * COLUMNS) : dequantise(base.type, base.bytes)
      if (lowRank !== null) {
        const left = dequantise(LEFT_TYPE, lowRank.left)
        const right = dequantise(RIGHT_TYPE, lowRank.right)
        expect([left.length, right.length]).to.deep.equal([ROWS * recipe.rank, recipe.rank * COLUMNS])
        for (let i = 0; i < ROWS; i++) {
          for (let j = 0; j < COLUMNS; j++) {
            let sum = 0
            for (let k = 0; k < recipe.rank; k++) sum += left[i * recipe.rank + k] * right[k * COLUMNS + j]
            values[i * COLUMNS + j] += sum
          }
        }
      }
      expect(lowRank === null).to.equal(recipe.rank === 0)
      decoded.forEach((value, i) => expect(value).to.be.closeTo(values[i], 1e-5))
      const difference = subtract(weights, matrix(decoded))
      expect(errors.weighted).to.be.closeTo(weightedError(difference, g) / weightedError(weights, g), 1e-6)
      expect(errors.frobenius).to.be.closeTo(frobeniusError(difference) / frobeniusError(weights), 1e-6)
      const bytes = (base?.bytes.length ?? 0) + (lowRank === null ? 0 : lowRank.left.length + lowRank.right.length)
      expect(bytes).to.equal(storedBytes(ROWS, COLUMNS, base?.type ?? null, recipe.rank))
    }
  })

  it('gets better with rank, and by much where activations are uneven', () => {
    const errors = [0, 8, 16, 32].map(rank => compressMatrix(p, { bases: ['Q4_0'], rank, whitened: true }).errors.weighted)
    for (let i = 1; i < errors.length; i++) expect(errors[i]).to.be.below(errors[i - 1])
    expect(errors[1]).to.be.below(errors[0] / 2)
    // truncation that ignores activations hardly helps: what a base leaves is noise
    expect(compressMatrix(p, { bases: ['Q4_0'], rank: 8, whitened: false }).errors.weighted).to.be.above(errors[0] / 2)
  })

  it('keeps the better of both orders', () => {
    const steep = noise(3)
    // strong directions of the weights themselves, which a base would spend its codes on
    const left = Array.from({ length: ROWS }, () => [steep(), steep()])
    const right = Array.from({ length: 2 }, () => Array.from({ length: COLUMNS }, steep))
    const strong = { ...p, weights: p.weights.map((value, i) => value * 0.05 + 8 * (left[Math.floor(i / COLUMNS)][0] * right[0][i % COLUMNS] + left[Math.floor(i / COLUMNS)][1] * right[1][i % COLUMNS])) }
    expect(compressMatrix(strong, { bases: ['Q4_0'], rank: 8, whitened: true }).order).to.equal('low rank first')
    expect(compressMatrix(p, { bases: ['Q4_0'], rank: 0, whitened: true }).order).to.equal(null)
  })

  it('takes the element type of a mode that serves best', () => {
    // all weights of a sign: a type with a minimum has a bit more
    const positive = { ...p, weights: p.weights.map(value => 2 + value) }
    expect(compressMatrix(positive, { bases: ['Q4_0', 'Q4_1'], rank: 0, whitened: true }).base?.type).to.equal('Q4_1')
  })

  it('stores zeros without an error', () => {
    const zeros = { ...p, weights: new Float32Array(ROWS * COLUMNS) }
    const { errors, decoded } = compressMatrix(zeros, { bases: ['Q4_0'], rank: 8, whitened: true })
    expect(errors).to.deep.equal({ weighted: 0, frobenius: 0 })
    expect(decoded.every(value => value === 0)).to.equal(true)
  })

  it('predicts in the survey what compression finds', () => {
    const choices = surveyMatrix(p, { ranks: [8, 16], corrected: ['q4'] })
    for (const { mode, base, rank, error, bytes } of choices) {
      expect(bytes).to.equal(storedBytes(ROWS, COLUMNS, base, rank))
      const found = compressMatrix(p, { bases: base === null ? [] : [base], rank, whitened: true }).errors.weighted
      // the survey knows no rounding of factors, and no turns of base and factors
      expect(Math.sqrt(error) / found, `${mode} ${rank}`).to.be.within(rank === 0 ? 1 - 1e-9 : 0.7, rank === 0 ? 1 + 1e-9 : 1.3)
    }
    for (const mode of ['q4+svd', 'svd']) expect(choices.filter(choice => choice.mode === mode).map(({ rank }) => rank), mode).to.deep.equal([8, 16])
  })
})

describe('svd/compress, shrinkage', () => {
  const weights = problem().weights
  const heldOutGram = gram(2000, 1234)

  it('shrinks what few tokens say, and leaves what many say nearly alone', () => {
    const amounts = [12, 4000].map(tokens => chooseShrinkage({ rows: ROWS, columns: COLUMNS, weights, gram: gram(tokens, 9), heldOutGram, base: null }).amount)
    expect(amounts[0]).to.be.above(0)
    expect(amounts[1]).to.be.below(amounts[0])
  })

  it('chooses the least error on held-out text, which is not that of the calibration text', () => {
    const { amount, errors } = chooseShrinkage({ rows: ROWS, columns: COLUMNS, weights, gram: gram(12, 9), heldOutGram, base: 'Q4_0' })
    expect(errors.find(entry => entry.amount === amount)!.error).to.equal(Math.min(...errors.map(({ error }) => error)))
    const onItself = chooseShrinkage({ rows: ROWS, columns: COLUMNS, weights, gram: gram(12, 9), heldOutGram: gram(12, 9), base: 'Q4_0' })
    expect(onItself.amount).to.equal(0)
  })
})
