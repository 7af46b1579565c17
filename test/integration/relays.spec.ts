import { circuitRelayServer } from '@libp2p/circuit-relay-v2'
import { identify } from '@libp2p/identify'
import type { Libp2p } from '@libp2p/interface'
import { noise } from '@libp2p/noise'
import { tcp } from '@libp2p/tcp'
import { yamux } from '@libp2p/yamux'
import { expect } from 'chai'
import { createLibp2p } from 'libp2p'
import { connectRoute } from '../../src/peer/index.ts'
import { startedNode } from '../../src/peer/node.ts'
import { known, modelId, until, untilComplete } from '../support/directories.ts'
import { createSwarm, rejection, stubModel } from '../support/peers.ts'
import type { StubPeer } from '../support/peers.ts'

const request = { tokens: Uint32Array.of(1, 2, 3), outputs: [{ row: 2, output: { kind: 'top' as const, count: 4 } }] }

describe('relays', () => {
  const swarm = createSwarm()
  const others: Libp2p[] = []
  afterEach(async () => {
    await swarm.stop()
    await Promise.all(others.splice(0).map(async node => await node.stop()))
  })

  /** A peer that listens nowhere, as behind a router, and takes a place at the relay. */
  async function hidden (relay: string): Promise<StubPeer> {
    const peer = await swarm.peer(0, 6, { listen: [], discovery: { relay: 'use', join: [relay] } })
    await peer.event('peer:join')
    await until(async () => (await peer.node.reachability()).status === 'relayed')
    expect(peer.node.addresses[0]).to.match(/\/p2p-circuit\/p2p\/[^/]+$/)
    return peer
  }

  /** A relay as anybody runs them, with the limits meant for strangers. */
  async function strangersRelay (): Promise<string> {
    const relay = await createLibp2p({
      addresses: { listen: ['/ip4/127.0.0.1/tcp/0'] },
      transports: [tcp()],
      connectionEncrypters: [noise()],
      streamMuxers: [yamux()],
      connectionManager: { inboundConnectionThreshold: 100 },
      services: { identify: identify(), relay: circuitRelayServer() }
    })
    others.push(relay)
    return relay.getMultiaddrs()[0].toString()
  }

  it('of others carry no activations, and the client says so', async () => {
    const peer = await hidden(await strangersRelay())
    const client = await swarm.client({ discovery: { relay: 'use' } })
    const error = await rejection(connectRoute({ node: client, addresses: [peer.node.addresses[0]], model: stubModel() }))
    expect(error.message).to.contain('only through a relay of others, which carries no activations')
    expect(peer.node.sessions).to.equal(0)
  })

  it('of others are not used by those who want none', async () => {
    const peer = await hidden(await strangersRelay())
    expect((await rejection((await swarm.client()).info(peer.node.addresses[0]))).name).to.equal('PeerUnreachableError')
  })

  it('of others tell who is there', async () => {
    const peer = await hidden(await strangersRelay())
    const client = await swarm.client({ discovery: { relay: 'use' } })
    expect((await client.info(peer.node.addresses[0])).hosted?.modelId).to.equal(modelId)
    expect(startedNode(client).libp2p.getConnections().some(({ limits }) => limits !== undefined)).to.equal(true)
    await client.directory!.refresh(modelId)
    expect(known(client)).to.deep.equal([peer.node.peerId])
  })

  it('of our own carry everything, and the hidden peer is found like any other', async () => {
    const relay = await swarm.peer(0, 6, { discovery: { relay: 'serve' } })
    const peer = await hidden(relay.address)
    const third = await swarm.peer(0, 6, { discovery: { relay: 'use', join: [relay.address] } })
    await untilComplete([relay, peer, third])
    const client = await swarm.client({ discovery: { relay: 'use' } })
    const session = await connectRoute({ node: client, addresses: [peer.node.addresses[0]], model: stubModel() })
    expect(await session.step(request)).to.have.length(1)
    expect(peer.node.sessions).to.equal(1)
  })
})
