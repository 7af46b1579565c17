import { createMeasurements, routeWork } from '../../partition/index.ts'
import type { Measurements } from '../../partition/index.ts'
import type { Architecture } from '../../model/index.ts'
import { MEASURE_INTERVAL_MILLISECONDS, UNMEASURED_STEP_SECONDS } from '../constants.ts'
import type { PeerNode, StageDescription, StepTimings } from '../types.ts'
import type { RouteCosts } from './choose-stages.ts'
import { unitWork } from './unit-work.ts'

/** What a node has measured of peers that host a model, over all of its sessions. */
export interface NodeCosts extends RouteCosts {
  /** half of a round trip */
  recordPing (peerId: string, milliseconds: number): void
  /** a step of one chunk; most are passed over */
  recordStep (route: readonly StageDescription[], timings: StepTimings, rows: number): void
}

const nodes = new WeakMap<PeerNode, Map<string, NodeCosts>>()

/** The costs of a model, as this node knows them. */
export function routeCosts (node: PeerNode, modelId: string, architecture: Architecture): NodeCosts {
  const models = nodes.get(node) ?? new Map<string, NodeCosts>()
  nodes.set(node, models)
  const costs = models.get(modelId) ?? createNodeCosts(workOf(architecture))
  models.set(modelId, costs)
  return costs
}

function workOf (architecture: Architecture): number[] {
  const nothing = { memoryBytes: 0, storedBytes: 0, keyValueBytes: 0 }
  return routeWork({ units: unitWork(architecture).map(work => ({ ...nothing, work })), tied: { memoryBytes: 0, storedBytes: 0 }, pagePositions: 1 })
}

function createNodeCosts (work: number[]): NodeCosts {
  const measurements: Measurements = createMeasurements(work)
  let last = -Infinity
  return {
    unitWork: work,
    hopSeconds: measurements.hopSeconds,
    leastHopSeconds: measurements.leastHopSeconds,
    secondsPerWork: peerId => measurements.secondsPerWork(peerId),
    // what was measured has the waiting in it
    queueSeconds: ({ peerId, queuedSteps = 0 }) => measurements.secondsPerWork(peerId) === undefined ? queuedSteps * UNMEASURED_STEP_SECONDS : 0,
    recordPing: (peerId, milliseconds) => measurements.recordPing(peerId, milliseconds / 1000, performance.now() / 1000),
    recordStep (route, { totalMilliseconds, computeMilliseconds, chunks }, rows) {
      const now = performance.now()
      if (chunks !== 1 || now - last < MEASURE_INTERVAL_MILLISECONDS) return
      last = now
      measurements.recordStep({
        stages: route.map(({ peerId, range, local }, index) => ({ peer: peerId ?? '', range, local, claimedSeconds: computeMilliseconds[index] / 1000 })),
        totalSeconds: totalMilliseconds / 1000,
        rows,
        atSeconds: now / 1000
      })
    }
  }
}
