import { randomBytes } from 'node:crypto'
import type { Engine } from '../../engine/index.ts'
import { InvalidRequestError, RangeGapError } from '../errors.ts'
import { namedIds } from '../prefix-names.ts'
import type { LocalRouteOptions, RouteSession } from '../types.ts'
import { coverLocally, missingUnits } from './cover-locally.ts'
import { createFixedRoute } from './fixed-route.ts'
import { createLocalSegment } from './local-segment.ts'
import type { LocalSegment } from './local-segment.ts'
import { createRouteSession } from './route-session.ts'
import { unitNames } from './unit-names.ts'

/** Sessions of this process can only begin with each other's positions. */
const secret = randomBytes(16)

/** A session over engines of this process that together cover all units. Throws what `openSession` throws, RangeGapError. */
export function createLocalRoute (engines: Engine[], options: LocalRouteOptions = {}): RouteSession {
  if (engines.length === 0) throw new InvalidRequestError('a route needs an engine')
  const { architecture } = engines[0]
  const { promptIds, chunkRows } = options
  const cover = coverLocally(engines)
  const missing = missingUnits(cover, architecture.layerCount + 2)
  if (missing.length > 0) throw new RangeGapError(missing, unitNames(missing, architecture.layerCount + 2))
  const shares = options.sharePrefixes ?? promptIds !== undefined
  const ids = namedIds(promptIds ?? [])
  const capacity = options.capacity === undefined ? undefined : Math.min(options.capacity, architecture.contextLength)
  const segments: LocalSegment[] = []
  try {
    for (const [index, { engine, range }] of cover.entries()) {
      const passed = cover.slice(0, index).map(({ range }) => ({ range }))
      const naming = shares ? { secret, modelId: '', passed, ids, mixed: 0 } : undefined
      segments.push(createLocalSegment({ engine, range, stage: index + 1, capacity, naming, keeps: false }))
    }
  } catch (error) {
    for (const segment of segments) segment.close()
    throw error
  }
  const route = createFixedRoute(segments)
  const history = { ids: Array.from(ids.subarray(0, route.found)), sequence: 0, wanted: 0 }
  return createRouteSession({ id: randomBytes(16).toString('hex'), architecture, route, history, chunkRows })
}

/** A session over one engine that hosts all units. */
export function createLocalSession (engine: Engine, options: LocalRouteOptions = {}): RouteSession {
  return createLocalRoute([engine], options)
}
