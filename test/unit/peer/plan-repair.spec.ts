import { expect } from 'chai'
import fc from 'fast-check'
import { planReplays, replayedPositions } from '../../../src/peer/client/plan-repair.ts'
import type { StageState } from '../../../src/peer/client/plan-repair.ts'
import { mixedPositions } from '../../../src/peer/client/provenance.ts'

const lost = { held: 0, kept: 0 }
const whole = (length: number): StageState => ({ held: length, kept: length })

describe('peer/client: replays of a repair', () => {
  it('replays nothing where nothing is lacking', () => {
    expect(planReplays([whole(9), { held: 9, kept: 0 }], 9)).to.deep.equal([])
    expect(planReplays([lost, lost], 0)).to.deep.equal([])
    expect(planReplays([], 5)).to.deep.equal([])
  })

  it('takes what a lost stage lacks from the one before it', () => {
    expect(planReplays([whole(9), lost, whole(9), { held: 9, kept: 0 }], 9)).to.deep.equal([[{ source: 1, until: 2, from: 0, to: 9 }]])
    // two in place of one
    expect(planReplays([whole(9), lost, lost, { held: 9, kept: 0 }], 9)).to.deep.equal([[{ source: 1, until: 3, from: 0, to: 9 }]])
  })

  it('begins with the token ids where the first stage was lost', () => {
    expect(planReplays([lost, whole(9), whole(9)], 9)).to.deep.equal([[{ source: 0, until: 1, from: 0, to: 9 }]])
  })

  it('replays for several at the same time', () => {
    expect(planReplays([lost, whole(9), lost, whole(9), lost], 9)).to.deep.equal([[
      { source: 0, until: 1, from: 0, to: 9 }, { source: 2, until: 3, from: 0, to: 9 }, { source: 4, until: 5, from: 0, to: 9 }
    ]])
  })

  it('goes further up where outputs are lost', () => {
    const forgetful = { held: 9, kept: 0 }
    expect(planReplays([whole(9), forgetful, lost, whole(9)], 9)).to.deep.equal([[{ source: 1, until: 3, from: 0, to: 9 }]])
    expect(planReplays([forgetful, forgetful, lost, whole(9)], 9)).to.deep.equal([[{ source: 0, until: 3, from: 0, to: 9 }]])
  })

  it('spares what a new stage holds already, and uses what outputs are left', () => {
    expect(planReplays([whole(200), { held: 64, kept: 64 }, { held: 200, kept: 0 }], 200)).to.deep.equal([[{ source: 1, until: 2, from: 64, to: 200 }]])
    expect(planReplays([whole(9), { held: 9, kept: 5 }, lost], 9)).to.deep.equal([[{ source: 2, until: 3, from: 0, to: 5 }], [{ source: 1, until: 3, from: 5, to: 9 }]])
  })

  it('does not care for what stages hold beyond the end', () => {
    expect(planReplays([whole(40), lost, whole(30)], 20)).to.deep.equal([[{ source: 1, until: 2, from: 0, to: 20 }]])
  })

  const state = fc.tuple(fc.nat(12), fc.nat(12)).map(([held, kept]) => ({ held, kept: Math.min(held, kept) }))
  const route = fc.array(fc.oneof(state, fc.constant(lost), fc.constant(whole(12))), { minLength: 1, maxLength: 8 })

  it('gives every stage every position, in order, from somebody who has it, and nothing twice', () => {
    fc.assert(fc.property(route, fc.nat(14), (stages, length) => {
      const now = stages.map(({ held, kept }) => ({ held, kept }))
      for (const replays of planReplays(stages, length)) {
        const busy = new Set<number>()
        for (const { source, until, from, to } of replays) {
          expect(from).to.be.below(to)
          if (source > 0) expect(stages[source - 1].kept, `stage ${source} keeps what it is to send`).to.be.at.least(to)
          for (let number = source + 1; number <= until; number++) {
            expect(busy.has(number)).to.equal(false)
            busy.add(number)
            expect(now[number - 1].held, `no gap at stage ${number}`).to.be.at.least(from)
            now[number - 1].held = to
          }
        }
        for (const { source } of replays) expect(busy.has(source), `a source that computes at the same time, ${source}`).to.equal(false)
      }
      for (const [index, { held }] of now.entries()) {
        if (stages[index].held < length) expect(held).to.equal(length)
      }
    }), { seed: 61, numRuns: 3000 })
  })

  it('runs no position at a stage that could do without', () => {
    fc.assert(fc.property(route, fc.nat(14), (stages, length) => {
      let needed = 0
      for (let position = 0; position < length; position++) {
        let wanted = false
        for (const { held, kept } of [...stages].reverse()) {
          wanted = position >= held || (wanted && position >= kept)
          if (wanted) needed++
        }
      }
      const runs = planReplays(stages, length).flat().reduce((sum, { source, until, from, to }) => sum + (until - source) * (to - from), 0)
      expect(runs).to.equal(needed)
    }), { seed: 62, numRuns: 2000 })
  })

  it('counts positions', () => {
    expect(replayedPositions(planReplays([lost, whole(9), lost], 9))).to.equal(18)
  })
})

describe('peer/client: where positions have come through', () => {
  const known = (held: number, mixed = 0) => ({ held, mixed, unchanged: true })
  const behind = (held: number, mixed = 0) => ({ held, mixed, unchanged: false })
  const fresh = known(0)

  it('is plain where nothing before has changed, and in a stage that is new', () => {
    expect(mixedPositions([known(9), known(9)])).to.deep.equal([0, 0])
    expect(mixedPositions([known(9), fresh, behind(9), behind(8)])).to.deep.equal([0, 0, 9, 9])
    expect(mixedPositions([fresh, behind(9)])).to.deep.equal([0, 9])
  })

  it('stays mixed for whoever computes from what is mixed', () => {
    expect(mixedPositions([known(20), known(20, 9), fresh, behind(20, 9)])).to.deep.equal([0, 9, 9, 20])
  })
})
