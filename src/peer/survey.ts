import { peerIdFromString } from '@libp2p/peer-id'
import type { Ping } from '@libp2p/ping'
import type { UnitRange } from '../model/index.ts'
import { PeerError } from './errors.ts'
import { startedNode } from './node.ts'
import type { AbortOptions, PeerInfo, PeerNode } from './types.ts'

export interface SurveyInit {
  /** a started node with `discovery` */
  node: PeerNode
  /** multiaddrs of peers to ask */
  addresses: readonly string[]
  /** default: the one that most of the peers asked host */
  modelId?: string
}

export interface CheckedPeer {
  /** where it was asked */
  address: string
  /** undefined where nobody answered */
  info?: PeerInfo
  /** to the peer and back, in whole milliseconds; undefined where it was not measured */
  roundTripMilliseconds?: number
  error?: Error
}

/** Who hosts what, as the peers themselves say. */
export interface Survey {
  peers: CheckedPeer[]
  modelId?: string
  /** how many peers serve each unit of the model, embed first; undefined where nobody hosts it */
  holders?: number[]
}

/** Peers that are asked themselves, beside those given: enough to see a pattern. */
const ASKED_PEERS = 32

/** Asks the given peers, and those that they know of. Throws nothing but the signal's reason, NotStartedError and InvalidAddressError. */
export async function surveySwarm ({ node, addresses, modelId: wanted }: SurveyInit, options: AbortOptions = {}): Promise<Survey> {
  const { signal } = options
  const given = await askAll(node, addresses, signal)
  const modelId = wanted ?? mostCommon(given.flatMap(({ info }) => info?.hosted?.modelId ?? []))
  if (modelId === undefined) return { peers: given }
  await node.directory?.refresh(modelId, options)
  const asked = new Set(given.flatMap(({ info }) => info?.peerId ?? []))
  const further = (node.directory?.records(modelId) ?? []).filter(({ peerId, addresses }) => !asked.has(peerId) && addresses.length > 0)
  const peers = [...given, ...await askAll(node, further.slice(0, ASKED_PEERS).map(({ addresses }) => addresses[0]), signal)]
  return { peers, modelId, holders: countHolders(peers, modelId) }
}

export function mostCommon (values: readonly string[]): string | undefined {
  const counts = new Map<string, number>()
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1)
  return [...counts].sort((one, other) => other[1] - one[1])[0]?.[0]
}

async function askAll (node: PeerNode, addresses: readonly string[], signal: AbortSignal | undefined): Promise<CheckedPeer[]> {
  return await Promise.all(addresses.map(async (address): Promise<CheckedPeer> => {
    try {
      const info = await node.info(address, { signal })
      return { address, info, roundTripMilliseconds: await roundTrip(node, info.peerId, signal) }
    } catch (error) {
      signal?.throwIfAborted()
      if (!(error instanceof PeerError) || error.code === 'ERR_INVALID_ADDRESS') throw error
      return { address, error }
    }
  }))
}

async function roundTrip (node: PeerNode, peerId: string, signal: AbortSignal | undefined): Promise<number | undefined> {
  const { ping } = startedNode(node).libp2p.services as unknown as { ping: Ping }
  // a peer that answers questions and no pings is a peer all the same
  return await ping.ping(peerIdFromString(peerId), { signal }).catch(() => undefined)
}

function countHolders (peers: readonly CheckedPeer[], modelId: string): number[] | undefined {
  const hosted = new Map(peers.flatMap(({ info }) => info?.hosted?.modelId === modelId ? [[info.peerId, info.hosted] as const] : []))
  const [first] = hosted.values()
  if (first === undefined) return undefined
  const ranges: UnitRange[] = [...hosted.values()].flatMap(({ ranges }) => ranges.filter(({ state }) => state === 'serving').map(({ range }) => range))
  return Array.from({ length: first.manifest.architecture.layerCount + 2 }, (_value, unit) => ranges.filter(({ from, to }) => from <= unit && unit < to).length)
}
