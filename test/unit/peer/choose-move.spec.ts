import { expect } from 'chai'
import fc from 'fast-check'
import { chooseMove } from '../../../src/peer/client/choose-move.ts'
import type { ChooseMoveInit } from '../../../src/peer/client/choose-move.ts'
import { STUB_ARCHITECTURE } from '../../support/stub-engine.ts'

/** Eight layers of a model of the size of SmolLM2-135M. */
const init: ChooseMoveInit = {
  mode: 'measured',
  architecture: { ...STUB_ARCHITECTURE, layerCount: 30, hiddenSize: 576, feedForwardSize: 1536, headCount: 9, keyValueHeadCount: 3, headSize: 64, contextLength: 8192 },
  range: { from: 9, to: 17 },
  keyValueBytesPerPosition: 8 * 432,
  from: 200,
  to: 2000,
  chunkRows: 64,
  rates: { bytesPerSecond: 1e7, positionsPerSecond: 1000, measuredAt: 16 }
}

describe('peer/client: replay, transfer or both', () => {
  it('does as it is told, with a prediction where there are rates', () => {
    expect(chooseMove({ ...init, mode: 'replay', rates: undefined })).to.deep.equal({ method: 'replay', split: 1800 })
    expect(chooseMove({ ...init, mode: 'transfer', rates: undefined })).to.deep.equal({ method: 'transfer', split: 0 })
    expect(chooseMove({ ...init, mode: 'split', rates: undefined })).to.deep.equal({ method: 'split', split: 900 })
    expect(chooseMove({ ...init, mode: 'measured', rates: undefined })).to.deep.equal({ method: 'replay', split: 1800 })
    const [replay, transfer, split] = (['replay', 'transfer', 'split'] as const).map(mode => chooseMove({ ...init, mode }))
    expect([replay.method, transfer.method, split.method]).to.deep.equal(['replay', 'transfer', 'split'])
    expect(replay.predictedSeconds).to.equal(replay.predictions!.replay)
    expect(transfer.predictedSeconds).to.be.closeTo(1800 * 3456 / 1e7, 1e-9)
    expect(split.split).to.equal(900)
    const computed = chooseMove({ ...init, mode: 'replay', rates: { positionsPerSecond: 1000, measuredAt: 16 } })
    expect(computed.predictions).to.equal(undefined)
    // all computing, and the way of nothing; attention makes it slower than the rate that was measured at the beginning
    expect(computed.predictedSeconds).to.be.within(1.8, replay.predictedSeconds!)
  })

  it('transfers where the link is fast, replays where it is slow, and else does both', () => {
    expect(chooseMove({ ...init, rates: { ...init.rates!, bytesPerSecond: 1e10 } }).method).to.not.equal('replay')
    // to compute a position takes longer than to fetch it, all in all
    expect(chooseMove(init).method).to.equal('split')
    expect(chooseMove({ ...init, range: { from: 0, to: 9 }, rates: { ...init.rates!, bytesPerSecond: 1e5, positionsPerSecond: 1e5 } }).split).to.be.greaterThan(1600)
    // some twenty positions would be best, and are not worth their way
    expect(chooseMove({ ...init, rates: { ...init.rates!, bytesPerSecond: 2.5e8 } })).to.deep.include({ method: 'transfer', split: 0 })
    // hidden state as large as keys and values: there is nothing to be gained by a replay
    expect(chooseMove({ ...init, keyValueBytesPerPosition: 2304 }).method).to.equal('transfer')
  })

  it('expects a replay of later positions to take longer', () => {
    const early = chooseMove({ ...init, from: 0, to: 1000, mode: 'replay' }).predictedSeconds!
    const late = chooseMove({ ...init, from: 7000, to: 8000, mode: 'replay' }).predictedSeconds!
    expect(late).to.be.greaterThan(2 * early)
  })

  it('never predicts more than the best of the two, nor splits beyond what there is', () => {
    fc.assert(fc.property(fc.integer({ min: 1, max: 8000 }), fc.double({ min: 1e4, max: 1e10, noNaN: true }), fc.double({ min: 1, max: 1e5, noNaN: true }), fc.integer({ min: 0, max: 8 }), (positions, bytesPerSecond, positionsPerSecond, layers) => {
      const { split, predictedSeconds, predictions } = chooseMove({ ...init, from: 0, to: positions, keyValueBytesPerPosition: Math.max(1, layers) * 432, rates: { bytesPerSecond, positionsPerSecond, measuredAt: 16 } })
      expect(split).to.be.within(0, positions)
      expect(predictedSeconds).to.be.at.most(Math.min(predictions!.replay, predictions!.transfer))
      expect(predictedSeconds).to.be.greaterThan(0)
    }), { seed: 8, numRuns: 500 })
  })

  it('has nothing to do where the trial was all', () => {
    expect(chooseMove({ ...init, from: 2000 })).to.deep.include({ split: 0, predictedSeconds: 0 })
  })
})
