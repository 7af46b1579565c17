import { noise } from '@libp2p/noise'
import { tcp } from '@libp2p/tcp'
import { yamux } from '@libp2p/yamux'
import { multiaddr } from '@multiformats/multiaddr'
import { expect } from 'chai'
import { createLibp2p } from 'libp2p'
import type { Libp2p } from '@libp2p/interface'
import { connectRoute, createNetworkKey, fetchManifest } from '../../src/peer/index.ts'
import type { BlockStore } from '../../src/model/index.ts'
import type { PeerNode, PeerNodeInit } from '../../src/peer/index.ts'
import { startedNode } from '../../src/peer/node.ts'
import { known, modelId, untilComplete } from '../support/directories.ts'
import { createSwarm, rejection, stubModel } from '../support/peers.ts'
import { identity } from '../support/records.ts'

const request = { tokens: Uint32Array.of(1, 2, 3), outputs: [{ row: 2, output: { kind: 'top' as const, count: 4 } }] }

describe('private swarms', () => {
  const swarm = createSwarm()
  const others: Libp2p[] = []
  afterEach(async () => {
    await swarm.stop()
    await Promise.all(others.splice(0).map(async node => await node.stop()))
  })
  const share: BlockStore = { manifest: () => Buffer.from('secret'), header: () => undefined, block: async () => undefined } as unknown as BlockStore

  /** What somebody tries who is not meant to. */
  async function intrude (node: PeerNode, address: string): Promise<string[]> {
    const attempts = [
      node.info(address),
      connectRoute({ node, addresses: [address], model: stubModel() }),
      fetchManifest({ node, addresses: [address], modelId })
    ]
    const errors = await Promise.all(attempts.map(rejection))
    await node.directory!.refresh(modelId)
    expect(known(node)).to.deep.equal([])
    return errors.map(({ name }) => name)
  }

  describe('with a key', () => {
    const key = createNetworkKey()
    const inside: PeerNodeInit = { network: { key } }

    for (const [who, init] of [['without a key', {}], ['with another key', { network: { key: createNetworkKey() } }]] as Array<[string, PeerNodeInit]>) {
      it(`a stranger ${who} can neither connect, list nor fetch`, async () => {
        const peer = await swarm.peer(0, 6, { ...inside, discovery: {}, share })
        const stranger = await swarm.client({ ...init, discovery: {} })
        expect(await intrude(stranger, peer.address)).to.deep.equal(['PeerUnreachableError', 'PeerUnreachableError', 'BlocksUnavailableError'])
        expect(startedNode(peer.node).libp2p.getConnections()).to.deep.equal([])
      })
    }

    it('a member cannot connect to strangers either, and says why that may be', async () => {
      const stranger = await swarm.peer(0, 6)
      const error = await rejection((await swarm.client(inside)).info(stranger.address))
      expect(error.name).to.equal('PeerUnreachableError')
      expect(error.message).to.match(/another network key/)
    })

    it('members find each other, and serve', async () => {
      const first = await swarm.peer(0, 3, { ...inside, discovery: {} })
      const second = await swarm.peer(3, 6, { ...inside, discovery: { join: [first.address] } })
      await untilComplete([first, second])
      const client = await swarm.client({ ...inside, discovery: {} })
      const session = await connectRoute({ node: client, addresses: [first.address, second.address], model: stubModel() })
      expect(await session.step(request)).to.have.length(1)
      await client.directory!.refresh(modelId)
      expect(known(client)).to.have.length(2)
    })

    it('carries more than the 4 MB at which a former version stalled', async () => {
      const first = await swarm.peer(0, 6, inside)
      const client = await swarm.client(inside)
      const session = await connectRoute({ node: client, addresses: [first.address], model: stubModel() })
      for (let turn = 0; turn < 5; turn++) await session.step({ tokens: Uint32Array.from({ length: 200 }, (_value, index) => index % 64), position: 0, outputs: Array.from({ length: 200 }, (_value, row) => ({ row, output: { kind: 'logits' as const } })) })
      const { libp2p } = startedNode(client)
      expect(libp2p.getConnections()).to.have.length(1)
    })
  })

  describe('with a list', () => {
    it('a stranger can neither connect, list nor fetch, and the peer says whom it refused', async () => {
      const friend = await identity(1)
      const peer = await swarm.peer(0, 6, { network: { allow: [friend.peerId] }, discovery: {}, share })
      const stranger = await swarm.client({ discovery: {} })
      expect(await intrude(stranger, peer.address)).to.deep.equal(['PeerUnreachableError', 'PeerUnreachableError', 'BlocksUnavailableError'])
      expect(await peer.event('peer:refused')).to.deep.equal({ type: 'peer:refused', peerId: stranger.peerId, reason: 'it wanted to connect, and is not in the allow-list' })
      expect(startedNode(peer.node).libp2p.getConnections()).to.deep.equal([])
    })

    it('nobody is asked for anything who is not in it', async () => {
      const stranger = await swarm.peer(0, 6)
      const friend = await identity(1)
      const member = await swarm.client({ network: { allow: [friend.peerId] } })
      const error = await rejection(member.info(stranger.address))
      expect(error.message).to.contain(stranger.node.peerId)
      expect(stranger.events.map(({ type }) => type)).to.deep.equal(['peer:start'])
    })

    it('who is in it comes in', async () => {
      const client = await swarm.client({ discovery: {} })
      const peer = await swarm.peer(0, 6, { network: { allow: [client.peerId] }, discovery: {} })
      const session = await connectRoute({ node: client, addresses: [peer.address], model: stubModel() })
      expect(await session.step(request)).to.have.length(1)
      await client.directory!.refresh(modelId)
      expect(known(client)).to.deep.equal([peer.node.peerId])
    })

    it('what is no peer id is no list', async () => {
      expect((await rejection(swarm.client({ network: { allow: ['nobody'] } }))).name).to.equal('InvalidPeerIdError')
      expect((await rejection(swarm.client({ network: { key: new Uint8Array(5) } }))).name).to.equal('NetworkKeyError')
    })
  })

  it('a node of other software is refused with words', async () => {
    const peer = await swarm.peer(0, 6, { discovery: {} })
    const other = await createLibp2p({ addresses: { listen: ['/ip4/127.0.0.1/tcp/0'] }, transports: [tcp()], connectionEncrypters: [noise()], streamMuxers: [yamux()] })
    others.push(other)
    const error = await rejection(peer.node.info(other.getMultiaddrs()[0].toString()))
    expect(error.name).to.equal('IncompatibleVersionError')
    expect(error.message).to.contain('another version')
    await other.dial(multiaddr(peer.address))
    await peer.node.directory!.refresh(modelId)
    expect(known(peer.node)).to.deep.equal([])
  })
})
