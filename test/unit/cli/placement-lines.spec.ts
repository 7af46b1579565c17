import { expect } from 'chai'
import { placementLine } from '../../../src/cli/placement-lines.ts'
import type { PlacementEvent } from '../../../src/peer/index.ts'

const range = { from: 0, to: 5 }

describe('cli: placement lines', () => {
  const lines: Array<[PlacementEvent, string, boolean?]> = [
    [{ type: 'placement:failed', range, error: new Error('no peer gives block 3') }, 'could not load embed, layers 0:4: no peer gives block 3', true],
    [{ type: 'placement:claim', range }, 'is going to host embed, layers 0:4, unless somebody was first'],
    [{ type: 'placement:cancel', range }, 'is not going to host embed, layers 0:4 after all'],
    [{ type: 'placement:load', range, into: 'memory' }, 'loads embed, layers 0:4'],
    [{ type: 'placement:load', range, into: 'disk' }, 'fetches embed, layers 0:4; there is no room beside what it hosts'],
    [{ type: 'placement:stored', range }, 'has fetched embed, layers 0:4'],
    [{ type: 'placement:serve', range }, 'hosts embed, layers 0:4 from now on'],
    [{ type: 'placement:withdraw', range }, 'would leave embed, layers 0:4, and asks who stays'],
    [{ type: 'placement:resume', range }, 'goes on with embed, layers 0:4: nobody else stays there'],
    [{ type: 'placement:drain', range, sessions: 0 }, 'leaves embed, layers 0:4'],
    [{ type: 'placement:drain', range, sessions: 2 }, 'leaves embed, layers 0:4; 2 sessions to be moved to other peers'],
    [{ type: 'placement:drop', range }, 'hosts embed, layers 0:4 no more']
  ]
  for (const [event, text, warns = false] of lines) {
    it(`${event.type}: ${text}`, () => {
      expect(placementLine(event, 8)).to.deep.equal({ text, warns })
    })
  }
})
