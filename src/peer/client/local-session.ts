import { randomBytes } from 'node:crypto'
import type { Engine } from '../../engine/index.ts'
import { InvalidRequestError } from '../errors.ts'
import { namedIds } from '../prefix-names.ts'
import type { LocalRouteOptions, RouteSession } from '../types.ts'
import { createLocalSegment } from './local-segment.ts'
import { planRoute } from './plan-route.ts'
import { createRouteSession } from './route-session.ts'
import type { Segment } from './segment.ts'

/** Sessions of this process can only begin with each other's positions. */
const secret = randomBytes(16)

/** A session over engines of this process that together cover all units. Throws what `openSession` throws, RangeGapError, RangeOverlapError. */
export function createLocalRoute (engines: Engine[], options: LocalRouteOptions = {}): RouteSession {
  if (engines.length === 0) throw new InvalidRequestError('a route needs an engine')
  const { architecture } = engines[0]
  const plan = planRoute(engines.map(engine => ({ range: engine.range, local: true, engine })), architecture.layerCount + 2)
  const { capacity, promptIds } = options
  const shares = options.sharePrefixes ?? promptIds !== undefined
  const ids = namedIds(promptIds ?? [])
  const segments: Segment[] = []
  try {
    for (const [index, { engine }] of plan.entries()) {
      const sharing = shares ? { secret, modelId: '', passed: plan.slice(0, index), ids } : undefined
      segments.push(createLocalSegment({ engine, stage: index + 1, capacity: capacity === undefined ? undefined : Math.min(capacity, architecture.contextLength), sharing }))
    }
  } catch (error) {
    for (const segment of segments) segment.close()
    throw error
  }
  return createRouteSession({ id: randomBytes(16).toString('hex'), architecture, segments, promptIds: ids, chunkRows: options.chunkRows })
}

/** A session over one engine that hosts all units. */
export function createLocalSession (engine: Engine, options: LocalRouteOptions = {}): RouteSession {
  return createLocalRoute([engine], options)
}
