import { expect } from 'chai'
import fc from 'fast-check'
import { chooseHandOver, handOverSeconds, InvalidPlanOptionError } from '../../../src/partition/index.ts'

const init = { positions: 1024, keyValueBytesPerPosition: 16384, hiddenBytesPerPosition: 8192, bytesPerSecond: 32e9, prefillPositionsPerSecond: 312e12 / (4 * 4096 ** 2) }

describe('partition: hand-over of a session', () => {
  for (const [field, value] of [
    ['positions', -1], ['positions', 1.5], ['bytesPerSecond', 0], ['prefillPositionsPerSecond', NaN],
    ['keyValueBytesPerPosition', Infinity], ['hiddenBytesPerPosition', -1], ['chunkPositions', 0]
  ] as const) {
    it(`refuses ${field} of ${value}`, () => {
      expect(() => chooseHandOver({ ...init, [field]: value })).to.throw(InvalidPlanOptionError).with.property('field', field)
    })
  }

  it('gives what KVPR gives for its constants: 0.704 of the positions, 35.2 % less time', () => {
    const { method, split, predictedSeconds, predictions } = chooseHandOver(init)
    expect(method).to.equal('split')
    expect(split / 1024).to.be.closeTo(0.704, 0.002)
    expect(1 - predictedSeconds / predictions.transfer).to.be.closeTo(0.352, 0.001)
  })

  it('transfers where hidden state is no smaller than the KV cache: a range of one layer with few KV heads', () => {
    expect(chooseHandOver({ ...init, hiddenBytesPerPosition: 16384 })).to.include({ method: 'transfer', split: 0 })
  })

  it('replays nearly all over a slow link, where computing is as nothing', () => {
    const { split, predictions } = chooseHandOver({ ...init, bytesPerSecond: 1e6 })
    expect(split).to.equal(1024)
    expect(predictions.replay).to.be.below(predictions.transfer * 0.51)
  })

  it('has nothing to do for a session without positions', () => {
    expect(chooseHandOver({ ...init, positions: 0 })).to.include({ split: 0, predictedSeconds: 0 })
  })

  it('finds the split that trying all finds, with and without chunks', () => {
    const rate = fc.double({ min: 0.1, max: 1e4, noNaN: true })
    fc.assert(fc.property(fc.nat(300), rate, rate, rate, rate, fc.option(fc.integer({ min: 1, max: 400 }), { nil: undefined }), (positions, k, h, b, p, chunkPositions) => {
      const options = { positions, keyValueBytesPerPosition: k, hiddenBytesPerPosition: h, bytesPerSecond: b, prefillPositionsPerSecond: p, chunkPositions }
      const { split, predictedSeconds, predictions } = chooseHandOver(options)
      const best = Math.min(...Array.from({ length: positions + 1 }, (_, l) => handOverSeconds(options, l)))
      expect(predictedSeconds).to.be.closeTo(best, best * 1e-9)
      expect(predictedSeconds).to.equal(handOverSeconds(options, split))
      expect(predictedSeconds).to.be.at.most(Math.min(predictions.replay, predictions.transfer))
    }), { seed: 1, numRuns: 500 })
  })
})
