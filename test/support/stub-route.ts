import { defaultLogger } from '@libp2p/logger'
import { DEFAULT_DEADLINES } from '../../src/peer/constants.ts'
import { createLocalSession } from '../../src/peer/index.ts'
import type { CandidateSource, Deadlines, RouteProgress, RouteSession } from '../../src/peer/index.ts'
import { createCandidatePool } from '../../src/peer/client/candidate-pool.ts'
import { openLiveRoute } from '../../src/peer/client/live-route.ts'
import { createRemoteStage } from '../../src/peer/client/remote-stage.ts'
import { createRouteMembers } from '../../src/peer/client/route-members.ts'
import { createRouteSession } from '../../src/peer/client/route-session.ts'
import { createStepClock } from '../../src/peer/client/step-clock.ts'
import { unitWork } from '../../src/peer/client/unit-work.ts'
import type { UnitRange } from '../../src/model/index.ts'
import { createStubEngine, STUB_ARCHITECTURE } from './stub-engine.ts'
import { sessionId } from './stub-stages.ts'
import type { StubStages } from './stub-stages.ts'

const log = defaultLogger().forComponent('efedllm:test')

export interface StubRouteOptions {
  local?: UnitRange[]
  deadlines?: Partial<Deadlines>
  chunkRows?: number
  onProgress?: (event: RouteProgress) => void
  /** listeners that hear of changes of the candidates */
  listeners?: Set<() => void>
}

/** A session along stub stages, with everything of the client but sockets and keys. */
export async function stubRoute (stages: StubStages, options: StubRouteOptions = {}): Promise<RouteSession> {
  const id = sessionId()
  const history = { ids: [], sequence: 0, wanted: 0 }
  const deadlines = { ...DEFAULT_DEADLINES, ...options.deadlines }
  const listeners = options.listeners ?? new Set()
  const source: CandidateSource = {
    records: () => stages.records(),
    onChange (listener) {
      listeners.add(listener)
      return () => { listeners.delete(listener) }
    },
    refresh: async () => {},
    suspect: () => {}
  }
  const locals = (options.local ?? []).map(range => ({ engine: createStubEngine(range), range }))
  const route = await openLiveRoute({
    session: id,
    self: 'client-node',
    modelId: 'ab'.repeat(32),
    unitCount: STUB_ARCHITECTURE.layerCount + 2,
    capacity: 0,
    chunkRows: options.chunkRows ?? 16,
    history,
    promptIds: [],
    locals: locals.map(({ range }) => ({ range })),
    createMembers: events => createRouteMembers({
      ...events,
      session: id,
      architecture: STUB_ARCHITECTURE,
      locals,
      deadlines,
      clock: createStepClock(deadlines.stall),
      log,
      addresses: () => [],
      onPing: () => {},
      remote: peerId => createRemoteStage({ session: id, peerId, links: stages.links, connect: async () => { throw new Error('nobody connects here') }, disconnect: () => {} })
    }),
    pool: createCandidatePool([source], 'ab'.repeat(32), 'client-node'),
    awaitsCandidates: false,
    problems: () => [],
    costs: { unitWork: unitWork(STUB_ARCHITECTURE), hopSeconds: () => 1e-3, secondsPerWork: () => undefined, queueSeconds: () => 0 },
    deadlines,
    stopped: stages.links.stopped,
    log,
    onProgress: options.onProgress
  })
  return createRouteSession({ id, architecture: STUB_ARCHITECTURE, route, history, chunkRows: options.chunkRows ?? 16 })
}

/** What no failure disturbs. */
export function referenceSession (): RouteSession {
  return createLocalSession(createStubEngine({ from: 0, to: STUB_ARCHITECTURE.layerCount + 2 }))
}
