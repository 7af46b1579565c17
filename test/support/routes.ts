import fc from 'fast-check'
import type { RouteHolder, RouteRequest, RouteStage } from '../../src/partition/index.ts'

const peers = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h']

/** Requests with overlapping ranges, peers that come twice, local engines, hops that break the triangle inequality, neighbours. */
export function anyRouteRequest ({ maxHolders = 5, maxUnits = 5 } = {}): fc.Arbitrary<RouteRequest> {
  const peer = fc.constantFrom(...peers)
  return fc.record({
    units: fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: maxUnits }),
    holders: fc.array(fc.record({
      peer,
      ends: fc.tuple(fc.nat(maxUnits), fc.nat(maxUnits)),
      secondsPerWork: fc.integer({ min: 1, max: 20 }),
      queueSeconds: fc.nat(9),
      weight: fc.constantFrom(1, 1, 2, 0.5),
      local: fc.constantFrom(undefined, undefined, undefined, true)
    }), { minLength: 1, maxLength: maxHolders }),
    hops: fc.array(fc.nat(30), { minLength: 81, maxLength: 81 }),
    avoidPeers: fc.array(peer, { maxLength: 1 }),
    pairs: fc.array(fc.tuple(peer, peer), { maxLength: 2 }),
    before: fc.option(peer, { nil: undefined }),
    after: fc.option(peer, { nil: undefined })
  }).map(({ units, holders, hops, avoidPeers, pairs, before, after }) => {
    const number = (peer: string | undefined) => peer === undefined ? 8 : peers.indexOf(peer)
    return {
      span: { from: 0, to: units.length },
      unitWork: units,
      // a peer has one speed, whatever it holds
      holders: holders.map(({ ends: [a, b], ...holder }): RouteHolder => ({
        ...holder, secondsPerWork: holders.find(({ peer }) => peer === holder.peer)!.secondsPerWork, range: { from: Math.min(a, b), to: Math.max(a, b) + 1 }
      })),
      hopSeconds: (from, to) => hops[number(from) * 9 + number(to)] ?? 1,
      before,
      after,
      avoid: { peers: avoidPeers, pairs }
    }
  })
}

/** Cost of a route, or NaN where it is none: a gap, a peer twice, something that is to be avoided. Of holders of a peer, the cheapest. */
export function routeCost (request: RouteRequest, stages: readonly RouteStage[]): number {
  const { span, holders, unitWork, hopSeconds, before, after, avoid } = request
  const refused = new Set([...avoid?.peers ?? [], before, after])
  const apart = new Set([...avoid?.pairs ?? []].flatMap(([a, b]) => [`${a} ${b}`, `${b} ${a}`]))
  const used = new Set<string>()
  let cost = 0
  let last = before
  let next = span.from
  for (const { peer, range, local } of stages) {
    if (range.from !== next || range.to <= range.from || (!local && (used.has(peer) || refused.has(peer)))) return NaN
    if (!local) used.add(peer)
    const place = local ? undefined : peer
    if (apart.has(`${last} ${place}`)) return NaN
    const work = unitWork.slice(range.from, range.to).reduce((sum, unit) => sum + unit, 0)
    const able = holders.filter(holder => holder.peer === peer && (holder.local === true) === local && holder.range.from <= range.from && range.to <= holder.range.to)
    cost += Math.min(...able.map(({ queueSeconds = 0, weight = 1, secondsPerWork = NaN }) => weight * (hopSeconds(last, place) + queueSeconds + secondsPerWork * work)))
    last = place
    next = range.to
  }
  if (next !== span.to || apart.has(`${last} ${after}`)) return NaN
  return cost + hopSeconds(last, after)
}

/** Least cost of all routes; undefined where there is none. */
export function bruteForceRoute (request: RouteRequest): number | undefined {
  const { span, holders } = request
  let best = Infinity
  const visit = (stages: RouteStage[], from: number): void => {
    if (from === span.to) {
      const cost = routeCost(request, stages)
      if (cost < best) best = cost
      return
    }
    for (const { peer, range, local } of holders) {
      if (range.from > from || range.to <= from || (local !== true && stages.some(stage => !stage.local && stage.peer === peer))) continue
      for (let to = from + 1; to <= Math.min(range.to, span.to); to++) visit([...stages, { peer, range: { from, to }, local: local === true }], to)
    }
  }
  visit([], span.from)
  return best === Infinity ? undefined : best
}
