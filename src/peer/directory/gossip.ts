import { createHash } from 'node:crypto'
import type { GossipSub, GossipSubComponents, TopicValidatorResult } from '@libp2p/gossipsub'
import type { Stream } from '@libp2p/interface'
import {
  GOSSIP_BYTES_AT_ONCE, GOSSIP_BYTES_PER_SECOND, GOSSIP_DATA_BYTES, GOSSIP_MESH, GOSSIP_OUTBOUND_BYTES, GOSSIP_SEEN_MILLISECONDS, GOSSIP_TOPIC_BYTES,
  LEAST_RECORD_BYTES, MAXIMUM_GOSSIP_CONTROL, MAXIMUM_GOSSIP_IDS, MAXIMUM_GOSSIP_MESSAGES, MAXIMUM_GOSSIP_STREAMS, MAXIMUM_GOSSIP_SUBSCRIPTIONS, MAXIMUM_RECORD_BYTES, TOPIC_PREFIX
} from './constants.ts'
import type { Verdict } from './types.ts'

type Registrar = GossipSubComponents['registrar']

/** Announcements to everybody who follows a model. */
export interface Gossip {
  /** `take` decides on every announcement that comes, and thereby on whether it is passed on */
  follow (modelId: string, take: (bytes: Uint8Array, neighbour: string) => Promise<Verdict>): void
  publish (modelId: string, bytes: Uint8Array): Promise<void>
  /** PeerIds of connected peers that follow the model */
  neighbours (modelId: string): string[]
  /** called when a connected peer begins to follow a model that we follow */
  onNeighbour (listener: (modelId: string, peerId: string) => void): void
}

/** Whoever passes these on has not checked them, or has made them; whatever else is dropped may be nobody's fault. */
const FAULTS: ReadonlySet<Verdict> = new Set(['malformed', 'forged', 'model'])

/** Same content, same announcement; half a hash is enough to tell announcements of two minutes apart. */
function contentId (bytes: Uint8Array): Uint8Array {
  return createHash('sha256').update(bytes).digest().subarray(0, 16)
}

/**
 * Gossipsub for announcements, for the services of a libp2p node. Records are
 * signed by themselves, so its own signatures would only double the work.
 */
export async function gossipService (): Promise<(components: GossipSubComponents) => GossipSub> {
  const { gossipsub } = await import('@libp2p/gossipsub')
  return components => {
    const service: GossipSub = gossipsub({
      globalSignaturePolicy: 'StrictNoSign',
      msgIdFn: message => contentId(message.data),
      // checked before anything is remembered of a message: other topics than ours are no business of ours
      dataTransform: {
        inboundTransform (topic, data) {
          if (data.length > MAXIMUM_RECORD_BYTES || data.length < LEAST_RECORD_BYTES || !service.getTopics().includes(topic)) throw new Error('not wanted')
          return data
        },
        outboundTransform: (_topic, data) => data
      },
      ...GOSSIP_MESH,
      fallbackToFloodsub: false,
      allowPublishToZeroTopicPeers: true,
      ignoreDuplicatePublishError: true,
      batchPublish: true,
      seenTTL: GOSSIP_SEEN_MILLISECONDS,
      // peers of one home or one machine have one address
      scoreParams: { IPColocationFactorWeight: 0 },
      runOnLimitedConnection: true,
      maxInboundStreams: MAXIMUM_GOSSIP_STREAMS,
      maxOutboundStreams: MAXIMUM_GOSSIP_STREAMS,
      maxInboundDataLength: GOSSIP_DATA_BYTES,
      maxOutboundBufferSize: GOSSIP_OUTBOUND_BYTES,
      maxTopicBytesPerPeer: GOSSIP_TOPIC_BYTES,
      decodeRpcLimits: {
        maxSubscriptions: MAXIMUM_GOSSIP_SUBSCRIPTIONS,
        maxMessages: MAXIMUM_GOSSIP_MESSAGES,
        maxIhaveMessageIDs: MAXIMUM_GOSSIP_IDS,
        maxIwantMessageIDs: MAXIMUM_GOSSIP_IDS,
        maxIdontwantMessageIDs: MAXIMUM_GOSSIP_IDS,
        maxControlMessages: MAXIMUM_GOSSIP_CONTROL,
        maxPeerInfos: 0
      }
    })({
      privateKey: components.privateKey,
      peerId: components.peerId,
      peerStore: components.peerStore,
      registrar: metered(components.registrar),
      connectionManager: components.connectionManager,
      logger: components.logger
    })
    return service
  }
}

/** The part of gossipsub that the directory needs. */
export function createGossip (service: GossipSub): Gossip {
  return {
    follow (modelId, take) {
      const topic = TOPIC_PREFIX + modelId
      service.topicValidators.set(topic, async (peer, message) => {
        const verdict = await take(message.data, peer.toString())
        return (verdict === 'accepted' ? 'accept' : FAULTS.has(verdict) ? 'reject' : 'ignore') as TopicValidatorResult
      })
      service.subscribe(topic)
    },
    async publish (modelId, bytes) {
      await service.publish(TOPIC_PREFIX + modelId, bytes)
    },
    neighbours: modelId => service.getSubscribers(TOPIC_PREFIX + modelId).map(String),
    onNeighbour (listener) {
      service.addEventListener('subscription-change', ({ detail: { peerId, subscriptions } }) => {
        const followed = service.getTopics()
        for (const { topic, subscribe } of subscriptions) if (subscribe && followed.includes(topic)) listener(topic.slice(TOPIC_PREFIX.length), peerId.toString())
      })
    }
  }
}

/** A neighbour that sends more than all announcements of a large swarm together is cut off. */
export function metered (registrar: Registrar): Registrar {
  // `libp2p.use` would be the place for this, but in 3.3.11 it runs the handler once more for every stream opened before
  return new Proxy(registrar, {
    get (target, name) {
      if (name !== 'handle') {
        const value = Reflect.get(target, name) as unknown
        return typeof value === 'function' ? value.bind(target) : value
      }
      const handle: Registrar['handle'] = async (protocol, handler, options) => {
        await target.handle(protocol, (stream, connection) => {
          meter(stream)
          return handler(stream, connection)
        }, options)
      }
      return handle
    }
  })
}

function meter (stream: Stream): void {
  let bytes = GOSSIP_BYTES_AT_ONCE
  let last = performance.now()
  stream.addEventListener('message', ({ data }) => {
    const now = performance.now()
    bytes = Math.min(GOSSIP_BYTES_AT_ONCE, bytes + (now - last) * GOSSIP_BYTES_PER_SECOND / 1000) - data.byteLength
    last = now
    if (bytes < 0) stream.abort(new Error(`more than ${GOSSIP_BYTES_PER_SECOND} bytes a second`))
  })
}
