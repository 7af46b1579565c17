import { InvalidPlanOptionError } from '../errors.ts'
import { createGraph, place } from './graph.ts'
import { cheapestRoute } from './once-search.ts'
import type { Leg } from './cheapest-path.ts'
import type { Graph } from './graph.ts'
import type { NoRoute, Route, RouteRequest } from './types.ts'

/**
 * The route of the shortest expected time for one token: hops, queues and
 * computing, of peers that each run a part of what they hold, or all. Exact
 * (once-search.ts names the one exception). The order of `holders` does not
 * matter.
 *
 * With `spread`, one of the routes that cost at most `factor` more than the
 * best: every peer's time is taken for longer by a share in [0, factor) that
 * the seed and the peer's id decide. Peers that are alike get equal shares of
 * many sessions, a peer that is a little better gets more, and one that is
 * worse by more than the factor gets nothing.
 *
 * @throws InvalidPlanOptionError where the span is no range of the model's units
 */
export function chooseRoute (request: RouteRequest): Route | NoRoute {
  const { span, unitWork } = request
  if (!(Number.isInteger(span.from) && Number.isInteger(span.to) && span.from >= 0 && span.from < span.to && span.to <= unitWork.length)) {
    throw new InvalidPlanOptionError('span', `${span.from}:${span.to} is no range of ${unitWork.length} units`)
  }
  const graph = createGraph(request)
  const missing = unheldUnits(graph)
  if (missing.length > 0) return { missing: missing.map(unit => unit + span.from), blocked: false }
  const path = cheapestRoute(graph)
  if ('reached' in path) return { missing: [path.reached + span.from], blocked: true }
  return {
    stages: path.legs.map(({ holder, from, to }) => ({
      peer: graph.holders[holder].peer,
      range: { from: from + span.from, to: to + span.from },
      local: graph.holders[holder].local === true
    })),
    ...routeTimes(request, graph, path.legs)
  }
}

function unheldUnits ({ unitCount, from, to }: Graph): number[] {
  return Array.from({ length: unitCount }, (_, unit) => unit).filter(unit => !from.some((begin, holder) => begin <= unit && unit < to[holder]))
}

/** Time of a route and its cost, without what spreads load. */
function routeTimes ({ hopSeconds, before, after }: RouteRequest, { holders, secondsPerWork, work }: Graph, legs: readonly Leg[]): Pick<Route, 'seconds' | 'cost'> {
  let seconds = 0
  let cost = 0
  let last = before
  for (const { holder, from, to } of legs) {
    const { queueSeconds = 0, weight = 1 } = holders[holder]
    const next = place(holders[holder])
    const stage = hopSeconds(last, next) + queueSeconds + secondsPerWork[holder] * work.subarray(from, to).reduce((sum, part) => sum + part, 0)
    seconds += stage
    cost += stage * weight
    last = next
  }
  const back = hopSeconds(last, after)
  return { seconds: seconds + back, cost: cost + back }
}
