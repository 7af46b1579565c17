import { randomBytes } from 'node:crypto'
import { multiaddr } from '@multiformats/multiaddr'
import { STAGE_PROTOCOL } from '../../src/peer/constants.ts'
import { createPeerNode } from '../../src/peer/index.ts'
import type { PeerEvent, PeerNode, PeerNodeInit } from '../../src/peer/index.ts'
import { startedNode } from '../../src/peer/node.ts'
import { decodeOpened, Kind } from '../../src/peer/wire/index.ts'
import { manifestId } from '../../src/model/index.ts'
import type { Architecture, UnitRange } from '../../src/model/index.ts'
import { createRawLink } from './raw-link.ts'
import type { RawLink } from './raw-link.ts'
import { createStubEngine, stubManifest } from './stub-engine.ts'
import type { StubEngine, StubEngineOptions } from './stub-engine.ts'

export function stubModel (architecture?: Architecture, salt = 0) {
  const manifest = stubManifest(architecture, salt)
  return { modelId: manifestId(manifest), manifest }
}

export interface StubPeer {
  node: PeerNode
  engine: StubEngine
  /** PeerId, also when it is stopped */
  readonly id: string
  address: string
  events: PeerEvent[]
  /** resolves with the next event of this type, or one that has come already */
  event (type: PeerEvent['type'], count?: number): Promise<PeerEvent>
  /** cuts all connections without a word */
  cut (): void
}

export interface StubPeerOptions extends StubEngineOptions, Pick<PeerNodeInit, 'limits' | 'dialPolicy' | 'join' | 'listen' | 'discovery' | 'network' | 'dataDirectory' | 'share'> {
  salt?: number
}

/** Nodes of this test; `stop` them all in `afterEach`. */
export function createSwarm () {
  const nodes: PeerNode[] = []

  async function peer (from: number, to: number, options: StubPeerOptions = {}): Promise<StubPeer> {
    const engine = createStubEngine({ from, to }, options)
    const events: PeerEvent[] = []
    const waiters = new Set<() => void>()
    const node = createPeerNode({
      engine,
      model: stubModel(engine.architecture, options.salt),
      listen: options.listen ?? ['/ip4/127.0.0.1/tcp/0'],
      limits: options.limits,
      dialPolicy: options.dialPolicy,
      join: options.join,
      discovery: options.discovery,
      network: options.network,
      dataDirectory: options.dataDirectory,
      share: options.share,
      onEvent: event => {
        events.push(event)
        for (const waiter of waiters) waiter()
      }
    })
    nodes.push(node)
    await node.start()
    return {
      node,
      engine,
      id: node.peerId,
      address: node.addresses[0],
      events,
      async event (type, count = 1) {
        for (;;) {
          const found = events.filter(event => event.type === type)
          if (found.length >= count) return found[count - 1]
          await new Promise<void>(resolve => {
            const waiter = (): void => {
              waiters.delete(waiter)
              resolve()
            }
            waiters.add(waiter)
          })
        }
      },
      cut () {
        for (const connection of startedNode(node).libp2p.getConnections()) connection.abort(new Error('cut by the test'))
      }
    }
  }

  async function client (init: PeerNodeInit = {}): Promise<PeerNode> {
    const node = createPeerNode(init)
    nodes.push(node)
    await node.start()
    return node
  }

  return {
    peer,
    client,
    async peers (ranges: UnitRange[], options: StubPeerOptions = {}) {
      return await Promise.all(ranges.map(async ({ from, to }) => await peer(from, to, options)))
    },
    async stop () {
      await Promise.all(nodes.splice(0).map(async node => await node.stop()))
    }
  }
}

export type { RawLink }

export async function rawLink (node: PeerNode, address: string, session = randomBytes(16).toString('hex'), modelId = stubModel().modelId): Promise<RawLink> {
  const { libp2p, log } = startedNode(node)
  const connection = await libp2p.dial(multiaddr(address))
  const stream = await connection.newStream(STAGE_PROTOCOL)
  return createRawLink({ self: node.peerId, stream, peer: connection.remotePeer.toString(), remoteAddress: connection.remoteAddr.toString(), session, modelId, log })
}

/** Opens a session along two stages by hand, step by step as docs/protocol.md says; the caller has both links and the confirmation. */
export async function rawRoute (node: PeerNode, first: StubPeer, second: StubPeer, modelId = stubModel().modelId): Promise<{ session: string, links: [RawLink, RawLink], confirmation: Uint8Array }> {
  const session = randomBytes(16).toString('hex')
  const links: [RawLink, RawLink] = [await rawLink(node, first.address, session), await rawLink(node, second.address, session)]
  links[0].open({ range: first.engine.range, stage: 1, stages: 2, downstream: second.node.peerId, modelId })
  links[1].open({ range: second.engine.range, stage: 2, stages: 2, upstream: first.node.peerId, modelId })
  const [opened] = await Promise.all(links.map(async link => await link.next(Kind.opened)))
  links[1].send({ kind: Kind.confirm, record: decodeOpened(opened.record!).nonce })
  const confirmation = (await links[1].next(Kind.confirmed)).record!
  links[0].send({ kind: Kind.connect, record: confirmation })
  await links[0].next(Kind.done)
  return { session, links, confirmation }
}

/** The error that a promise is rejected with. */
export async function rejection (promise: Promise<unknown>): Promise<Error> {
  try {
    await promise
  } catch (error) {
    return error as Error
  }
  throw new Error('it did not fail')
}
