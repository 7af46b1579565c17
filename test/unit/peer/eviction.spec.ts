import { expect } from 'chai'
import { chooseEviction } from '../../../src/peer/stage/eviction.ts'

describe('peer: eviction', () => {
  it('ends nobody in vain', () => {
    expect(chooseEviction([], 1)).to.equal(undefined)
    expect(chooseEviction([{ lastActivity: 1, positions: 0 }], 1)).to.equal(undefined)
    expect(chooseEviction([{ lastActivity: 1, positions: 300 }, { lastActivity: 2, positions: 0 }, { lastActivity: 3, positions: 44 }], 857)).to.equal(undefined)
  })

  it('ends the session that is idle longest', () => {
    const idle = [{ lastActivity: 7, positions: 300 }, { lastActivity: 5, positions: 44 }, { lastActivity: 3, positions: 0 }]
    expect(chooseEviction(idle, 856)).to.equal(idle[1])
    expect(chooseEviction(idle, 1)).to.equal(idle[1])
  })
})
