import { expect } from 'chai'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connectRoute, createPeerNode, InvalidRequestError, NotStartedError, PeerUnreachableError } from '../../src/peer/index.ts'
import type { PeerEvent, PeerNode } from '../../src/peer/index.ts'
import { createSwarm, rejection, stubModel } from '../support/peers.ts'
import { createStubEngine, STUB_ARCHITECTURE } from '../support/stub-engine.ts'

describe('peer: node', () => {
  const swarm = createSwarm()
  const extra: PeerNode[] = []
  afterEach(async () => {
    await swarm.stop()
    await Promise.all(extra.splice(0).map(async node => await node.stop()))
  })

  function node (init: Parameters<typeof createPeerNode>[0]): PeerNode {
    const made = createPeerNode(init)
    extra.push(made)
    return made
  }

  it('says what is wrong with how it is used', async () => {
    const idle = node({})
    expect(() => idle.peerId).to.throw(NotStartedError)
    expect(() => idle.addresses).to.throw(NotStartedError)
    expect(await rejection(idle.info('/ip4/127.0.0.1/tcp/1'))).to.be.instanceOf(NotStartedError)
    expect(await rejection(connectRoute({ node: idle, addresses: [], model: stubModel() }))).to.be.instanceOf(NotStartedError)
    expect(() => createPeerNode({ engine: createStubEngine({ from: 0, to: 6 }) })).to.throw(InvalidRequestError)
    expect(() => createPeerNode({ join: ['nonsense'] })).to.throw('nonsense')
    const first = node({ listen: ['/ip4/127.0.0.1/tcp/0'] })
    await first.start()
    const address = first.addresses[0].replace(/\/p2p\/.*/, '')
    const error = await rejection(node({ listen: [address] }).start())
    expect(error.name).to.equal('InvalidAddressError')
    expect(error.message).to.contain(address)
    expect((await rejection(first.info('/ip4/127.0.0.1/tcp/1'))).name).to.equal('PeerUnreachableError')
  })

  it('starts and stops as often as it is told', async () => {
    const events: PeerEvent[] = []
    const one = node({ listen: ['/ip4/127.0.0.1/tcp/0'], onEvent: event => events.push(event) })
    await one.stop()
    await Promise.all([one.start(), one.start()])
    expect(one.addresses[0]).to.match(new RegExp(`/p2p/${one.peerId}$`))
    await Promise.all([one.stop(), one.stop()])
    expect(() => one.peerId).to.throw(NotStartedError)
    await one.start()
    await one.stop()
    expect(events.map(({ type }) => type)).to.deep.equal(['peer:start', 'peer:stop', 'peer:start', 'peer:stop'])
  })

  it('keeps its identity where it has a data directory', async () => {
    const dataDirectory = await mkdtemp(join(tmpdir(), 'efedllm-node-'))
    try {
      const ids = []
      for (let turn = 0; turn < 2; turn++) {
        const one = node({ dataDirectory })
        await one.start()
        ids.push(one.peerId)
        await one.stop()
      }
      expect(ids[0]).to.equal(ids[1])
    } finally {
      await rm(dataDirectory, { recursive: true })
    }
  })

  it('says what it hosts', async () => {
    const peer = await swarm.peer(2, 5, { limits: { window: 3, rowsPerStep: 99, contextLength: 500, sessionsPerClient: 7 } })
    const client = await swarm.client()
    const info = await client.info(peer.address)
    expect(info).to.deep.equal({
      peerId: peer.node.peerId,
      addresses: peer.node.addresses,
      software: 'efedllm/0.1.0',
      hosted: {
        ...stubModel(),
        range: { from: 2, to: 5 },
        ranges: [{ range: { from: 2, to: 5 }, state: 'serving' }],
        limits: { rowsPerStep: 99, window: 3, contextLength: 500, sessionsPerClient: 7 },
        sessions: 0,
        queuedSteps: 0,
        freePositions: 1 << 20
      }
    })
    expect((await rejection(client.info(peer.address, { signal: AbortSignal.abort(new Error('no')) }))).message).to.equal('no')
  })

  it('refuses another peer at a known address', async () => {
    const peer = await swarm.peer(0, 6)
    const other = await swarm.peer(0, 6)
    const wrong = peer.address.replace(peer.node.peerId, other.node.peerId)
    expect(await rejection((await swarm.client()).info(wrong))).to.be.instanceOf(PeerUnreachableError)
  })

  it('can serve and be a client at once, and use its own engine as a stage', async () => {
    const peers = [await swarm.peer(0, 3), await swarm.peer(3, 6)]
    const sessions = await Promise.all([
      connectRoute({ node: peers[0].node, addresses: [peers[1].address], local: [peers[0].engine], model: stubModel() }),
      connectRoute({ node: peers[1].node, addresses: [peers[0].address], local: [peers[1].engine], model: stubModel().modelId }),
      connectRoute({ node: await swarm.client(), addresses: peers.map(({ address }) => address), model: stubModel().modelId })
    ])
    const request = { tokens: Uint32Array.of(1, 2, 3), outputs: [{ row: 2, output: { kind: 'top' as const, count: 4 } }] }
    const [first, ...others] = await Promise.all(sessions.map(async session => await session.step(request)))
    for (const other of others) expect(other).to.deep.equal(first)
  })

  it('joins peers, and says which do not answer', async () => {
    const gone = await swarm.peer(0, 6)
    await gone.node.stop()
    const there = await swarm.peer(0, 6)
    const peer = await swarm.peer(0, 6, { join: [gone.address, there.address] })
    const events = [await peer.event('peer:join', 1), await peer.event('peer:join', 2)] as Array<{ address: string, error?: Error }>
    expect(events.find(({ address }) => address === there.address)?.error).to.equal(undefined)
    expect(events.find(({ address }) => address === gone.address)?.error).to.be.instanceOf(Error)
  })

  it('carries frames larger than a new stream takes', async () => {
    const architecture = { ...STUB_ARCHITECTURE, hiddenSize: 2048 }
    const peers = await Promise.all([[0, 1], [1, 5], [5, 6]].map(async ([from, to]) => await swarm.peer(from, to, { architecture })))
    const session = await connectRoute({ node: await swarm.client(), addresses: peers.map(({ address }) => address), model: stubModel(architecture), chunkRows: 256 })
    const whole = await swarm.peer(0, 6, { architecture })
    const reference = await connectRoute({ node: await swarm.client(), addresses: [whole.address], model: stubModel(architecture) })
    // 256 rows are 2 MiB of hidden state
    const request = { tokens: Uint32Array.from({ length: 1000 }, (_value, index) => index % 64), outputs: [{ row: 999, output: { kind: 'top' as const, count: 3 } }] }
    expect(await session.step(request)).to.deep.equal(await reference.step(request))
  })
})
