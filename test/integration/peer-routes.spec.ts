import { expect } from 'chai'
import { connectRoute, createLocalRoute, createLocalSession, StageFailedError } from '../../src/peer/index.ts'
import type { RouteSession } from '../../src/peer/index.ts'
import type { BatchItem, RowOutput } from '../../src/engine/index.ts'
import type { UnitRange } from '../../src/model/index.ts'
import { createSwarm, rejection, stubModel } from '../support/peers.ts'
import { createStubEngine } from '../support/stub-engine.ts'

const whole = (): RouteSession => createLocalSession(createStubEngine({ from: 0, to: 6 }))
const ids = (length: number, seed: number): Uint32Array => Uint32Array.from({ length }, (_value, index) => Math.imul(index + seed, 0x9E3779B1) >>> 26)
const top = (count: number): RowOutput => ({ kind: 'top', count })
const cut = (...boundaries: number[]): UnitRange[] => boundaries.slice(1).map((to, index) => ({ from: boundaries[index], to }))

describe('peer: routes', () => {
  const swarm = createSwarm()
  afterEach(async () => await swarm.stop())

  async function connect (ranges: UnitRange[], options: Partial<Parameters<typeof connectRoute>[0]> = {}): Promise<RouteSession> {
    const peers = await swarm.peers(ranges)
    return await connectRoute({ node: await swarm.client(), addresses: peers.map(({ address }) => address).reverse(), model: stubModel(), ...options })
  }

  for (const [ranges, local, chunkRows] of [
    [cut(0, 6), [], 64], [cut(0, 3, 6), [], 7], [cut(0, 1, 2, 3, 4, 5, 6), [], 64], [cut(0, 2, 4, 6), [], 1],
    [cut(1, 3, 5), [cut(0, 1)[0], cut(5, 6)[0]], 32], [cut(3, 6), [cut(0, 3)[0]], 5], [[...cut(0, 2), ...cut(3, 6)], [cut(2, 3)[0]], 16]
  ] as Array<[UnitRange[], UnitRange[], number]>) {
    const name = `${ranges.map(({ from, to }) => `${from}:${to}`).join(' ')}${local.length === 0 ? '' : ` and local ${local.map(({ from, to }) => `${from}:${to}`).join(' ')}`}, chunks of ${chunkRows}`
    it(`gives what one engine gives: ${name}`, async () => {
      const session = await connect(ranges, { local: local.map(range => createStubEngine(range)), chunkRows })
      const reference = whole()
      expect(session.route.map(({ stage, range, local }) => ({ stage, range, local }))).to.deep.equal(
        [...ranges.map(range => ({ range, local: false })), ...local.map(range => ({ range, local: true }))].sort((a, b) => a.range.from - b.range.from).map((entry, index) => ({ stage: index + 1, ...entry })))
      for (const request of [
        { tokens: ids(150, 1), outputs: [{ row: 0, output: top(3) }, { row: 70, output: { kind: 'logits' as const } }, { row: 149, output: { kind: 'score' as const, ids: [4, 2, 63] } }] },
        { tokens: ids(1, 2), outputs: [{ row: 0, output: top(1) }] },
        { tokens: ids(40, 3), position: 100, outputs: [{ row: 39, output: top(64) }] },
        { tokens: ids(9, 4) }
      ]) {
        expect(await session.step(request)).to.deep.equal(await reference.step(request))
        expect(session.length).to.equal(reference.length)
      }
      expect(session.lastTimings?.computeMilliseconds).to.have.length(session.route.length)
      await session.close()
    })
  }

  it('truncates and continues, also across chunks', async () => {
    const session = await connect(cut(0, 3, 6), { chunkRows: 8 })
    const reference = whole()
    for (const one of [session, reference]) await one.step({ tokens: ids(50, 1) })
    for (const one of [session, reference]) await one.truncate(17)
    expect(session.length).to.equal(17)
    const request = { tokens: ids(30, 9), outputs: [{ row: 29, output: top(5) }] }
    const expected = await reference.step(request)
    expect(await session.step(request)).to.deep.equal(expected)
    // history matters to the stub: without the truncation the result is another
    const other = whole()
    await other.step({ tokens: ids(50, 1) })
    expect(await other.step(request)).to.not.deep.equal(expected)
  })

  it('refuses requests that cannot be right, and stays usable', async () => {
    const session = await connect(cut(0, 3, 6), { capacity: 100 })
    expect((await rejection(session.step({ tokens: ids(101, 1) }))).name).to.equal('CapacityError')
    expect((await rejection(session.step({ tokens: ids(0, 1) }))).name).to.equal('InvalidRequestError')
    expect((await rejection(session.step({ tokens: ids(1, 1), position: 1 }))).message).to.contain('holds 0')
    expect((await rejection(session.step({ tokens: Uint32Array.of(64) }))).message).to.contain('vocabulary')
    expect((await rejection(session.step({ tokens: ids(2, 1), outputs: [{ row: 2, output: top(1) }] }))).message).to.contain('row 2')
    for (const output of [top(0), top(4097), { kind: 'score' as const, ids: [64] }, { kind: 'score' as const, ids: new Array(4097).fill(1) }]) {
      expect((await rejection(session.step({ tokens: ids(2, 1), outputs: [{ row: 0, output }] }))).name).to.equal('InvalidRequestError')
    }
    expect((await rejection(session.truncate(1))).message).to.contain('holds 0')
    expect(session.capacity).to.equal(100)
    await session.step({ tokens: ids(100, 1) })
    await session.close()
    await session.close()
    expect((await rejection(session.step({ tokens: ids(1, 1) }))).name).to.equal('SessionClosedError')
  })

  it('interleaves four sessions', async () => {
    const peers = await swarm.peers(cut(0, 2, 4, 6))
    const addresses = peers.map(({ address }) => address)
    const nodes = [await swarm.client(), await swarm.client()]
    await Promise.all([0, 1, 2, 3].map(async number => {
      const session = await connectRoute({ node: nodes[number % 2], addresses, model: stubModel(), chunkRows: 4 + number })
      const reference = whole()
      for (let turn = 0; turn < 12; turn++) {
        const length = turn % 3 === 0 ? 20 + number : 1
        const request = { tokens: ids(length, 31 * number + turn), position: turn % 5 === 4 ? session.length - 3 : undefined, outputs: [{ row: length - 1, output: top(4) }] }
        expect(await session.step(request)).to.deep.equal(await reference.step(request))
      }
      await session.close()
    }))
    for (const peer of peers) {
      await peer.event('peer:session-close', 4)
      expect(peer.engine.openSessions).to.equal(0)
    }
  })

  it('runs what waits of several sessions as one batch', async () => {
    const batches: BatchItem[][] = []
    const gate = Promise.withResolvers<void>()
    const arrived = Promise.withResolvers<void>()
    let calls = 0
    const peer = await swarm.peer(0, 6, {
      onBatch: batch => batches.push(batch),
      gate: async () => {
        if (++calls > 1) return
        arrived.resolve()
        await gate.promise
      }
    })
    const node = await swarm.client()
    const sessions = await Promise.all([0, 1, 2].map(async () => await connectRoute({ node, addresses: [peer.address], model: stubModel() })))
    const first = sessions[0].step({ tokens: ids(1, 0) })
    await arrived.promise
    const others = sessions.slice(1).map(async session => await session.step({ tokens: ids(1, 1) }))
    // both steps are at the peer once it has answered what was sent after them on the same stream
    const marker = connectRoute({ node, addresses: [peer.address], model: stubModel() })
    await marker
    gate.resolve()
    await Promise.all([first, ...others])
    expect(batches.map(batch => batch.length)).to.deep.equal([1, 2])
  })

  it('lets chunks follow one another through the stages, in order and within the credits', async () => {
    const seen: Array<[number, number]> = []
    const gate = Promise.withResolvers<void>()
    const first = await swarm.peer(0, 3, { limits: { window: 3 }, onBatch: batch => seen.push([1, batch[0].position]) })
    const second = await swarm.peer(3, 6, { gate: async () => await gate.promise, onBatch: batch => seen.push([2, batch[0].position]) })
    const session = await connectRoute({ node: await swarm.client(), addresses: [first.address, second.address], model: stubModel(), chunkRows: 10 })
    const step = session.step({ tokens: ids(60, 1), outputs: [{ row: 59, output: top(2) }] })
    // stage 2 holds its first chunk: a probe of the same client tells when stage 1 has run all it was given
    while (seen.filter(([stage]) => stage === 1).length < 3) await new Promise(resolve => setImmediate(resolve))
    expect(seen.filter(([stage]) => stage === 1).map(([, position]) => position)).to.deep.equal([0, 10, 20])
    gate.resolve()
    const reference = whole()
    expect(await step).to.deep.equal(await reference.step({ tokens: ids(60, 1), outputs: [{ row: 59, output: top(2) }] }))
    for (const stage of [1, 2]) expect(seen.filter(entry => entry[0] === stage).map(([, position]) => position)).to.deep.equal([0, 10, 20, 30, 40, 50])
    expect(session.lastTimings?.chunks).to.equal(6)
  })

  it('gives up a step that is aborted, and goes on as if it had not been', async () => {
    let gate = Promise.withResolvers<void>()
    gate.resolve()
    let entered = Promise.withResolvers<void>()
    const peers = [await swarm.peer(0, 3), await swarm.peer(3, 6, {
      gate: async () => {
        entered.resolve()
        await gate.promise
      }
    })]
    const session = await connectRoute({ node: await swarm.client(), addresses: peers.map(({ address }) => address), model: stubModel(), chunkRows: 8 })
    const reference = whole()
    for (const one of [session, reference]) await one.step({ tokens: ids(20, 1) })
    gate = Promise.withResolvers<void>()
    entered = Promise.withResolvers<void>()
    const controller = new AbortController()
    const step = session.step({ tokens: ids(100, 2) }, { signal: controller.signal })
    await entered.promise
    controller.abort()
    expect((await rejection(step)).name).to.equal('AbortError')
    expect(session.length).to.equal(20)
    gate.resolve()
    const request = { tokens: ids(10, 3), outputs: [{ row: 9, output: top(3) }] }
    expect(await session.step(request)).to.deep.equal(await reference.step(request))
    expect((await rejection(session.step({ tokens: ids(1, 1) }, { signal: AbortSignal.abort() }))).name).to.equal('AbortError')
    expect(await session.step(request)).to.deep.equal(await reference.step(request))
  })

  it('reports a failing engine by stage, and the session goes on', async () => {
    let bad = false
    const peers = [await swarm.peer(0, 3), await swarm.peer(3, 6, { gate: () => { if (bad) throw new Error('layer 3 gave a number that is not finite') } })]
    const session = await connectRoute({ node: await swarm.client(), addresses: peers.map(({ address }) => address), model: stubModel(), chunkRows: 4 })
    const reference = whole()
    for (const one of [session, reference]) await one.step({ tokens: ids(6, 1) })
    bad = true
    const error = await rejection(session.step({ tokens: ids(30, 2) })) as StageFailedError
    expect(error).to.be.instanceOf(StageFailedError)
    expect(error.message).to.match(/^stage 2 \(peer 12D3\w+, units 3:6\) failed: layer 3/)
    expect([error.stage, error.peerId, error.sessionLost]).to.deep.equal([2, peers[1].node.peerId, false])
    expect(session.length).to.equal(6)
    // one that would have replaced positions may have done so at the first stage: they are gone
    expect(await rejection(session.step({ tokens: ids(9, 2), position: 2 }))).to.be.instanceOf(StageFailedError)
    expect(session.length).to.equal(2)
    await reference.truncate(2)
    bad = false
    const request = { tokens: ids(10, 3), outputs: [{ row: 9, output: top(3) }] }
    expect(await session.step(request)).to.deep.equal(await reference.step(request))
  })

  it('runs routes of local engines alone', async () => {
    const session = createLocalRoute(cut(0, 1, 4, 6).map(range => createStubEngine(range)), { chunkRows: 3 })
    const request = { tokens: ids(20, 1), outputs: [{ row: 5, output: top(2) }, { row: 19, output: top(2) }] }
    expect(await session.step(request)).to.deep.equal(await whole().step(request))
    expect(session.route.map(({ local }) => local)).to.deep.equal([true, true, true])
    expect(() => createLocalRoute(cut(0, 1, 3).map(range => createStubEngine(range)))).to.throw('no peer hosts layer 2 to head')
    await session.close()
  })
})
