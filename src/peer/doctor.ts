import type { Connection } from '@libp2p/interface'
import type { UnitRange } from '../model/index.ts'
import { CLOCK_SKEW_MILLISECONDS } from './directory/constants.ts'
import { askRecords } from './directory/exchange.ts'
import type { Reachability } from './directory/index.ts'
import { DEFAULT_DEADLINES } from './constants.ts'
import { PeerError } from './errors.ts'
import { startedNode } from './node.ts'
import type { AbortOptions, PeerInfo, PeerNode } from './types.ts'

export interface DiagnoseInit {
  /** a started node with `discovery`; what is found about reachability is found about its ports */
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
  error?: Error
}

export type Problem =
  | { kind: 'nobody' }
  | { kind: 'unreachable', reason: string }
  | { kind: 'clock', milliseconds: number }
  | { kind: 'peer', address: string, message: string }
  | { kind: 'model', address: string, modelId: string }
  | { kind: 'version', address: string, software: string }
  | { kind: 'coverage', missing: number[] }

/** What is right and what is wrong with a machine's place in a swarm. */
export interface Diagnosis {
  reachability: Reachability
  /** of this machine's clock, ahead of those of the peers; undefined where nobody could be asked */
  clockSkewMilliseconds?: number
  peers: CheckedPeer[]
  modelId?: string
  /** how many peers serve each unit of the model, embed first */
  holders?: number[]
  problems: Problem[]
}

/** Peers that are asked themselves, beside those given: enough to see a pattern. */
const ASKED_PEERS = 32

/** Asks around. Throws nothing but the signal's reason, NotStartedError and InvalidAddressError. */
export async function diagnose ({ node, addresses, modelId: wanted }: DiagnoseInit, options: AbortOptions = {}): Promise<Diagnosis> {
  const { signal } = options
  const given = await askAll(node, addresses, signal)
  const modelId = wanted ?? mostCommon(given.flatMap(({ info }) => info?.hosted?.modelId ?? []))
  const { libp2p } = startedNode(node)
  const clocks = modelId === undefined ? [] : await readClocks(libp2p.getConnections(), modelId, signal)
  if (modelId !== undefined) await node.directory?.refresh(modelId, options)
  const asked = new Set(given.flatMap(({ info }) => info?.peerId ?? []))
  const further = modelId === undefined ? [] : (node.directory?.records(modelId) ?? []).filter(({ peerId, addresses }) => !asked.has(peerId) && addresses.length > 0)
  const peers = [...given, ...await askAll(node, further.slice(0, ASKED_PEERS).map(({ addresses }) => addresses[0]), signal)]
  const reachability = await node.reachability(options)
  const clockSkewMilliseconds = clocks.length === 0 ? undefined : -clocks.sort((one, other) => one - other)[Math.floor(clocks.length / 2)]
  const holders = modelId === undefined ? undefined : countHolders(peers, modelId)
  const found = { reachability, clockSkewMilliseconds, peers, modelId, holders }
  return { ...found, problems: findProblems(found) }
}

/** Pure: what of this somebody should do something about. */
export function findProblems ({ reachability, clockSkewMilliseconds, peers, modelId, holders }: Omit<Diagnosis, 'problems'>): Problem[] {
  const problems: Problem[] = []
  if (!peers.some(({ info }) => info !== undefined)) problems.push({ kind: 'nobody' })
  if (reachability.status === 'unreachable') problems.push({ kind: 'unreachable', reason: reachability.reason })
  if (clockSkewMilliseconds !== undefined && Math.abs(clockSkewMilliseconds) > CLOCK_SKEW_MILLISECONDS) problems.push({ kind: 'clock', milliseconds: clockSkewMilliseconds })
  const software = mostCommon(peers.flatMap(({ info }) => info?.software ?? []))
  for (const { address, info, error } of peers) {
    if (error !== undefined) problems.push({ kind: 'peer', address, message: error.message })
    if (info === undefined) continue
    if (info.hosted !== undefined && info.hosted.modelId !== modelId) problems.push({ kind: 'model', address, modelId: info.hosted.modelId })
    if (info.software !== software) problems.push({ kind: 'version', address, software: info.software })
  }
  const missing = holders?.flatMap((count, unit) => count === 0 ? [unit] : []) ?? []
  if (missing.length > 0) problems.push({ kind: 'coverage', missing })
  return problems
}

async function askAll (node: PeerNode, addresses: readonly string[], signal: AbortSignal | undefined): Promise<CheckedPeer[]> {
  return await Promise.all(addresses.map(async (address): Promise<CheckedPeer> => {
    try {
      return { address, info: await node.info(address, { signal }) }
    } catch (error) {
      signal?.throwIfAborted()
      if (!(error instanceof PeerError) || error.code === 'ERR_INVALID_ADDRESS') throw error
      return { address, error }
    }
  }))
}

/** How far the clocks of peers are ahead of ours, milliseconds. */
async function readClocks (connections: Connection[], modelId: string, signal: AbortSignal | undefined): Promise<number[]> {
  const deadline = AbortSignal.timeout(DEFAULT_DEADLINES.info)
  const both = signal === undefined ? deadline : AbortSignal.any([signal, deadline])
  const read = await Promise.allSettled(connections.map(async connection => {
    const before = Date.now()
    const { clock } = await askRecords(connection, modelId, both)
    return clock - (before + Date.now()) / 2
  }))
  signal?.throwIfAborted()
  return read.flatMap(outcome => outcome.status === 'fulfilled' ? [outcome.value] : [])
}

function countHolders (peers: readonly CheckedPeer[], modelId: string): number[] | undefined {
  const hosted = new Map(peers.flatMap(({ info }) => info?.hosted?.modelId === modelId ? [[info.peerId, info.hosted] as const] : []))
  const [first] = hosted.values()
  if (first === undefined) return undefined
  const ranges: UnitRange[] = [...hosted.values()].flatMap(({ ranges }) => ranges.filter(({ state }) => state === 'serving').map(({ range }) => range))
  return Array.from({ length: first.manifest.architecture.layerCount + 2 }, (_value, unit) => ranges.filter(({ from, to }) => from <= unit && unit < to).length)
}

function mostCommon (values: readonly string[]): string | undefined {
  const counts = new Map<string, number>()
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1)
  return [...counts].sort((one, other) => other[1] - one[1])[0]?.[0]
}
