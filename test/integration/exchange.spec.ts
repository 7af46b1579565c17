import { expect } from 'chai'
import { startedNode } from '../../src/peer/node.ts'
import { kill, modelId, recordsOf, untilComplete } from '../support/directories.ts'
import { createSwarm, rejection } from '../support/peers.ts'

describe('exchange of announcements', () => {
  const swarm = createSwarm()
  afterEach(async () => await swarm.stop())

  async function pair () {
    const one = await swarm.peer(0, 3, { discovery: {} })
    const other = await swarm.peer(3, 6, { discovery: { join: [one.address] } })
    await untilComplete([one, other])
    return { one, other }
  }

  it('fails with a name where there is nobody, nothing, or no time', async () => {
    const { one, other } = await pair()
    const { directory } = one.node
    expect(await rejection(directory!.exchange((await swarm.client()).peerId, modelId))).to.have.property('code', 'ERR_PEER_UNREACHABLE')
    const reason = new Error('enough')
    expect(await rejection(directory!.exchange(other.id, modelId, { signal: AbortSignal.abort(reason) }))).to.equal(reason)
    expect(await rejection(directory!.exchange(other.id, 'ab'.repeat(32)))).to.have.property('code', 'ERR_NOTHING_HOSTED')
    const client = await swarm.client({ discovery: { join: [one.address] } })
    await client.info(one.address)
    expect(await rejection(directory!.exchange(client.peerId, modelId))).to.have.property('code', 'ERR_NOTHING_HOSTED')
    const mute = await swarm.client()
    await mute.info(one.address)
    expect(await rejection(directory!.exchange(mute.peerId, modelId))).to.have.property('code', 'ERR_INCOMPATIBLE_VERSION')
    await kill(other)
    expect(await rejection(directory!.exchange(other.id, modelId))).to.have.property('code', 'ERR_PEER_UNREACHABLE')
  })

  it('gives what the peer has to say now, and tells it what we have', async () => {
    const { one, other } = await pair()
    for (const claimed of [0, 1, 2]) {
      const claim = { range: { from: claimed, to: 4 }, id: `${claimed}` }
      one.node.announce({ claim })
      // nothing has been announced of this yet
      if (claimed === 1) other.node.hosted[0].drain()
      if (claimed === 2) other.node.hosted[0].resume()
      const record = await one.node.directory!.exchange(other.id, modelId)
      expect(record.ranges).to.deep.equal([{ range: { from: 3, to: 6 }, state: claimed === 1 ? 'draining' : 'serving' }])
      expect(recordsOf(one.node)).to.deep.equal([record])
      expect(recordsOf(other.node)[0].claim).to.deep.equal(claim)
    }
  })

  it('says of ranges what it is told to, of those that are hosted and of others', async () => {
    const { one, other } = await pair()
    const joining = { range: { from: 0, to: 2 }, state: 'joining' as const }
    const withdrawn = { range: { from: 3, to: 6 }, state: 'draining' as const }
    other.node.announce({ ranges: [withdrawn, joining] })
    expect((await one.node.directory!.exchange(other.id, modelId)).ranges).to.deep.equal([withdrawn, joining])
    expect((await one.node.info(other.address)).hosted!.ranges).to.deep.equal([withdrawn, joining])
    // what drains serves nobody, whatever is said
    other.node.announce({ ranges: [{ ...withdrawn, state: 'serving' }] })
    expect((await one.node.directory!.exchange(other.id, modelId)).ranges[0].state).to.equal('serving')
    await other.node.hosted[0].drain()
    expect((await one.node.directory!.exchange(other.id, modelId)).ranges[0].state).to.equal('draining')
    other.node.hosted[0].resume()
    other.node.announce({ ranges: undefined })
    expect((await one.node.directory!.exchange(other.id, modelId)).ranges).to.deep.equal([{ ...withdrawn, state: 'serving' }])
  })

  it('dials a peer that is known and not connected', async () => {
    const { one, other } = await pair()
    for (const connection of startedNode(one.node).libp2p.getConnections()) await connection.close()
    expect((await one.node.directory!.exchange(other.id, modelId)).peerId).to.equal(other.id)
  })
})
