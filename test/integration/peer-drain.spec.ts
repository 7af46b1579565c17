import { expect } from 'chai'
import { connectRoute, createPeerNode, InvalidRequestError, StageRefusedError } from '../../src/peer/index.ts'
import type { PeerNode } from '../../src/peer/index.ts'
import { startedNode } from '../../src/peer/node.ts'
import { decodeLeaving, Kind } from '../../src/peer/wire/index.ts'
import { createSwarm, rawLink, rejection, stubModel } from '../support/peers.ts'
import { createStubEngine } from '../support/stub-engine.ts'
import { killAll, start } from './cli-process.ts'

describe('peer: several ranges, and draining', () => {
  const swarm = createSwarm()
  const nodes: PeerNode[] = []
  afterEach(async () => {
    await swarm.stop()
    await Promise.all(nodes.splice(0).map(async node => await node.stop()))
    await killAll()
  })

  async function empty (): Promise<PeerNode> {
    const node = createPeerNode({ listen: ['/ip4/127.0.0.1/tcp/0'] })
    nodes.push(node)
    await node.start()
    return node
  }

  it('refuses a second model, the same engine twice and too many ranges', async () => {
    const node = await empty()
    const engine = createStubEngine({ from: 0, to: 1 })
    node.host({ engine, model: stubModel() })
    expect(() => node.host({ engine, model: stubModel() })).to.throw(InvalidRequestError, 'already')
    expect(() => node.host({ engine: createStubEngine({ from: 1, to: 2 }), model: stubModel(undefined, 1) })).to.throw(InvalidRequestError, 'one model')
    for (let count = 1; count < 4; count++) node.host({ engine: createStubEngine({ from: count, to: count + 1 }), model: stubModel() })
    expect(() => node.host({ engine: createStubEngine({ from: 4, to: 5 }), model: stubModel() })).to.throw(InvalidRequestError, 'at most 4')
    expect(node.hosted.map(({ range: { from } }) => from)).to.deep.equal([0, 1, 2, 3])
  })

  it('hosts what it is given while it runs, and says so', async () => {
    const node = await empty()
    const client = await swarm.client()
    expect((await client.info(node.addresses[0])).hosted).to.equal(undefined)
    const first = node.host({ engine: createStubEngine({ from: 0, to: 4 }, { positions: 500 }), model: stubModel() })
    const second = node.host({ engine: createStubEngine({ from: 2, to: 6 }, { positions: 300 }), model: stubModel() })
    const { hosted } = await client.info(node.addresses[0])
    expect(hosted).to.deep.include({
      range: { from: 0, to: 4 },
      ranges: [{ range: { from: 0, to: 4 }, state: 'serving' }, { range: { from: 2, to: 6 }, state: 'serving' }],
      sessions: 0,
      queuedSteps: 0,
      freePositions: 300
    })
    const link = await rawLink(client, node.addresses[0])
    link.open({ range: { from: 0, to: 4 }, stages: 2, downstream: 'other', capacity: 100 })
    await link.next(Kind.opened)
    const drained = first.drain({ milliseconds: 20_000 })
    expect(decodeLeaving((await link.next(Kind.leaving)).record!)).to.deep.equal({ milliseconds: 20_000 })
    const later = (await client.info(node.addresses[0])).hosted!
    expect(later.ranges.map(({ state }) => state)).to.deep.equal(['draining', 'serving'])
    expect([later.range, later.sessions, later.freePositions]).to.deep.equal([{ from: 2, to: 6 }, 1, 300])
    link.send({ kind: Kind.close })
    await drained
    await first.remove()
    expect(node.hosted).to.deep.equal([second])
    expect((await client.info(node.addresses[0])).hosted!.ranges).to.have.length(1)
    await second.remove()
    expect((await client.info(node.addresses[0])).hosted).to.equal(undefined)
  })

  it('answers a client that comes too late with words, as retryable', async () => {
    const peer = await swarm.peer(0, 6)
    const node = await swarm.client()
    const session = await connectRoute({ node, addresses: [peer.address], model: stubModel() })
    const drained = peer.node.hosted[0].drain()
    const error = await rejection(connectRoute({ node, addresses: [peer.address], model: stubModel() })) as StageRefusedError
    expect(error).to.be.instanceOf(StageRefusedError)
    expect([error.retryable, error.message]).to.satisfy(([retryable, message]: [boolean, string]) => retryable && message.endsWith('about to stop hosting units 0:6'))
    await session.step({ tokens: Uint32Array.of(1, 2) })
    await session.close()
    await drained
    await peer.node.stop()
  })

  it('lets a peer have few connections to another, and few streams', async () => {
    const peer = await swarm.peer(0, 6)
    const client = await swarm.client()
    const links = await Promise.all(Array.from({ length: 7 }, async () => await rawLink(client, peer.address)))
    for (const link of links) await link.settled()
    const { libp2p } = startedNode(client)
    const { multiaddr } = await import('@multiformats/multiaddr')
    const more = await Promise.allSettled(Array.from({ length: 12 }, async () => await libp2p.dial(multiaddr(peer.address), { force: true })))
    expect(more.length).to.equal(12)
    // what goes beyond is closed by the peer, not at the same instant
    while (startedNode(peer.node).libp2p.getConnections().length > 8) await new Promise(resolve => setImmediate(resolve))
    await links[0].settled()
  })

  describe('on a signal', function () {
    this.timeout(60_000)

    async function peerWithSession (...flags: string[]) {
      const peer = start(['peer', '--ephemeral', '--listen', '/ip4/127.0.0.1/tcp/0', ...flags])
      const address = (await peer.until('stderr', /--join \/ip4\/127\.0\.0\.1\/tcp\/\d+\/p2p\/12D3KooW\w+\n/)).trim().replace('--join ', '')
      const node = await swarm.client()
      const { hosted } = await node.info(address)
      const session = await connectRoute({ node, addresses: [address], model: hosted!.modelId })
      await session.step({ tokens: Uint32Array.of(1, 2, 3) })
      return { peer, session }
    }

    it('waits for its sessions, takes no new ones, and ends with 0', async () => {
      const { peer, session } = await peerWithSession()
      peer.child.kill('SIGTERM')
      await peer.until('stderr', /1 session to be moved to other peers, for up to 30\.0 s/)
      await session.step({ tokens: Uint32Array.of(4) })
      await session.close()
      expect((await peer.ended).code).to.equal(0)
    })

    it('ends what is left when the time is over, or at once on the second', async () => {
      const timed = await peerWithSession('--drain-timeout', '100ms')
      timed.peer.child.kill('SIGINT')
      expect((await timed.peer.ended).code).to.equal(130)
      expect((await rejection(timed.session.step({ tokens: Uint32Array.of(4) }))).name).to.equal('StageLostError')
      const twice = await peerWithSession()
      twice.peer.child.kill('SIGTERM')
      await twice.peer.until('stderr', /to be moved/)
      twice.peer.child.kill('SIGTERM')
      expect((await twice.peer.ended).code).to.equal(143)
    })
  })
})
