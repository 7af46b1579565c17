import { randomBytes } from 'node:crypto'
import { peerIdFromString } from '@libp2p/peer-id'
import { multiaddr } from '@multiformats/multiaddr'
import type { Architecture, UnitRange } from '../../model/index.ts'
import type { Engine } from '../../engine/index.ts'
import { DEFAULT_DEADLINES } from '../constants.ts'
import { untilDirect } from '../direct-connection.ts'
import { InvalidRequestError, NothingHostedError, OtherModelError, PeerUnreachableError, RangeGapError, RangeOverlapError } from '../errors.ts'
import { askPeer, startedNode } from '../node.ts'
import { namedIds } from '../prefix-names.ts'
import type { AbortOptions, ConnectRouteInit, Deadlines, PeerInfo, PeerNode, RouteSession, StageDescription } from '../types.ts'
import { createLocalSegment } from './local-segment.ts'
import { planRoute } from './plan-route.ts'
import { openRemoteChain } from './remote-chain.ts'
import { createRouteSession } from './route-session.ts'
import type { Segment, Sharing } from './segment.ts'

/** Makes the names of a node's prefixes its own. */
const secrets = new WeakMap<PeerNode, Uint8Array>()

function secretOf (node: PeerNode): Uint8Array {
  const secret = secrets.get(node) ?? randomBytes(16)
  secrets.set(node, secret)
  return secret
}

interface Candidate {
  range: UnitRange
  local: boolean
  engine?: Engine
  info?: PeerInfo
  address?: string
}

/**
 * Asks the addresses what they host, orders them into a route and opens a
 * session along it. Throws OtherModelError, PeerUnreachableError,
 * IncompatibleVersionError, RangeGapError, RangeOverlapError,
 * StageRefusedError, StageLostError, DeadlineError.
 */
export async function connectRoute (init: ConnectRouteInit, options: AbortOptions = {}): Promise<RouteSession> {
  const { signal } = options
  signal?.throwIfAborted()
  const deadlines = { ...DEFAULT_DEADLINES, ...init.deadlines }
  const { candidates, problems, architecture } = await findCandidates(init, deadlines, signal)
  const plan = planOrExplain(candidates, architecture.layerCount + 2, problems)
  const description = describe(plan)
  init.onProgress?.({ type: 'route:planned', route: description })
  const id = randomBytes(16).toString('hex')
  const segments = await openSegments(init, plan, description, id, architecture, deadlines, signal)
  init.onProgress?.({ type: 'route:open', session: id, route: description })
  return createRouteSession({ id, architecture, segments, promptIds: namedIds(init.promptIds ?? []), chunkRows: init.chunkRows })
}

async function findCandidates (init: ConnectRouteInit, deadlines: Deadlines, signal: AbortSignal | undefined): Promise<{ candidates: Candidate[], problems: Error[], architecture: Architecture }> {
  const { libp2p } = startedNode(init.node)
  const modelId = typeof init.model === 'string' ? init.model : init.model.modelId
  const candidates: Candidate[] = (init.local ?? []).map(engine => ({ range: engine.range, local: true, engine }))
  let architecture = typeof init.model === 'string' ? init.local?.[0]?.architecture : init.model.manifest.architecture
  const problems: Error[] = []
  const seen = new Set<string>()
  const asked = await Promise.allSettled(init.addresses.map(async address => await askPeer(libp2p, address, deadlines.info, signal)))
  signal?.throwIfAborted()
  for (const [index, outcome] of asked.entries()) {
    const address = init.addresses[index]
    let problem: Error | undefined
    if (outcome.status === 'rejected') {
      problem = outcome.reason as Error
    } else {
      const info = outcome.value
      if (seen.has(info.peerId)) continue
      seen.add(info.peerId)
      if (info.hosted === undefined) problem = new NothingHostedError(info.peerId)
      else if (info.hosted.modelId !== modelId) problem = new OtherModelError(info.peerId, modelId, info.hosted.modelId)
      else {
        init.onProgress?.({ type: 'route:info', address, info })
        architecture ??= info.hosted.manifest.architecture
        candidates.push({ range: info.hosted.range, local: false, info, address })
      }
    }
    if (problem !== undefined) {
      problems.push(problem)
      init.onProgress?.({ type: 'route:unusable', address, error: problem })
    }
  }
  if (architecture === undefined) throw explain(problems) ?? new InvalidRequestError('a route needs addresses or local engines')
  return { candidates, problems, architecture }
}

/** A peer that could not be used is the better explanation of a gap than the gap. */
function planOrExplain (candidates: Candidate[], unitCount: number, problems: Error[]): Candidate[] {
  try {
    return planRoute(candidates, unitCount)
  } catch (error) {
    if (error instanceof RangeGapError || error instanceof RangeOverlapError) throw explain(problems, error) ?? error
    throw error
  }
}

function explain (problems: Error[], consequence?: Error): Error | undefined {
  const problem = problems.find(error => error instanceof OtherModelError) ?? problems.find(error => !(error instanceof NothingHostedError)) ?? problems[0]
  if (problem !== undefined && consequence !== undefined) problem.message += ` (and without it, ${consequence.message})`
  return problem
}

function describe (plan: Candidate[]): StageDescription[] {
  return plan.map((candidate, index) => candidate.info === undefined
    ? { stage: index + 1, range: candidate.range, local: true }
    : { stage: index + 1, range: candidate.range, local: false, peerId: candidate.info.peerId, addresses: [candidate.address!] })
}

async function openSegments (init: ConnectRouteInit, plan: Candidate[], description: StageDescription[], id: string, architecture: Architecture, deadlines: Deadlines, signal: AbortSignal | undefined): Promise<Segment[]> {
  const { libp2p, links, log } = startedNode(init.node)
  const modelId = typeof init.model === 'string' ? init.model : init.model.modelId
  const shares = init.sharePrefixes ?? init.promptIds !== undefined
  const ids = namedIds(init.promptIds ?? [])
  const sharingFrom = (index: number): Sharing | undefined => shares ? { secret: secretOf(init.node), modelId, passed: description.slice(0, index), ids } : undefined
  const segments: Segment[] = []
  const openBy = performance.now() + deadlines.open
  try {
    for (let index = 0; index < plan.length;) {
      const { engine } = plan[index]
      if (engine !== undefined) {
        segments.push(createLocalSegment({ engine, stage: index + 1, capacity: init.capacity, sharing: sharingFrom(index) }))
        index++
        continue
      }
      let end = index
      while (end < plan.length && plan[end].info !== undefined) end++
      const stages = plan.slice(index, end).map(({ info, address }, offset) => ({
        description: { ...description[index + offset], peerId: info!.peerId },
        connect: async (signal: AbortSignal) => await connectTo(libp2p, info!.peerId, address!, signal)
      }))
      segments.push(await openRemoteChain({ session: id, self: libp2p.peerId.toString(), modelId, architecture, stages, stageCount: plan.length, capacity: init.capacity ?? 0, sharing: sharingFrom(index), openBy, deadlines, links, log }, { signal }))
      index = end
    }
    return segments
  } catch (error) {
    await Promise.all(segments.map(async segment => await segment.close()))
    if (signal?.aborted === true) throw signal.reason
    throw error
  }
}

async function connectTo (libp2p: ReturnType<typeof startedNode>['libp2p'], peerId: string, address: string, signal: AbortSignal): ReturnType<typeof libp2p.dial> {
  const present = libp2p.getConnections(peerIdFromString(peerId)).find(connection => connection.status === 'open')
  if (present !== undefined) return await untilDirect(libp2p, present, signal)
  const connection = await libp2p.dial(multiaddr(address), { signal })
  if (connection.remotePeer.toString() !== peerId) throw new PeerUnreachableError(peerId, new Error('another peer answers at its address'))
  return await untilDirect(libp2p, connection, signal)
}
