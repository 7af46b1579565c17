import { expect } from 'chai'
import fc from 'fast-check'
import { CompressionOptionError, MATRIX_MODES } from '../../../src/svd/index.ts'
import type { FixedPlan } from '../../../src/svd/index.ts'
import { checkFixedPlan, fixedMode, mostRank, partsOf, storedBytes } from '../../../src/svd/compress/modes.ts'
import { checkRanges } from '../../../src/svd/compress/plan-choices.ts'

const fixed = (plan: Omit<FixedPlan, 'kind'>): FixedPlan => ({ kind: 'fixed', ...plan })

describe('svd/compress, plans', () => {
  const refused: Array<[string, FixedPlan]> = [
    ['a mode that is none', fixed({ mode: 'q2' as 'q3' })],
    ['a rank of a mode without factors', fixed({ mode: 'q4', rank: 16 })],
    ['a rank that is no multiple of 8', fixed({ mode: 'q4+svd', rank: 12 })],
    ['a rank of nothing', fixed({ mode: 'q4+svd', rank: 0 })],
    ['svd without a rank', fixed({ mode: 'svd' })],
    ['a share beside a base', fixed({ mode: 'q4+svd', parameterShare: 0.5 })],
    ['a share and a rank', fixed({ mode: 'svd', rank: 8, parameterShare: 0.5 })],
    ['a share above one', fixed({ mode: 'svd', parameterShare: 1.5 })],
    ['plain factors of a mode that has none', fixed({ mode: 'q8', whitened: false })]
  ]
  for (const [name, plan] of refused) {
    it(`refuses ${name}`, () => { expect(() => checkFixedPlan(plan)).to.throw(CompressionOptionError) })
  }

  it('takes every mode there is', () => {
    for (const mode of MATRIX_MODES) checkFixedPlan(fixed({ mode, rank: partsOf(mode).factors ? 16 : undefined }))
  })

  it('keeps a matrix dense where its factors would be no smaller', () => {
    fc.assert(fc.property(fc.integer({ min: 1, max: 64 }), fc.integer({ min: 1, max: 64 }), fc.integer({ min: 1, max: 40 }), (a, b, k) => {
      const [rows, columns, rank] = [a * 32, b * 32, k * 8]
      const chosen = fixedMode(fixed({ mode: 'svd', rank }), rows, columns)
      expect(chosen).to.deep.equal(rank * (rows + columns) < rows * columns ? { mode: 'svd', rank } : { mode: 'q8', rank: 0 })
      const corrected = fixedMode(fixed({ mode: 'q4+svd', rank }), rows, columns)
      expect(corrected.rank).to.equal(Math.min(rank, mostRank(rows, columns)))
      expect(corrected.rank * (rows + columns)).to.be.below(rows * columns)
    }), { seed: 1 })
  })

  it('gives a share of the parameters in multiples of 8', () => {
    // break-even is 418
    expect(fixedMode(fixed({ mode: 'svd', parameterShare: 0.5 }), 576, 1536)).to.deep.equal({ mode: 'svd', rank: 208 })
    expect(fixedMode(fixed({ mode: 'svd', parameterShare: 0.001 }), 576, 1536)).to.deep.equal({ mode: 'svd', rank: 8 })
  })

  it('counts the bytes of base and factors', () => {
    expect(storedBytes(64, 96, 'Q8_0', 0)).to.equal(64 * 96 / 32 * 34)
    // left: 64 × 8 in blocks of 8, right: 8 × 96 in blocks of 32
    expect(storedBytes(64, 96, null, 8)).to.equal(64 * 9 + 8 * 3 * 34)
    expect(storedBytes(64, 96, 'Q4_0', 16)).to.equal(64 * 3 * 18 + 64 * 2 * 9 + 16 * 3 * 34)
  })

  it('refuses budgets that leave units out or count them twice', () => {
    const ranges = (...parts: number[][]) => ({ kind: 'range-budgets' as const, ranges: parts.map(([from, to, bytes = 1]) => ({ from, to, bytes })) })
    checkRanges(ranges([4, 10], [0, 4]), 10)
    checkRanges({ kind: 'budget', bytes: 1 }, 10)
    for (const plan of [ranges([0, 4], [5, 10]), ranges([0, 5], [4, 10]), ranges([0, 9]), ranges([0, 11]), ranges([0, 0], [0, 10]), ranges([0, 10, 0]), ranges([0, 10, NaN]), ranges()]) {
      expect(() => checkRanges(plan, 10), JSON.stringify(plan)).to.throw(CompressionOptionError)
    }
  })
})
