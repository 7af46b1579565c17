import { expect } from 'chai'
import fc from 'fast-check'
import { chooseRoute, holderSpeeds, InvalidPlanOptionError, routeWork } from '../../../src/partition/index.ts'
import { anyCosts } from '../../support/machines.ts'
import { anyRouteRequest, bruteForceRoute, routeCost } from '../../support/routes.ts'
import type { Route, RouteHolder, RouteRequest } from '../../../src/partition/index.ts'

const hop = () => 1
const holder = (peer: string, from: number, to: number, secondsPerWork = 1): RouteHolder => ({ peer, range: { from, to }, secondsPerWork })

function request (holders: RouteHolder[], more: Partial<RouteRequest> = {}): RouteRequest {
  return { span: { from: 0, to: 4 }, holders, unitWork: [1, 1, 1, 1], hopSeconds: hop, ...more }
}

function found (request: RouteRequest): Route {
  const route = chooseRoute(request)
  if (!('stages' in route)) throw new Error(`no route: ${JSON.stringify(route)}`)
  return route
}

const names = ({ stages }: Route) => stages.map(({ peer, range: { from, to } }) => `${peer} ${from}:${to}`).join(', ')

describe('partition: chooseRoute', () => {
  for (const span of [{ from: 0, to: 0 }, { from: -1, to: 2 }, { from: 0, to: 5 }, { from: 0.5, to: 2 }]) {
    it(`refuses the span ${span.from}:${span.to} of four units`, () => {
      expect(() => chooseRoute(request([], { span }))).to.throw(InvalidPlanOptionError)
    })
  }

  it('names the units that nobody holds', () => {
    expect(chooseRoute(request([]))).to.deep.equal({ missing: [0, 1, 2, 3], blocked: false })
    expect(chooseRoute(request([holder('a', 0, 1), holder('b', 3, 4)]))).to.deep.equal({ missing: [1, 2], blocked: false })
    expect(chooseRoute(request([holder('a', 0, 4)], { avoid: { peers: ['a'] } }))).to.deep.equal({ missing: [0, 1, 2, 3], blocked: false })
  })

  it('says so where all units have holders that cannot follow each other', () => {
    const two = [holder('a', 0, 2), holder('b', 2, 4)]
    expect(chooseRoute(request(two, { avoid: { pairs: [['b', 'a']] } }))).to.deep.equal({ missing: [2], blocked: true })
    expect(chooseRoute(request([holder('a', 0, 1), holder('b', 1, 3), holder('a', 3, 4)]))).to.deep.equal({ missing: [3], blocked: true })
  })

  it('runs parts of what peers hold', () => {
    expect(names(found(request([holder('slow', 0, 4, 5), holder('fast', 1, 3, 1)])))).to.equal('slow 0:4')
    expect(names(found(request([holder('a', 0, 3, 5), holder('b', 1, 4, 1)])))).to.equal('a 0:1, b 1:4')
  })

  it('does not go through a peer twice, and through local engines as often as it pays', () => {
    const between = holder('fast', 1, 3, 0.1)
    expect(names(found(request([holder('slow', 0, 4, 9), between])))).to.equal('slow 0:4')
    const local = (from: number, to: number) => ({ ...holder('me', from, to), local: true })
    const route = found(request([local(0, 1), local(3, 4), between]))
    expect(names(route)).to.equal('me 0:1, fast 1:3, me 3:4')
    expect(route.stages.map(({ local }) => local)).to.deep.equal([true, false, true])
  })

  it('mends a part of a route between its neighbours, which it does not use', () => {
    const route = found(request([holder('a', 0, 4), holder('b', 0, 4, 2), holder('c', 1, 3, 3)], {
      span: { from: 1, to: 3 }, before: 'a', after: 'd', avoid: { pairs: [['d', 'b']] }
    }))
    expect(names(route)).to.equal('c 1:3')
    expect(route.seconds).to.equal(8)
  })

  it('counts queues and weights', () => {
    const queued = { ...holder('queued', 0, 4), queueSeconds: 5 }
    const doubted = { ...holder('doubted', 0, 4), weight: 1.5 }
    expect(names(found(request([queued, holder('free', 0, 4, 2)])))).to.equal('free 0:4')
    const route = found(request([doubted, holder('free', 0, 4, 2)]))
    expect(route).to.include({ seconds: 6, cost: 8.5 })
  })

  describe('speeds', () => {
    it('are what was measured, and otherwise the median, whatever is announced', () => {
      const known = [holder('a', 0, 4, 1), holder('b', 0, 4, 2), holder('c', 0, 4, 9)]
      const unknown = { peer: 'd', range: { from: 0, to: 4 } }
      expect(holderSpeeds([...known, { ...unknown, announcedSpeed: 1e9 }])).to.deep.equal([1, 2, 9, 2])
      expect(holderSpeeds([...known, { ...unknown, announcedSpeed: 0.25 }])).to.deep.equal([1, 2, 9, 4])
      expect(holderSpeeds([{ ...known[0], announcedSpeed: 0.5 }])).to.deep.equal([2])
      expect(holderSpeeds([{ ...unknown, announcedSpeed: NaN }, { ...unknown, peer: 'e', announcedSpeed: 0 }])).to.deep.equal([1e-10, 1e-10])
    })

    it('are the median of what is announced where nothing was measured', () => {
      const announced = [1, 2, 1e9].map((announcedSpeed, index) => ({ peer: String(index), announcedSpeed }))
      expect(holderSpeeds(announced)).to.deep.equal([1, 0.5, 0.5])
    })
  })

  it('finds what trying all routes finds', () => {
    let routes = 0
    fc.assert(fc.property(anyRouteRequest(), request => {
      const best = bruteForceRoute(request)
      const route = chooseRoute(request)
      if (best === undefined) expect(route).to.have.property('missing').that.is.not.empty
      else {
        routes++
        expect('stages' in route && route.cost).to.be.closeTo(best, 1e-9)
      }
    }), { seed: 1, numRuns: 1500 })
    expect(routes).to.be.above(500)
  })

  it('covers the span once, with no peer twice, and keeps to what is to be avoided', () => {
    fc.assert(fc.property(anyRouteRequest({ maxHolders: 12, maxUnits: 10 }), fc.option(fc.string(), { nil: undefined }), (request, seed) => {
      const route = chooseRoute({ ...request, spread: seed === undefined ? undefined : { seed } })
      if (!('stages' in route)) return
      expect(routeCost(request, route.stages)).to.be.closeTo(route.cost, 1e-9)
    }), { seed: 2, numRuns: 500 })
  })

  it('never becomes slower for a faster holder, a shorter queue or one holder more', () => {
    fc.assert(fc.property(anyRouteRequest({ maxHolders: 8, maxUnits: 8 }), fc.nat(7), fc.double({ min: 0, max: 1, noNaN: true }), (request, which, factor) => {
      const before = chooseRoute(request)
      if (!('stages' in before)) return
      const index = which % request.holders.length
      const change = (of: (holder: RouteHolder) => RouteHolder) => found({ ...request, holders: request.holders.map((holder, i) => i === index ? of(holder) : holder) })
      const more = { ...request.holders[index], peer: 'another' }
      for (const after of [
        change(holder => ({ ...holder, secondsPerWork: holder.secondsPerWork! * (0.001 + 0.999 * factor) })),
        change(holder => ({ ...holder, queueSeconds: holder.queueSeconds! * factor })),
        found({ ...request, holders: [...request.holders, more] })
      ]) expect(after.cost).to.be.at.most(before.cost * (1 + 1e-9))
    }), { seed: 3, numRuns: 500 })
  })

  it('does not depend on the order of holders', () => {
    fc.assert(fc.property(anyRouteRequest({ maxHolders: 8 }), fc.string(), (request, seed) => {
      const spread = { seed }
      expect(chooseRoute({ ...request, spread, holders: request.holders.toReversed() })).to.deep.equal(chooseRoute({ ...request, spread }))
    }), { seed: 4, numRuns: 300 })
  })

  it('stays within the factor of the best where load is spread', () => {
    fc.assert(fc.property(anyRouteRequest({ maxHolders: 8 }), fc.string(), fc.double({ min: 0, max: 1, noNaN: true }), (request, seed, factor) => {
      const best = chooseRoute(request)
      if (!('stages' in best)) return
      expect(found({ ...request, spread: { seed, factor } }).cost).to.be.within(best.cost * (1 - 1e-9), best.cost * (1 + factor + 1e-9))
    }), { seed: 5, numRuns: 300 })
  })

  it('gives peers that are alike equal shares of a hundred clients, and a slow one nothing', () => {
    const holders = [...Array.from({ length: 10 }, (_, i) => holder(`p${i}`, 0, 4)), holder('slow', 0, 4, 2)]
    const shares = new Map<string, number>()
    for (let client = 0; client < 100; client++) {
      const [{ peer }] = found(request(holders, { spread: { seed: `session ${client}` } })).stages
      shares.set(peer, (shares.get(peer) ?? 0) + 1)
    }
    expect(shares.size).to.equal(10)
    expect(Math.max(...shares.values())).to.be.at.most(20)
    expect(shares.has('slow')).to.equal(false)
  })

  it('takes a thousand holders of 64 units, and no more hops than it needs where the least is known', () => {
    const many = Array.from({ length: 1000 }, (_, i) => holder(`p${i}`, i * 37 % 57, i * 37 % 57 + 8, 1 + i * 7919 % 101 / 50))
    let asked = 0
    const large = { span: { from: 0, to: 64 }, holders: many, unitWork: new Array(64).fill(1), hopSeconds: () => { asked++; return 1 } }
    const route = found(large)
    const [without] = [asked, asked = 0]
    expect(found({ ...large, leastHopSeconds: () => 1 })).to.deep.equal(route)
    expect(asked).to.be.below(without / 5)
  })

  it('counts no unit for nothing', () => {
    fc.assert(fc.property(anyCosts(), costs => {
      const work = routeWork(costs)
      expect(work).to.have.length(costs.units.length)
      work.forEach((value, unit) => expect(value).to.be.at.least(costs.units[unit].work).and.above(0))
    }), { seed: 6, numRuns: 50 })
  })
})
