import type { GossipSub } from '@libp2p/gossipsub'
import { multiaddr } from '@multiformats/multiaddr'
import { expect } from 'chai'
import { TOPIC_PREFIX } from '../../src/peer/directory/constants.ts'
import { askRecords } from '../../src/peer/directory/exchange.ts'
import { sealRecord } from '../../src/peer/directory/seal.ts'
import { connectRoute } from '../../src/peer/index.ts'
import type { PeerNode } from '../../src/peer/index.ts'
import { startedNode } from '../../src/peer/node.ts'
import { kill, known, modelId, recordsOf, until, untilComplete, untilKnown } from '../support/directories.ts'
import { createSwarm, rejection, stubModel } from '../support/peers.ts'
import type { StubPeer } from '../support/peers.ts'
import { announcement, fakeClock, identity, recordOf } from '../support/records.ts'
import { temporaryFolder } from '../support/temporary-folder.ts'

const request = { tokens: Uint32Array.of(1, 2, 3), outputs: [{ row: 2, output: { kind: 'top' as const, count: 4 } }] }
const signal = (): AbortSignal => AbortSignal.timeout(10_000)

describe('discovery', () => {
  const swarm = createSwarm()
  const folder = temporaryFolder()
  afterEach(async () => await swarm.stop())

  /** Peers that all join the first one. */
  async function peers (count: number, options: Parameters<typeof swarm.peer>[2] = {}): Promise<StubPeer[]> {
    const first = await swarm.peer(0, 6, { ...options, discovery: { ...options.discovery } })
    const others = await Promise.all(Array.from({ length: count - 1 }, async () => await swarm.peer(0, 6, { ...options, discovery: { ...options.discovery, join: [first.address] } })))
    return [first, ...others]
  }

  describe('hostile announcements', () => {
    /** A peer that knows two others, and a neighbour that says what it likes. */
    async function target () {
      const [peer, other] = await peers(2)
      await untilComplete([peer, other])
      const attacker = await swarm.client({ discovery: { gossip: true, models: [modelId], join: [peer.address] } })
      const gossip = (startedNode(attacker).libp2p as unknown as { services: { gossip: GossipSub } }).services.gossip
      await until(() => gossip.getSubscribers(TOPIC_PREFIX + modelId).some(id => id.toString() === peer.node.peerId))
      const { counts } = peer.node.directory!
      return { peer, other, counts, publish: async (bytes: Uint8Array) => { await gossip.publish(TOPIC_PREFIX + modelId, bytes) } }
    }

    it('in the name of another are dropped', async () => {
      const { peer, other, counts, publish } = await target()
      const { key } = await identity(1)
      const before = recordsOf(peer.node).find(({ peerId }) => peerId === other.node.peerId)!
      await publish(await sealRecord(recordOf(other.node.peerId, { modelId, ranges: [], sequence: Date.now() + 1000 }), key))
      await until(() => counts.forged === 1)
      expect(recordsOf(peer.node)[0]?.ranges).to.deep.equal(before.ranges)
    })

    it('that are old, replayed, far off in time or of another model are dropped', async () => {
      const { peer, counts, publish } = await target()
      const now = Date.now()
      await publish((await announcement(1, { modelId, sequence: now, sessions: 1 })).bytes)
      await untilKnown(peer.node, records => records.length === 2)
      const stale = counts.stale
      await publish((await announcement(1, { modelId, sequence: now, sessions: 2 })).bytes)
      await publish((await announcement(1, { modelId, sequence: now - 1 })).bytes)
      await until(() => counts.stale >= stale + 2)
      await publish((await announcement(2, { modelId, sequence: now - 60_000 })).bytes)
      await publish((await announcement(2, { modelId, sequence: now + 60_000 })).bytes)
      await until(() => counts.clock === 2)
      await publish((await announcement(2, { modelId: 'ef'.repeat(32), sequence: now })).bytes)
      await until(() => counts.model === 1)
      const { peerId } = await identity(1)
      expect(recordsOf(peer.node).find(record => record.peerId === peerId)?.sessions).to.equal(1)
      expect(recordsOf(peer.node)).to.have.length(2)
    })

    it('that are malformed or too large are dropped, and the peer goes on', async () => {
      const { peer, other, counts, publish } = await target()
      await publish(new Uint8Array(300))
      await until(() => counts.malformed === 1)
      await publish(new Uint8Array(3000))
      await publish(new Uint8Array(100_000))
      other.node.announce({ speed: 5 })
      await untilKnown(peer.node, records => records.some(({ speed }) => speed === 5))
      expect(counts.malformed).to.equal(1)
    })

    it('many of one peer are not all passed on', async () => {
      const { peer, counts, publish } = await target()
      const now = Date.now()
      for (let turn = 0; turn < 30; turn++) await publish((await announcement(1, { modelId, sequence: now + turn })).bytes)
      await until(() => counts.often >= 15)
      expect(recordsOf(peer.node)).to.have.length(2)
    })
  })

  describe('questions', () => {
    it('too many of them are not answered', async () => {
      const [peer] = await peers(1)
      const client = await swarm.client()
      const connection = await startedNode(client).libp2p.dial(multiaddr(peer.address))
      const answers = []
      for (let turn = 0; turn < 14; turn++) answers.push(await askRecords(connection, modelId, signal()).then(({ records }) => records.length, error => (error as Error).name))
      expect(answers.slice(0, 10)).to.deep.equal(Array(10).fill(1))
      expect(answers.at(-1)).to.equal('DirectoryBusyError')
    })

    it('that break the protocol end their stream, and nothing else', async () => {
      const [peer] = await peers(1)
      const { libp2p } = startedNode(await swarm.client())
      const connection = await libp2p.dial(multiaddr(peer.address))
      for (const bytes of [[200, 0, 0, 0], [2, 0, 0, 0, 1, 9], [1, 0, 0, 0, 2]]) {
        const stream = await connection.newStream('/efedllm/directory/1.0.0')
        const closed = new Promise(resolve => stream.addEventListener('close', resolve))
        stream.send(Uint8Array.from(bytes))
        await closed
      }
      expect((await askRecords(connection, modelId, signal())).records).to.have.length(1)
    })

    it('about other models get an empty answer', async () => {
      const [peer] = await peers(1)
      const connection = await startedNode(await swarm.client()).libp2p.dial(multiaddr(peer.address))
      expect((await askRecords(connection, 'ef'.repeat(32), signal())).records).to.deep.equal([])
    })

    it('to peers that keep no directory are no failure', async () => {
      const plain = await swarm.peer(0, 6)
      const client = await swarm.client({ discovery: {} })
      await client.info(plain.address)
      await client.directory!.refresh(modelId)
      expect(recordsOf(client)).to.deep.equal([])
    })
  })

  it('one peer cannot take all connections', async () => {
    const peer = await swarm.peer(0, 6)
    const { libp2p } = startedNode(await swarm.client())
    const refused: unknown[] = []
    for (let turn = 0; turn < 6; turn++) await libp2p.dial(multiaddr(peer.address), { force: true }).catch(error => refused.push(error))
    await peer.event('peer:refused', 2)
    expect(startedNode(peer.node).libp2p.getConnections().length).to.be.at.most(4)
    // and another comes in
    expect((await (await swarm.client()).info(peer.address)).peerId).to.equal(peer.node.peerId)
  })

  it('a peer of another model is never named', async () => {
    const first = await swarm.peer(0, 6, { discovery: {} })
    const other = await swarm.peer(0, 6, { salt: 1, discovery: { join: [first.address] } })
    const third = await swarm.peer(0, 6, { discovery: { join: [other.address, first.address] } })
    await untilComplete([first, third])
    expect(other.node.directory!.records(stubModel(undefined, 1).modelId)).to.deep.equal([])
    const client = await swarm.client({ discovery: {} })
    for (const { address } of [first, other, third]) await client.info(address)
    await client.directory!.refresh(modelId)
    expect(known(client)).to.deep.equal([first.node.peerId, third.node.peerId].sort())
    expect((await rejection(connectRoute({ node: await swarm.client(), addresses: [other.address], model: modelId }))).name).to.equal('OtherModelError')
  })

  it('says what is hosted, and what is announced beside it', async () => {
    const [first, second] = await peers(2)
    second.node.announce({ speed: 3e9, claim: { range: { from: 2, to: 4 }, id: 'claim' } })
    await untilKnown(first.node, ([record]) => record?.claim !== undefined)
    const [record] = recordsOf(first.node)
    expect(record).to.deep.include({
      peerId: second.node.peerId, addresses: second.node.addresses, modelId, ranges: [{ range: { from: 0, to: 6 }, state: 'serving' }], sessions: 0, speed: 3e9, claim: { range: { from: 2, to: 4 }, id: 'claim' }
    })
    second.node.announce({ claim: undefined })
    await untilKnown(first.node, ([record]) => record.claim === undefined)
    expect(recordsOf(first.node)[0].speed).to.equal(3e9)
  })

  it('a client that knows one address knows all peers at once', async () => {
    const all = await peers(4)
    await untilComplete(all)
    const client = await swarm.client({ discovery: {} })
    await client.info(all[2].address)
    await client.directory!.refresh(modelId)
    expect(known(client)).to.deep.equal(all.map(({ node }) => node.peerId).sort())
    const session = await connectRoute({ node: client, addresses: recordsOf(client)[0].addresses, model: modelId })
    expect(await session.step(request)).to.have.length(1)
    expect((await rejection(client.directory!.refresh(modelId, { signal: AbortSignal.abort(new Error('no')) }))).message).to.equal('no')
  })

  it('who stops is gone at once', async () => {
    const all = await peers(4)
    await untilComplete(all)
    await all[0].node.stop()
    await untilComplete(all.slice(1))
  })

  it('a swarm goes on without the one through which it was found', async () => {
    const [bootstrap, ...rest] = await peers(4)
    await untilComplete([bootstrap, ...rest])
    await kill(bootstrap)
    // its neighbours see it, and ask
    await untilComplete(rest)
    const late = await swarm.peer(0, 6, { discovery: { join: [bootstrap.address, rest[1].address] } })
    await untilComplete([...rest, late])
  })

  it('who is suspected is out until it announces itself', async () => {
    const [first, second] = await peers(2)
    await untilComplete([first, second])
    first.node.directory!.suspect(second.node.peerId, 'seen by the test')
    expect(known(first.node)).to.deep.equal([])
    expect(known(second.node)).to.deep.equal([first.node.peerId])
  })

  it('who freezes is gone everywhere within 15 s, and nobody else is', async () => {
    const clock = fakeClock(Date.now())
    const ice = fakeClock(Date.now())
    const all = await peers(4, { discovery: { clock } })
    const frozen = await swarm.peer(0, 6, { discovery: { clock: ice, join: [all[0].address] } })
    const knowing = (): number => all.filter(({ node }) => known(node).includes(frozen.node.peerId)).length
    const fresh = (): boolean => all.every(({ node }) => {
      const others = recordsOf(node).filter(({ peerId }) => peerId !== frozen.node.peerId)
      // gossip may lose one of them, and time passes here only while nobody is missed
      return others.length === 3 && others.every(({ sequence }) => clock.wall() - sequence < 11_000)
    })
    await until(() => {
      clock.pass(10)
      ice.pass(10)
      return knowing() === 4 && fresh()
    })
    // from here on its clock stands still, and its connections stay
    for (let second = 1; second < 15; second++) {
      clock.pass(1000)
      await until(fresh)
      if (second === 9) expect(knowing()).to.equal(4)
    }
    clock.pass(1000)
    expect(knowing()).to.equal(0)
    await until(fresh)
  })

  it('a node that starts again finds its way back by itself', async () => {
    const dataDirectory = folder.path('peer')
    const [bootstrap, stays] = await peers(2)
    const leaves = await swarm.peer(0, 6, { dataDirectory, discovery: { join: [bootstrap.address] } })
    await untilComplete([bootstrap, stays, leaves])
    const { peerId } = leaves.node
    await until(() => startedNode(leaves.node).libp2p.getPeers().some(id => id.toString() === stays.node.peerId))
    await leaves.node.stop()
    await bootstrap.node.stop()
    await untilKnown(stays.node, records => records.length === 0)
    // it is told of nobody
    const back = await swarm.peer(0, 6, { dataDirectory, discovery: {} })
    await untilComplete([stays, back])
    expect(back.node.peerId).to.equal(peerId)
  })

  it('peers find each other through the DHT', async () => {
    // the one in the middle is of another model, and tells nobody of anybody but through the DHT
    const middle = await swarm.peer(0, 6, { salt: 1, discovery: { dht: true } })
    const ends = await Promise.all([0, 1].map(async () => await swarm.peer(0, 6, { discovery: { dht: true, join: [middle.address] } })))
    await untilComplete(ends)
  })

  it('whoever can be reached is told so', async () => {
    const [first, second] = await peers(2)
    await untilComplete([first, second])
    const { status, reason } = await second.node.reachability()
    expect(status, reason).to.equal('direct')
    expect(reason).to.match(/^a peer reached it at 127\.0\.0\.1, port \d+ \(of the same network/)
    const mute: PeerNode = await swarm.client({ discovery: { join: [first.address] } })
    expect(await mute.reachability()).to.deep.include({ status: 'unreachable', reason: 'it listens at no TCP port of 1024 or above' })
    expect((await (await swarm.client({ listen: ['/ip4/127.0.0.1/tcp/0'] })).reachability()).status).to.equal('unknown')
  })
})
