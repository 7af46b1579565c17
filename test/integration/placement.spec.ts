import { expect } from 'chai'
import { PLACEMENT_TIMING, routeWork } from '../../src/partition/index.ts'
import type { PlacementTiming } from '../../src/partition/index.ts'
import type { UnitRange } from '../../src/model/index.ts'
import { connectRoute, createPeerNode, createPlacement } from '../../src/peer/index.ts'
import type { PeerNode, Placement, PlacementEvent, RouteSession } from '../../src/peer/index.ts'
import { timePeer } from '../../src/peer/placement/time-peer.ts'
import { kill, recordsOf, until, untilKnown } from '../support/directories.ts'
import { faultyPeer, faults } from '../support/faults.ts'
import { createSwarm, stubModel } from '../support/peers.ts'
import { evenCosts, range, roomFor } from '../support/placement.ts'
import { createStubEngine } from '../support/stub-engine.ts'
import type { StubEngine } from '../support/stub-engine.ts'

const model = stubModel()
const costs = evenCosts(6)

/** A fiftieth of the times of a real swarm, but announcements take as long as ever: claims wait for them. */
const timing: PlacementTiming = {
  ...PLACEMENT_TIMING, settle: 1500, joinSettle: 700, joinPatience: 5000, check: 500, gapPatience: 200, movePatience: 1200, turn: 1500, rest: 60_000, pause: 100, ask: 100, confirmLife: 2000, retry: 1500
}

interface Mover {
  node: PeerNode
  placement: Placement
  events: PlacementEvent[]
  engines: StubEngine[]
  /** nobody gives it any files */
  lacks: boolean
  address: string
  serves (): UnitRange[]
}

describe('placement over a network', function () {
  this.timeout(60_000)
  const swarm = createSwarm()
  const movers: Mover[] = []
  afterEach(async () => {
    await Promise.all(movers.splice(0).map(async ({ node, placement }) => {
      await placement.stop({ milliseconds: 0 })
      await node.stop()
    }))
    await swarm.stop()
  })

  /** A peer with room for 3 of 6 units that goes where it is needed. */
  async function mover (join: string[] = [], units = 3): Promise<Mover> {
    const node = createPeerNode({ model, listen: ['/ip4/127.0.0.1/tcp/0'], discovery: { join } })
    await node.start()
    await Promise.all(join.map(async address => await node.info(address)))
    const engines: StubEngine[] = []
    const events: PlacementEvent[] = []
    const placement = createPlacement({
      node,
      model,
      costs,
      budget: roomFor(units),
      loader: {
        fetch: async () => { if (made.lacks) throw new Error('nobody has them') },
        load: async range => {
          const engine = createStubEngine(range)
          engines.push(engine)
          return engine
        }
      },
      timing,
      // alike, so that it is known who goes where
      timeEngine: async () => 0.001,
      workPerSecond: 3e6,
      onEvent: event => events.push(event)
    })
    const made: Mover = {
      node, placement, events, engines, lacks: false, address: node.addresses[0], serves: () => placement.hosted.filter(({ state }) => state === 'serving').map(({ range }) => range)
    }
    movers.push(made)
    await placement.start()
    return made
  }

  const isAt = (from: number, to: number) => (one: Mover): boolean => {
    const serves = one.serves()
    return serves.length === 1 && serves[0].from === from && serves[0].to === to
  }

  it('a peer is measured by steps that it runs, and one that does not do what it says counts for nothing', async () => {
    const client = await swarm.client({ discovery: { gossip: true, models: [model.modelId] } })
    const init = { node: client, model, unitWork: routeWork(costs) }
    const signal = AbortSignal.timeout(30_000)
    const recordOf = async ({ id, address }: { id: string, address: string }, served?: UnitRange) => {
      const record = { peerId: id, addresses: [address], modelId: model.modelId, ranges: [{ range: served ?? range(2, 4), state: 'serving' as const }], sessions: 0, queuedSteps: 0, freePositions: 0, speed: 0, sequence: 0 }
      return await timePeer(init, record, { signal })
    }
    const well = await faultyPeer(swarm, 2, 4)
    // nobody is connected: it is not known whose fault that is
    expect(await recordOf(well)).to.equal(undefined)
    await client.info(well.address)
    for (const action of ['spoil', 'fail'] as const) {
      const ill = await faultyPeer(swarm, 2, 4)
      faults[action](ill)
      expect(await recordOf(ill), action).to.equal(0)
    }
    expect(await recordOf(well, range(0, 4)), 'a range that it does not have').to.equal(0)
    const gone = await faultyPeer(swarm, 2, 4)
    faults.kill(gone)
    expect(await recordOf(gone), 'gone').to.equal(0)
    const full = await swarm.peer(2, 4, { limits: { sessions: 0 } })
    expect(await recordOf(full), 'no room').to.equal(undefined)
    expect(await recordOf(well)).to.be.above(0)
    for (const [from, to] of [[0, 3], [3, 6], [0, 6]]) expect(await recordOf(await faultyPeer(swarm, from, to), range(from, to))).to.be.above(0)
    // it leaves nothing
    await until(() => well.engine.openSessions === 0)
  })

  it('peers that come at once share the units, and say where they are going to', async () => {
    const first = await mover()
    const second = await mover([first.address])
    await until(() => isAt(0, 3)(first) !== isAt(0, 3)(second) && isAt(3, 6)(first) !== isAt(3, 6)(second))
    const client = await swarm.client()
    const third = await mover([first.address], 6)
    await until(() => isAt(0, 6)(third))
    const { hosted } = await client.info(first.address)
    expect(hosted?.ranges).to.have.length(1)
    await untilKnown(third.node, records => records.length === 2 && records.every(({ speed }) => speed > 0))
  })

  it('a gap appears, exactly one of three spare peers moves into it, and a client that waits gets the same', async () => {
    const holders = await Promise.all([1, 2].map(async () => await swarm.peer(3, 6, { discovery: {} })))
    const spares: Mover[] = []
    // the first takes what is missing, the second what is weaker, the third the first of what is equal
    for (let count = 0; count < 3; count++) {
      const spare = await mover(holders.map(({ address }) => address))
      spares.push(spare)
      await until(() => isAt(0, 3)(spare))
      for (const { node } of spares) await untilKnown(node, records => records.filter(({ ranges }) => ranges[0]?.state === 'serving').length === count + 2)
    }
    const node = await swarm.client()
    const addresses = [...holders, ...spares].map(({ address }) => address)
    const outputs = (row: number) => [{ row, output: { kind: 'top' as const, count: 4 } }]
    const run = async (between: () => Promise<void>) => {
      const session = await connectRoute({ node, addresses, model })
      await session.step({ tokens: Uint32Array.of(1, 2, 3), outputs: outputs(2) })
      await between()
      const results = await session.step({ tokens: Uint32Array.of(4), outputs: outputs(0) })
      const { route } = session
      await session.close()
      return { results, route }
    }
    const undisturbed = await run(async () => {})
    // whoever goes has sessions, and none of them can go anywhere before it has gone
    const idle = new Map<string, RouteSession>()
    while (idle.size < spares.length) {
      const session = await connectRoute({ node, addresses, model })
      const at = session.route[0].peerId!
      // one each: all of them go on at the peer that moves, which takes 16 of a client
      if (idle.has(at)) await session.close()
      else idle.set(at, session)
    }
    const disturbed = await run(async () => { await Promise.all(holders.map(kill)) })
    await Promise.all([...idle.values()].map(async session => await session.close()))
    expect(disturbed.results).to.deep.equal(undisturbed.results)
    await until(() => spares.every(({ placement }) => placement.phase === 'resting'))
    const moved = spares.filter(isAt(3, 6))
    expect(moved).to.have.length(1)
    expect(disturbed.route.map(({ peerId, range: { from } }) => [from, peerId])[1]).to.deep.equal([3, moved[0].node.peerId])
    expect(spares.filter(isAt(0, 3))).to.have.length(2)
    expect(spares.flatMap(({ events }) => events.filter(({ type }) => type === 'placement:drop').map(({ range }) => range))).to.deep.equal([range(0, 3)])
  })

  it('whoever cannot have the files of a gap lets the next one go', async () => {
    const only = await swarm.peer(3, 6, { discovery: {} })
    only.node.announce({ speed: 1e12 })
    const spares: Mover[] = []
    for (let count = 0; count < 2; count++) {
      const spare = await mover([only.address, ...spares.map(({ address }) => address)])
      spares.push(spare)
      await until(() => spare.serves().length === 1)
    }
    await until(() => spares.every(isAt(0, 3)))
    const [first, second] = spares.sort((one, other) => one.node.peerId < other.node.peerId ? -1 : 1)
    first.lacks = true
    await kill(only)
    await until(() => isAt(3, 6)(second))
    expect(first.events.filter(({ type }) => type === 'placement:failed')).to.have.length.above(0)
    expect(isAt(0, 3)(first)).to.equal(true)
    expect(first.events.map(({ type }) => type)).to.not.include('placement:withdraw')
  })

  it('nobody leaves what nobody else holds', async () => {
    const only = await swarm.peer(3, 6, { discovery: {} })
    const alone = await mover([only.address])
    await until(() => isAt(0, 3)(alone))
    await kill(only)
    await until(() => recordsOf(alone.node).length === 0)
    // a peer that comes fills the gap; the other has stayed where it was all the time
    const next = await mover([alone.address])
    await until(() => isAt(3, 6)(next))
    expect(isAt(0, 3)(alone)).to.equal(true)
    expect(alone.events.map(({ type }) => type)).to.not.include('placement:withdraw')
  })

  it('stop in the middle of everything leaves no session, no range and no engine', async () => {
    const first = await mover()
    const second = await mover([first.address])
    await until(() => second.serves().length === 1 || second.placement.phase === 'loading' || second.placement.phase === 'joining')
    await Promise.all([first, second].map(async ({ placement }) => await placement.stop({ milliseconds: 0 })))
    for (const { node, engines, placement } of [first, second]) {
      expect([node.hosted.length, placement.hosted.length, node.sessions]).to.deep.equal([0, 0, 0])
      expect(engines.every(({ stopped }) => stopped)).to.equal(true)
    }
  })
})
