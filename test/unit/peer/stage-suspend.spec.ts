import { expect } from 'chai'
import { randomBytes } from 'node:crypto'
import { createLocalSession } from '../../../src/peer/index.ts'
import type { RowResult } from '../../../src/engine/index.ts'
import { decodeError, decodeOpened, encodeName, ErrorCode, Kind } from '../../../src/peer/wire/index.ts'
import { createGate, createMemoryNetwork } from '../../support/memory-peers.ts'
import type { MemoryPeer } from '../../support/memory-peers.ts'
import { createStubEngine } from '../../support/stub-engine.ts'

const ids = (length: number, seed = 0): Uint32Array => Uint32Array.from({ length }, (_value, index) => (index * 7 + seed * 13) % 64)

/** What an undisturbed session gives for the last of these ids. */
async function alone (...steps: Uint32Array[]): Promise<RowResult[]> {
  const session = createLocalSession(createStubEngine({ from: 0, to: 6 }))
  let results: RowResult[] = []
  for (const tokens of steps) results = await session.step({ tokens, outputs: [{ row: tokens.length - 1, output: { kind: 'logits' } }] })
  return results
}

describe('peer/stage: loss of a neighbour', () => {
  let network: ReturnType<typeof createMemoryNetwork>
  beforeEach(() => { network = createMemoryNetwork() })
  afterEach(async () => await network.stop())

  const three = async (options = {}): Promise<MemoryPeer[]> => await Promise.all([[0, 2], [2, 4], [4, 6]].map(async ([from, to]) => await network.peer(from, to, options)))

  it('downstream: is told to the client, not to the upstream, and the session stays', async () => {
    const peers = await three()
    const route = network.route()
    await route.bind(peers)
    await route.step(ids(20))
    network.kill(peers[2])
    const error = await route.links[1].nextError()
    expect(error).to.deep.equal({ code: ErrorCode.peerLost, retryable: true, sessionLost: false, stage: 3, peer: peers[2].peerId, message: 'stage 2 lost the connection to it' })
    // what the upstream still sends is dropped without a word
    route.send(ids(5))
    for (const link of route.links.slice(0, 2)) {
      await link.settled()
      await link.settled()
      expect(link.frames).to.deep.equal([])
    }
    expect(peers.slice(0, 2).map(({ server }) => server.sessions)).to.deep.equal([1, 1])
    expect(peers[1].engine.sessionLength(1)).to.equal(20)
    expect(peers[1].events.map(({ type }) => type)).to.deep.equal(['peer:session-open', 'peer:session-suspend'])
  })

  it('upstream: is told to the client, and nothing is taken from the old stream', async () => {
    const peers = await three()
    const route = network.route()
    await route.bind(peers)
    await route.step(ids(20))
    network.cut(peers[0].peerId, peers[1].peerId)
    // each blames the other
    expect(await route.links[0].nextError()).to.include({ code: ErrorCode.peerLost, sessionLost: false, stage: 2, peer: peers[1].peerId })
    expect(await route.links[1].nextError()).to.include({ code: ErrorCode.peerLost, sessionLost: false, stage: 1, peer: peers[0].peerId, message: 'stage 2 lost the connection from it' })
    expect(peers.map(({ server }) => server.sessions)).to.deep.equal([1, 1, 1])
  })

  it('both at once: is suspended once', async () => {
    const peers = await three()
    const route = network.route()
    await route.bind(peers)
    await route.step(ids(4))
    network.kill(peers[0])
    network.kill(peers[2])
    expect(await route.links[1].nextError()).to.include({ code: ErrorCode.peerLost, sessionLost: false })
    await route.links[1].settled()
    expect(peers[1].server.sessions).to.equal(1)
    expect(peers[1].events.filter(({ type }) => type === 'peer:session-suspend')).to.have.length(1)
  })

  it('is told where the downstream does not know the session, or does not take the stream', async () => {
    const peers = await three()
    const route = network.route()
    await route.bind(peers)
    route.links[2].send({ kind: Kind.close })
    await route.links[2].settled()
    route.send(ids(3))
    expect(await route.links[1].nextError()).to.include({ code: ErrorCode.peerLost, sessionLost: false, stage: 3, peer: peers[2].peerId, message: 'it no longer holds the session' })

    const other = network.route()
    const opened = await other.open(peers)
    await other.links[2].settled()
    network.part(peers[1].peerId, peers[2].peerId)
    other.links[1].send({ kind: Kind.confirm, sequence: 9, record: opened[0].nonce })
    other.links[0].send({ kind: Kind.connect, sequence: 10, record: (await other.links[1].next(Kind.confirmed)).record })
    await other.links[0].next(Kind.done)
    other.links[2].send({ kind: Kind.confirm, sequence: 9, record: opened[1].nonce })
    other.links[1].send({ kind: Kind.connect, sequence: 11, record: (await other.links[2].next(Kind.confirmed)).record })
    const frame = await other.links[1].next(Kind.error)
    expect(frame.sequence).to.equal(11)
    expect(decodeError(frame.record!)).to.include({ code: ErrorCode.peerLost, retryable: true, sessionLost: false, stage: 3, peer: peers[2].peerId })
    expect(peers[1].server.sessions).to.equal(2)
  })

  it('ends when the client goes, closes, or the session was given up by it', async () => {
    const peers = await three()
    const [one, two] = [network.route(), network.route()]
    for (const route of [one, two]) {
      await route.bind(peers)
      await route.step(ids(40))
    }
    network.kill(peers[2])
    await one.links[1].nextError()
    await two.links[1].nextError()
    one.links[1].send({ kind: Kind.close })
    await one.links[1].settled()
    expect(peers[1].server.sessions).to.equal(1)
    network.cut(two.self)
    await two.links[1].closed
    await new Promise(resolve => setImmediate(resolve))
    expect(peers.slice(0, 2).map(({ server, engine }) => [server.sessions, engine.openSessions])).to.deep.equal([[1, 1], [0, 0]])
  })

  describe('and a rebinding', () => {
    it('goes on with the same bits, next to new neighbours', async () => {
      const peers = await three()
      const route = network.route()
      await route.bind(peers)
      await route.step(ids(20))
      await route.step(ids(1, 1))
      network.kill(peers[2])
      await route.links[1].nextError()
      const spare = await network.peer(4, 6)
      const opened = await route.repair([peers[0], peers[1], spare])
      expect(opened.map(({ held, kept }) => [held, kept])).to.deep.equal([[21, 21], [21, 21], [0, 0]])
      expect(await route.step(ids(3, 2))).to.deep.equal(await alone(ids(20), ids(1, 1), ids(3, 2)))
      expect([peers[0], peers[1], spare].map(({ server }) => server.sessions)).to.deep.equal([1, 1, 1])
    })

    it('is refused to anybody else, with an epoch that is not higher, and for another model', async () => {
      const peers = await three()
      const route = network.route()
      await route.bind(peers)
      network.kill(peers[2])
      await route.links[1].nextError()
      const record = { range: peers[1].range, stage: 2, stages: 3, upstream: peers[0].peerId, downstream: peers[0].peerId }
      const stranger = network.link('stranger', peers[1].peerId, route.session)
      stranger.open(record, { epoch: 9 })
      expect(await stranger.nextError()).to.include({ code: ErrorCode.busy })
      // the same client on another stream
      const again = network.link(route.self, peers[1].peerId, route.session)
      again.open(record, { epoch: 9 })
      expect(await again.nextError()).to.include({ code: ErrorCode.busy })
      route.links[1].open(record)
      expect(await route.links[1].nextError()).to.include({ code: ErrorCode.busy })
      route.links[1].open({ ...record, modelId: 'ab'.repeat(32) }, { epoch: 2 })
      expect(await route.links[1].nextError()).to.include({ code: ErrorCode.model })
      route.links[1].open(record, { epoch: 2 })
      await route.links[1].next(Kind.opened)
    })

    it('to the old downstream needs its word again: nobody is dialled or attached without', async () => {
      const peers = await three()
      const route = network.route()
      await route.bind(peers)
      await route.step(ids(4))
      const before = [...network.dials]
      const [first] = await route.open(peers)
      const { links } = route
      // the confirmation of the first epoch, or none at all
      links[0].send({ kind: Kind.connect, sequence: 50, record: new Uint8Array(8) })
      expect(await links[0].nextError()).to.include({ code: ErrorCode.confirmation, sessionLost: false })
      // and the nonce is used up with it
      links[1].send({ kind: Kind.confirm, sequence: 51, record: first.nonce })
      links[0].send({ kind: Kind.connect, sequence: 52, record: (await links[1].next(Kind.confirmed)).record })
      expect((await links[0].nextError()).message).to.contain('used already')
      expect(network.dials).to.deep.equal(before)
      route.send(ids(1))
      expect((await links[0].nextError()).message).to.contain('before the route was complete')
    })

    it('during a step cuts off what the step was going to leave', async () => {
      const gate = createGate()
      const peers = [await network.peer(0, 3), await network.peer(3, 6, { gate: gate.wait })]
      const route = network.route()
      await route.bind(peers)
      for (const [position, held] of [[20, 20], [12, 12]]) {
        await route.step(ids(20), 0)
        gate.close()
        route.send(ids(10, 5), position)
        await gate.entered
        // a second one waits behind it
        route.send(ids(2, 6), position + 10)
        await route.links[0].settled()
        const opened = await route.open(peers)
        expect(opened[1].held).to.equal(held)
        await route.connect(opened)
        route.ids.length = held
        // sent while the old step still runs: it waits for its turn
        route.send(ids(4, 7))
        await route.links[0].settled()
        gate.open()
        const { epoch, results } = await route.links[1].next(Kind.answer)
        expect(epoch).to.equal(route.epoch)
        route.ids.push(...ids(4, 7))
        expect(results).to.deep.equal(await alone(ids(20).subarray(0, held), ids(4, 7)))
        await route.links[1].settled()
        expect(route.links.flatMap(({ frames }) => frames)).to.deep.equal([])
        expect(peers.map(({ engine }) => engine.sessionLength(1))).to.deep.equal([held + 4, held + 4])
      }
    })

    it('drops frames of the old epoch, also from the stream of the old upstream', async () => {
      const peers = await three()
      const route = network.route()
      await route.bind(peers)
      await route.step(ids(8))
      // `first` is under the test's control: another client's stream could be a stage's
      const first = 'first-stage'
      const session = randomBytes(16).toString('hex')
      const client = network.link('client', peers[2].peerId, session)
      const upstream = network.link(first, peers[2].peerId, session)
      const open = (epoch: number, peer = first): void => client.open({ range: { from: 4, to: 6 }, stage: 2, stages: 2, upstream: peer }, { epoch })
      const step = (epoch: number, sequence: number, position: number) => ({ kind: Kind.step, epoch, sequence, position, rows: 1, hidden: new Float32Array(32) })
      open(1)
      await client.next(Kind.opened)
      upstream.send({ kind: Kind.attach })
      await upstream.next(Kind.done)
      upstream.send(step(1, 1, 0))
      await client.next(Kind.answer)
      open(2)
      await client.next(Kind.opened)
      // late, before and after the same peer attaches again
      upstream.send(step(1, 2, 1))
      upstream.send({ kind: Kind.attach, epoch: 2 })
      await upstream.next(Kind.done)
      upstream.send(step(1, 3, 1))
      upstream.send(step(2, 4, 1))
      expect((await client.next(Kind.answer)).sequence).to.equal(4)
      // with another upstream, the old one is late as before, and a stranger in the new epoch
      open(3, 'other-stage')
      await client.next(Kind.opened)
      upstream.send(step(2, 5, 2))
      await upstream.settled()
      expect(upstream.frames).to.deep.equal([])
      upstream.send(step(3, 6, 2))
      expect(await upstream.nextError()).to.include({ code: ErrorCode.unknownSession })
      upstream.send({ kind: Kind.attach, epoch: 3 })
      expect(await upstream.nextError()).to.include({ code: ErrorCode.unknownSession })
      client.send({ kind: Kind.truncate, epoch: 2, sequence: 7, position: 0 })
      client.epoch = 3
      await client.settled()
      expect(client.frames).to.deep.equal([])
    })

    it('while it connects gives up the connection that was for the old binding', async () => {
      const peers = await three()
      const route = network.route()
      const [first, second] = await route.open(peers)
      const { links } = route
      // the downstream's answer to `attach` is held up: it never comes, for the session is closed there
      links[1].send({ kind: Kind.confirm, sequence: 1, record: first.nonce })
      const { record } = await links[1].next(Kind.confirmed)
      links[2].send({ kind: Kind.confirm, sequence: 1, record: second.nonce })
      await links[2].next(Kind.confirmed)
      links[0].send({ kind: Kind.connect, sequence: 2, record })
      await route.bind(peers)
      expect(await route.step(ids(5))).to.deep.equal(await alone(ids(5)))
      for (const link of links) {
        await link.settled()
        for (const { epoch } of link.frames) expect(epoch).to.equal(1)
      }
    })

    it('keeps no names, and with another range begins anew', async () => {
      const peer = await network.peer(0, 6)
      const link = network.link('client', peer.peerId, randomBytes(16).toString('hex'))
      const opened = async (range = { from: 0, to: 6 }, epoch = 1): Promise<{ held: number }> => {
        link.open({ range }, { epoch })
        return decodeOpened((await link.next(Kind.opened)).record!)
      }
      await opened()
      link.send({ kind: Kind.step, rows: 40, tokens: ids(40) })
      await link.next(Kind.answer)
      link.send({ kind: Kind.name, record: encodeName({ first: 0, names: ['01'.repeat(16)] }) })
      expect(await opened(undefined, 2)).to.include({ held: 40 })
      const other = network.link('client', peer.peerId, randomBytes(16).toString('hex'))
      other.open({ range: { from: 0, to: 6 }, prefix: ['01'.repeat(16)] })
      expect(decodeOpened((await other.next(Kind.opened)).record!).held).to.equal(0)
      peer.host(createStubEngine({ from: 0, to: 4 }))
      expect(await opened({ from: 0, to: 4 }, 3)).to.include({ held: 0, kept: 0 })
      expect(peer.server.sessions).to.equal(2)
      expect(peer.engine.openSessions).to.equal(1)
    })
  })

  describe('by what it sends', () => {
    const breaches: Array<[string, object]> = [
      ['hidden state of 16 elements', { sequence: 2, position: 1, rows: 2, hidden: new Float32Array(32) }],
      ['token ids', { sequence: 2, position: 1, rows: 1, tokens: ids(1) }],
      ['not finite', { sequence: 2, position: 1, rows: 1, hidden: new Float32Array(32).fill(NaN, 31) }],
      ['not finite', { sequence: 2, position: 1, rows: 1, hidden: new Float32Array(32).fill(-Infinity, 0, 1) }],
      ['2 spans', { sequence: 2, position: 1, rows: 1, hidden: new Float32Array(32), spans: [1, 2] }],
      ['sequence number 1 after 1', { sequence: 1, position: 1, rows: 1, hidden: new Float32Array(32) }],
      ['until stage 1, at stage 2 of 2', { sequence: 2, position: 1, rows: 1, hidden: new Float32Array(32), until: 1 }]
    ]

    for (const [words, frame] of breaches) {
      it(`an upstream is lost: ${words}`, async () => {
        const peer = await network.peer(3, 6)
        const session = randomBytes(16).toString('hex')
        const client = network.link('client', peer.peerId, session)
        const upstream = network.link('upstream', peer.peerId, session)
        client.open({ range: { from: 3, to: 6 }, stage: 2, stages: 2, upstream: 'upstream' })
        await client.next(Kind.opened)
        upstream.send({ kind: Kind.attach })
        await upstream.next(Kind.done)
        upstream.send({ kind: Kind.step, rows: 1, hidden: new Float32Array(32) })
        await client.next(Kind.answer)
        upstream.send({ kind: Kind.step, ...frame })
        const error = await client.nextError()
        expect(error).to.include({ code: ErrorCode.peerLost, retryable: true, sessionLost: false, stage: 1, peer: 'upstream' })
        expect(error.message).to.contain('what no stage may send').and.contain(words)
        expect(peer.engine.sessionLength(1)).to.equal(1)
        expect(peer.server.sessions).to.equal(1)
      })
    }

    it('a client is told of the one step', async () => {
      const peer = await network.peer(0, 6)
      const link = network.link('client', peer.peerId, randomBytes(16).toString('hex'))
      link.open({ range: { from: 0, to: 6 } })
      await link.next(Kind.opened)
      link.send({ kind: Kind.step, rows: 1, hidden: new Float32Array(32) })
      expect(await link.nextError()).to.include({ code: ErrorCode.invalidStep, sessionLost: false })
      link.send({ kind: Kind.step, sequence: 2, rows: 1, tokens: ids(1), until: 2 })
      expect((await link.nextError()).message).to.contain('until stage 2, at stage 1 of 1')
      link.send({ kind: Kind.step, sequence: 3, rows: 1, tokens: ids(1) })
      expect((await link.next(Kind.answer)).sequence).to.equal(3)
    })
  })

  describe('and others that want its KV cache', () => {
    it('is counted among the sessions of its client', async () => {
      const peers = await three({ limits: { sessionsPerClient: 2 } })
      const routes = [network.route('client'), network.route('client'), network.route('client')]
      await routes[0].bind(peers)
      await routes[1].bind(peers)
      network.kill(peers[2])
      await routes[0].links[1].nextError()
      await routes[1].links[1].nextError()
      const link = network.link('client', peers[1].peerId, randomBytes(16).toString('hex'))
      link.open({ range: { from: 2, to: 4 }, stage: 2, stages: 3, upstream: peers[0].peerId, downstream: peers[0].peerId })
      expect(await link.nextError()).to.include({ code: ErrorCode.busy, retryable: true })
    })

    it('gives way to them as an idle one does', async () => {
      const peers = await three({ positions: 100, limits: { evictIdleMilliseconds: 0 } })
      const route = network.route()
      await route.bind(peers)
      await route.step(ids(80))
      network.kill(peers[2])
      await route.links[1].nextError()
      const link = network.link('other', peers[1].peerId, randomBytes(16).toString('hex'))
      link.open({ range: { from: 2, to: 4 }, stage: 2, stages: 3, capacity: 50, upstream: peers[0].peerId, downstream: peers[0].peerId })
      await link.next(Kind.opened)
      expect(await route.links[1].nextError()).to.include({ code: ErrorCode.evicted, sessionLost: true })
    })
  })
})
