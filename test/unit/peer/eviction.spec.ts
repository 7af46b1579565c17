import { expect } from 'chai'
import { chooseEviction, choosePlace } from '../../../src/peer/stage/eviction.ts'

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

  it('takes a place of the client that has most, of hers the one that is idle longest', () => {
    const counts: Record<string, number> = { many: 5, some: 2, one: 1 }
    const countOf = (client: string): number => counts[client] ?? 0
    const idle = [{ client: 'some', lastActivity: 1 }, { client: 'many', lastActivity: 9 }, { client: 'many', lastActivity: 4 }, { client: 'one', lastActivity: 0 }]
    expect(choosePlace(idle, 'new', countOf)).to.equal(idle[2])
    expect(choosePlace(idle, 'many', countOf), 'who has most takes nobody\'s').to.equal(undefined)
    expect(choosePlace(idle, 'some', countOf)).to.equal(idle[2])
    expect(choosePlace([idle[3]], 'some', countOf), 'who has fewer gives nothing up').to.equal(undefined)
    expect(choosePlace([], 'new', countOf)).to.equal(undefined)
  })
})
