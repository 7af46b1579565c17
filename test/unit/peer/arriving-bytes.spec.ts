import { expect } from 'chai'
import type { Link } from '../../../src/peer/link.ts'
import { createArrivingBytes } from '../../../src/peer/stage/arriving-bytes.ts'

function link (peer: string): Link & { aborted?: Error } {
  const made = { peer, abort: (error: Error) => { made.aborted = error } } as Link & { aborted?: Error }
  return made
}

describe('peer: frames that have come in part', () => {
  it('of one peer are given up where they are too much, the largest first', () => {
    const arriving = createArrivingBytes({ queuedBytesPerClient: 100, queuedBytes: 1000 })
    const [one, two, three] = ['a', 'a', 'a'].map(link)
    arriving.hold(one, 60)
    arriving.hold(two, 40)
    expect([one.aborted, two.aborted]).to.deep.equal([undefined, undefined])
    arriving.hold(three, 10)
    expect([one.aborted?.message, two.aborted, three.aborted]).to.deep.equal(['more than 100 bytes of one peer\'s frames have come in part', undefined, undefined])
    // a frame that is whole, or a stream that is gone, holds nothing
    arriving.hold(two, 0)
    arriving.hold(two, 0)
    arriving.hold(three, 100)
    expect(three.aborted).to.equal(undefined)
  })

  it('of all are given up by the peer that holds most, not by the one that comes last', () => {
    const arriving = createArrivingBytes({ queuedBytesPerClient: 100, queuedBytes: 150 })
    const [greedy, other, last] = [link('a'), link('b'), link('c')]
    arriving.hold(greedy, 90)
    arriving.hold(other, 50)
    arriving.hold(last, 20)
    expect([greedy.aborted !== undefined, other.aborted, last.aborted]).to.deep.equal([true, undefined, undefined])
    arriving.hold(last, 100)
    expect(other.aborted).to.equal(undefined)
  })
})
