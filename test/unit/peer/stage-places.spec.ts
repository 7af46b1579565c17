import { expect } from 'chai'
import { ErrorCode, Kind } from '../../../src/peer/wire/index.ts'
import { createMemoryNetwork } from '../../support/memory-peers.ts'
import type { RawLink } from '../../support/raw-link.ts'

const RANGE = { from: 0, to: 6 }

describe('peer: places for sessions, where all are taken', () => {
  let network: ReturnType<typeof createMemoryNetwork>
  beforeEach(() => { network = createMemoryNetwork() })
  afterEach(async () => await network.stop())

  const session = (number: number): string => number.toString(16).padStart(32, '0')

  /** Opens sessions of a client one after the other; what came of each. */
  async function open (link: RawLink, ...numbers: number[]): Promise<Array<number | string>> {
    const outcomes: Array<number | string> = []
    for (const number of numbers) {
      link.open({ range: RANGE }, { session: session(number), sequence: number })
      await link.settled()
      const refusal = link.frames.find(({ kind, sequence }) => kind === Kind.error && sequence === number)
      outcomes.push(refusal === undefined ? 'opened' : refusal.record![0])
    }
    return outcomes
  }

  const ended = (link: RawLink): string[] => link.frames.filter(({ kind, sequence, record }) => kind === Kind.error && sequence === 0 && record![0] === ErrorCode.evicted).map(({ session }) => session)

  it('nobody gives way who is not idle', async () => {
    const peer = await network.peer(0, 6, { limits: { sessions: 3 } })
    const greedy = network.link('greedy', peer.peerId, session(99))
    const honest = network.link('honest', peer.peerId, session(99))
    expect(await open(greedy, 1, 2, 3)).to.deep.equal(['opened', 'opened', 'opened'])
    expect(await open(honest, 11)).to.deep.equal([ErrorCode.busy])
    expect(ended(greedy)).to.deep.equal([])
  })

  it('the client with most gives way, with the session that is idle longest, and not to itself', async () => {
    const peer = await network.peer(0, 6, { limits: { sessions: 4, evictIdleMilliseconds: 0 } })
    const greedy = network.link('greedy', peer.peerId, session(99))
    const other = network.link('other', peer.peerId, session(99))
    const honest = network.link('honest', peer.peerId, session(99))
    expect(await open(other, 21)).to.deep.equal(['opened'])
    expect(await open(greedy, 1, 2, 3)).to.deep.equal(['opened', 'opened', 'opened'])
    expect(await open(greedy, 4)).to.deep.equal([ErrorCode.busy])
    expect(await open(honest, 11)).to.deep.equal(['opened'])
    expect(ended(greedy)).to.deep.equal([session(1)])
    expect(await open(honest, 12)).to.deep.equal(['opened'])
    // two each: nobody has more than who asks
    expect(ended(greedy)).to.deep.equal([session(1), session(2)])
    expect(ended(other)).to.deep.equal([])
    expect(peer.server.sessions).to.equal(4)
  })
})
