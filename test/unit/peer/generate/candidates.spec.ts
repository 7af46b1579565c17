import { expect } from 'chai'
import fc from 'fast-check'
import type { RowOutput, RowResult } from '../../../../src/engine/types.ts'
import { candidatesFromRow, sortLogits } from '../../../../src/peer/generate/candidates.ts'
import { InvalidRowResultError } from '../../../../src/peer/generate/index.ts'
import { answer, order } from './stub-session.ts'

describe('candidates', function () {
  const top: RowOutput = { kind: 'top', count: 3 }
  const good = (): RowResult => answer(Float32Array.from([1, 2, 2, 0, -1]), 0, top)

  const bad: Array<[string, (row: RowResult) => void]> = [
    ['no ids', row => { delete row.ids }],
    ['too few', row => { row.ids = row.ids?.subarray(1) }],
    ['too few values', row => { row.values = row.values?.subarray(1) }],
    ['an id out of range', row => { row.ids = Uint32Array.of(1, 2, 5) }],
    ['an id twice', row => { row.ids = Uint32Array.of(1, 2, 1) }],
    ['equal logits with the higher id first', row => { row.ids = Uint32Array.of(2, 1, 0) }],
    ['ascending values', row => { row.values = Float32Array.of(1, 2, 3) }],
    ['a NaN', row => { row.values = Float32Array.of(2, NaN, 1) }],
    ['an infinity', row => { row.values = Float32Array.of(Infinity, 2, 1) }],
    ['no log-sum-exp', row => { delete row.logSumExp }],
    ['a log-sum-exp that is no number', row => { row.logSumExp = NaN }]
  ]
  for (const [name, spoil] of bad) {
    it(`refuses ${name}`, function () {
      const row = good()
      spoil(row)
      expect(() => candidatesFromRow(row, top, 5)).to.throw(InvalidRowResultError)
    })
  }

  it('refuses the wrong number of logits and values that are not finite', function () {
    expect(() => candidatesFromRow({ row: 0, logits: new Float32Array(4) }, { kind: 'logits' }, 5)).to.throw(InvalidRowResultError)
    expect(() => candidatesFromRow({ row: 0 }, { kind: 'logits' }, 5)).to.throw(InvalidRowResultError)
    expect(() => sortLogits(Float32Array.of(1, NaN))).to.throw(InvalidRowResultError)
    expect(() => sortLogits(Float32Array.of(1, -Infinity))).to.throw(InvalidRowResultError)
  })

  it('takes what is in order', function () {
    const { ids, logits } = candidatesFromRow(good(), top, 5)
    expect([Array.from(ids), Array.from(logits)]).to.deep.equal([[1, 2, 0], [2, 2, 1]])
  })

  it('sorts like a comparison of logit and id', function () {
    const logit = fc.oneof(fc.float({ noNaN: true, noDefaultInfinity: true }), fc.constantFrom(0, -0, 1, -1, 3.4028234663852886e38, -1e-45))
    fc.assert(fc.property(fc.array(logit, { minLength: 1, maxLength: 200 }), values => {
      const logits = Float32Array.from(values)
      const sorted = sortLogits(logits)
      expect(Array.from(sorted.ids)).to.deep.equal(order(logits))
      expect(Array.from(sorted.logits)).to.deep.equal(order(logits).map(id => logits[id] + 0))
    }), { seed: 3 })
  })
})
