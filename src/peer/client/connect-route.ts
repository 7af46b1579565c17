import { randomBytes } from 'node:crypto'
import type { Architecture } from '../../model/index.ts'
import { DEFAULT_DEADLINES, CHUNK_ROWS } from '../constants.ts'
import { InvalidRequestError } from '../errors.ts'
import { askPeer, startedNode } from '../node.ts'
import { namedIds } from '../prefix-names.ts'
import type { AbortOptions, CandidateSource, ConnectRouteInit, Deadlines, PeerNode, RouteSession } from '../types.ts'
import { connectTo, createCandidatePool, disconnectFrom } from './candidate-pool.ts'
import type { CandidatePool } from './candidate-pool.ts'
import { coverLocally, missingUnits } from './cover-locally.ts'
import { createGivenPeers } from './given-peers.ts'
import type { GivenPeers } from './given-peers.ts'
import type { History } from './history.ts'
import { openLiveRoute } from './live-route.ts'
import type { PlannedStage } from './choose-stages.ts'
import { worstProblem } from './open-route.ts'
import { createRemoteStage } from './remote-stage.ts'
import { routeCosts } from './route-costs.ts'
import { createRouteMembers } from './route-members.ts'
import { createRouteSession } from './route-session.ts'
import { createStepClock } from './step-clock.ts'

/** Makes the names of a node's prefixes its own. */
const secrets = new WeakMap<PeerNode, Uint8Array>()

function secretOf (node: PeerNode): Uint8Array {
  const secret = secrets.get(node) ?? randomBytes(16)
  secrets.set(node, secret)
  return secret
}

/**
 * Asks the addresses what they host, chooses a route among all candidates and
 * opens a session along it. A stage that refuses or is lost meanwhile is
 * replaced. Throws OtherModelError, PeerUnreachableError,
 * IncompatibleVersionError, RangeGapError, StageRefusedError, StageLostError,
 * DeadlineError.
 */
export async function connectRoute (init: ConnectRouteInit, options: AbortOptions = {}): Promise<RouteSession> {
  const { signal } = options
  const { node, onProgress, capacity } = init
  signal?.throwIfAborted()
  const { libp2p, links, log } = startedNode(node)
  const deadlines: Deadlines = { ...DEFAULT_DEADLINES, ...init.deadlines }
  const modelId = typeof init.model === 'string' ? init.model : init.model.modelId
  const given = createGivenPeers({ libp2p, addresses: init.addresses, modelId, milliseconds: deadlines.info, onProgress })
  const further = init.candidates ?? node.directory
  const pool = createCandidatePool(further === undefined ? [given] : [given, further], modelId, libp2p.peerId.toString())
  await given.gather(() => {
    const known = typeof init.model === 'string' ? given.infos[0]?.hosted?.manifest : init.model.manifest
    const hosted = [...pool.records().flatMap(({ ranges }) => ranges), ...init.local ?? []]
    return known !== undefined && missingUnits(hosted, known.architecture.layerCount + 2).length === 0
  }, { signal })
  const architecture = await findArchitecture(init, given, further, modelId, deadlines, signal)
  const unitCount = architecture.layerCount + 2
  const costs = routeCosts(node, modelId, architecture)
  // libp2p sees to its connections by itself, whether or not a stage of ours is at the other end
  for (const { remotePeer, rtt } of libp2p.getConnections()) if (rtt !== undefined) costs.recordPing(remotePeer.toString(), rtt / 2)
  const locals = coverLocally(init.local ?? [])
  const id = randomBytes(16).toString('hex')
  const promptIds = namedIds(init.promptIds ?? [])
  const shares = init.sharePrefixes ?? init.promptIds !== undefined
  const history: History = { ids: [], sequence: 0, wanted: 0 }
  const addressesOf = rememberAddresses(pool)
  const route = await openLiveRoute({
    session: id,
    self: libp2p.peerId.toString(),
    modelId,
    unitCount,
    capacity: capacity ?? 0,
    chunkRows: init.chunkRows ?? CHUNK_ROWS,
    handOver: init.handOver,
    history,
    promptIds,
    locals: locals.map(({ range }): PlannedStage => ({ range })),
    createMembers: events => createRouteMembers({
      ...events,
      session: id,
      architecture,
      locals,
      capacity,
      sharing: shares ? { secret: secretOf(node), modelId } : undefined,
      deadlines,
      clock: createStepClock(deadlines.stall),
      log,
      addresses: addressesOf,
      onPing: costs.recordPing,
      remote: peerId => createRemoteStage({
        session: id,
        peerId,
        links,
        connect: async signal => await connectTo(libp2p, peerId, addressesOf(peerId), signal),
        disconnect: () => disconnectFrom(libp2p, peerId)
      })
    }),
    pool,
    awaitsCandidates: further !== undefined,
    problems: () => given.problems,
    costs,
    deadlines,
    stopped: links.stopped,
    log,
    onProgress
  }, { signal })
  onProgress?.({ type: 'route:open', session: id, route: route.stages })
  for (let position = 0; position < route.found; position++) history.ids.push(promptIds[position])
  const onStep = costs.recordStep
  return createRouteSession({ id, architecture, route, history, chunkRows: init.chunkRows, onStep })
}

/** Of a peer that is part of the route while nobody announces it any more, too. */
function rememberAddresses (pool: CandidatePool): (peerId: string) => string[] {
  const known = new Map<string, string[]>()
  return peerId => {
    const addresses = pool.records().find(record => record.peerId === peerId)?.addresses ?? known.get(peerId) ?? []
    known.set(peerId, addresses)
    return addresses
  }
}

/** A client that has only the id of a model learns the rest from the first peer that hosts it. */
async function findArchitecture ({ model, local, node }: ConnectRouteInit, given: GivenPeers, further: CandidateSource | undefined, modelId: string, deadlines: Deadlines, signal: AbortSignal | undefined): Promise<Architecture> {
  if (typeof model !== 'string') return model.manifest.architecture
  const known = local?.[0]?.architecture ?? given.infos[0]?.hosted?.manifest.architecture
  if (known !== undefined) return known
  const { libp2p } = startedNode(node)
  await further?.refresh(modelId, { signal })
  for (const { addresses } of further?.records(modelId) ?? []) {
    const info = await askPeer(libp2p, addresses[0], deadlines.info, signal).catch(() => undefined)
    signal?.throwIfAborted()
    if (info?.hosted?.modelId === modelId) return info.hosted.manifest.architecture
  }
  throw worstProblem(given.problems) ?? new InvalidRequestError('a route needs addresses, candidates or local engines')
}
