import { expect } from 'chai'
import { randomBytes } from 'node:crypto'
import { decodeLeaving, decodeOpened, ErrorCode, Kind } from '../../../src/peer/wire/index.ts'
import { createGate, createMemoryNetwork } from '../../support/memory-peers.ts'
import { rejection } from '../../support/rejection.ts'
import { createStubEngine } from '../../support/stub-engine.ts'

const ids = (length: number, seed = 0): Uint32Array => Uint32Array.from({ length }, (_value, index) => (index * 7 + seed * 13) % 64)

describe('peer/stage: draining', () => {
  let network: ReturnType<typeof createMemoryNetwork>
  beforeEach(() => { network = createMemoryNetwork() })
  afterEach(async () => await network.stop())

  it('refuses new sessions, tells the others, and is over when they have gone', async () => {
    const [first, leaving, spare] = [await network.peer(0, 3), await network.peer(3, 6), await network.peer(3, 6)]
    const route = network.route()
    await route.bind([first, leaving])
    await route.step(ids(40))
    let over = false
    const drained = leaving.hosted.drain({ milliseconds: 60_000 }).then(() => { over = true })
    const frame = await route.links[1].next(Kind.leaving)
    expect([frame.sequence, frame.epoch, decodeLeaving(frame.record!)]).to.deep.equal([0, 1, { milliseconds: 60_000 }])
    expect([leaving.hosted.state, leaving.hosted.sessions]).to.deep.equal(['draining', 1])
    const late = network.link('late', leaving.peerId, randomBytes(16).toString('hex'))
    late.open({ range: { from: 3, to: 6 }, stage: 2, stages: 2, upstream: first.peerId })
    expect(await late.nextError()).to.include({ code: ErrorCode.draining, retryable: true, sessionLost: false, message: 'it is about to stop hosting units 3:6' })
    // whoever is there already may still be bound anew, and go on
    await route.bind([first, leaving])
    await route.step(ids(1))
    expect(over).to.equal(false)
    const reference = await route.step(ids(2, 5))
    const old = route.links[1]
    await route.repair([first, spare])
    expect(await route.step(ids(2, 5), 41)).to.deep.equal(reference)
    old.send({ kind: Kind.close })
    await drained
    expect(leaving.hosted.sessions).to.equal(0)
    // told once
    expect(old.frames.filter(({ kind }) => kind === Kind.leaving)).to.deep.equal([])
    await leaving.hosted.drain()
  })

  it('takes no time where there is no session', async () => {
    const peer = await network.peer(0, 6)
    await peer.hosted.drain()
    await peer.hosted.remove()
    const link = network.link('client', peer.peerId, randomBytes(16).toString('hex'))
    link.open({ range: { from: 0, to: 6 } })
    expect(await link.nextError()).to.include({ code: ErrorCode.notServing })
  })

  it('ends what is left when the time is over, after the step that runs', async () => {
    const gate = createGate()
    const peer = await network.peer(0, 6, { gate: gate.wait })
    const route = network.route()
    await route.bind([peer])
    gate.close()
    route.send(ids(4))
    await gate.entered
    let over = false
    const drained = peer.hosted.drain({ milliseconds: 1 }).then(() => { over = true })
    expect(await route.links[0].nextError()).to.include({ code: ErrorCode.stopping, retryable: true, sessionLost: true, stage: 1, peer: peer.peerId })
    expect([over, peer.engine.openSessions]).to.deep.equal([false, 1])
    gate.open()
    await drained
    expect(peer.engine.openSessions).to.equal(0)
  })

  it('is given up when it is aborted, and ends nothing then', async () => {
    const peer = await network.peer(0, 6)
    const route = network.route()
    await route.bind([peer])
    const controller = new AbortController()
    const drained = peer.hosted.drain({ signal: controller.signal })
    controller.abort(new Error('enough'))
    expect((await rejection(drained)).message).to.equal('enough')
    expect((await rejection(peer.hosted.drain({ signal: controller.signal }))).message).to.equal('enough')
    await route.step(ids(3))
    expect(peer.hosted.state).to.equal('draining')
  })

  it('can be undone: what was begun ends nobody, and sessions are taken again', async () => {
    const peer = await network.peer(0, 6)
    const route = network.route()
    await route.bind([peer])
    const drained = peer.hosted.drain({ milliseconds: 60_000 })
    await route.links[0].next(Kind.leaving)
    peer.hosted.resume()
    await drained
    expect([peer.hosted.state, peer.hosted.sessions]).to.deep.equal(['serving', 1])
    await route.step(ids(3))
    await network.route().bind([peer])
    expect(peer.hosted.sessions).to.equal(2)
    // and done again
    const again = peer.hosted.drain({ milliseconds: 1 })
    expect(await route.links[0].next(Kind.leaving)).to.have.property('sequence', 0)
    expect(await route.links[0].nextError()).to.include({ code: ErrorCode.stopping })
    await again
    expect([peer.hosted.state, peer.hosted.sessions]).to.deep.equal(['draining', 0])
    await peer.hosted.remove()
    peer.hosted.resume()
    expect(peer.hosted.state).to.equal('draining')
  })

  describe('of one range among several', () => {
    it('leaves the others alone; new sessions go where they fit', async () => {
      const peer = await network.peer(0, 6)
      const [old, taken] = [network.route(), network.route()]
      await old.bind([peer])
      const engine = createStubEngine({ from: 0, to: 6 })
      const hosted = peer.host(engine)
      // the one that came last
      await taken.bind([peer])
      expect([peer.hosted.sessions, hosted.sessions]).to.deep.equal([1, 1])
      const drained = peer.hosted.drain()
      await old.links[0].next(Kind.leaving)
      await taken.links[0].settled()
      expect(taken.links[0].frames).to.deep.equal([])
      const third = network.route()
      await third.bind([peer])
      expect([peer.hosted.sessions, hosted.sessions]).to.deep.equal([1, 2])
      const tokens = ids(50)
      expect(await old.step(tokens)).to.deep.equal(await taken.step(tokens))
      await peer.hosted.remove()
      await drained
      expect(await old.links[0].nextError()).to.include({ code: ErrorCode.stopping, sessionLost: true })
      expect([peer.engine.openSessions, peer.server.sessions, engine.openSessions]).to.deep.equal([0, 2, 2])
      await taken.step(ids(3))
      await peer.hosted.remove()
    })

    it('runs one session id on one of them', async () => {
      const peer = await network.peer(0, 3)
      const engine = createStubEngine({ from: 3, to: 6 })
      peer.host(engine)
      const session = randomBytes(16).toString('hex')
      const link = network.link('client', peer.peerId, session)
      link.open({ range: { from: 0, to: 3 }, stages: 2, downstream: 'other' })
      await link.next(Kind.opened)
      link.open({ range: { from: 3, to: 6 }, stage: 2, stages: 2, upstream: 'other' })
      expect(await link.nextError()).to.include({ code: ErrorCode.busy })
      // with a higher epoch it moves: what it held was of other units
      link.open({ range: { from: 3, to: 6 }, stage: 2, stages: 2, upstream: 'other' }, { epoch: 2 })
      expect(decodeOpened((await link.next(Kind.opened)).record!)).to.include({ held: 0, kept: 0 })
      expect([peer.engine.openSessions, engine.openSessions, peer.server.sessions]).to.deep.equal([0, 1, 1])
      link.open({ range: { from: 2, to: 6 }, stage: 2, stages: 2, upstream: 'other' }, { epoch: 3 })
      expect((await link.nextError()).message).to.equal('it hosts units 0:3, 3:6, not 2:6')
      // and what it cannot take there, it keeps here
      expect(peer.server.sessions).to.equal(1)
    })
  })
})
