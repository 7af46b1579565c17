import type { Connection } from '@libp2p/interface'
import { CLOCK_SKEW_MILLISECONDS } from './directory/constants.ts'
import { askRecords } from './directory/exchange.ts'
import type { Reachability } from './directory/index.ts'
import { DEFAULT_DEADLINES } from './constants.ts'
import { startedNode } from './node.ts'
import { mostCommon, surveySwarm } from './survey.ts'
import type { CheckedPeer, SurveyInit } from './survey.ts'
import type { AbortOptions } from './types.ts'

/** What is found about reachability is found about the ports of the node. */
export type DiagnoseInit = SurveyInit

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

/** Asks around. Throws nothing but the signal's reason, NotStartedError and InvalidAddressError. */
export async function diagnose ({ node, addresses, modelId: wanted }: DiagnoseInit, options: AbortOptions = {}): Promise<Diagnosis> {
  const { signal } = options
  const { peers, modelId, holders } = await surveySwarm({ node, addresses, modelId: wanted }, options)
  const { libp2p } = startedNode(node)
  const clocks = modelId === undefined ? [] : await readClocks(libp2p.getConnections(), modelId, signal)
  const reachability = await node.reachability(options)
  const clockSkewMilliseconds = clocks.length === 0 ? undefined : -clocks.sort((one, other) => one - other)[Math.floor(clocks.length / 2)]
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
