import { randomBytes } from 'node:crypto'
import type { Engine } from '../../engine/index.ts'
import { InvalidRequestError } from '../errors.ts'
import type { RouteSession } from '../types.ts'
import { createLocalSegment } from './local-segment.ts'
import { planRoute } from './plan-route.ts'
import { createRouteSession } from './route-session.ts'
import type { Segment } from './segment.ts'

/** A session over engines of this process that together cover all units. Throws what `openSession` throws, RangeGapError, RangeOverlapError. */
export function createLocalRoute (engines: Engine[], options: { capacity?: number, chunkRows?: number } = {}): RouteSession {
  if (engines.length === 0) throw new InvalidRequestError('a route needs an engine')
  const { architecture } = engines[0]
  const plan = planRoute(engines.map(engine => ({ range: engine.range, local: true, engine })), architecture.layerCount + 2)
  const capacity = Math.min(options.capacity ?? architecture.contextLength, architecture.contextLength)
  const segments: Segment[] = []
  try {
    for (const [index, { engine }] of plan.entries()) segments.push(createLocalSegment(engine, index + 1, capacity))
  } catch (error) {
    for (const segment of segments) segment.close()
    throw error
  }
  return createRouteSession({ id: randomBytes(16).toString('hex'), architecture, segments, chunkRows: options.chunkRows })
}

/** A session over one engine that hosts all units. */
export function createLocalSession (engine: Engine, options: { capacity?: number, chunkRows?: number } = {}): RouteSession {
  return createLocalRoute([engine], options)
}
