import { expect } from 'chai'
import fc from 'fast-check'
import { randomBytes } from 'node:crypto'
import { createLocalSession } from '../../../src/peer/index.ts'
import type { RowResult } from '../../../src/engine/index.ts'
import { decodeError, decodeOpened, encodeName, ErrorCode, Kind } from '../../../src/peer/wire/index.ts'
import type { FrameInit } from '../../../src/peer/wire/index.ts'
import { createGate, createMemoryNetwork } from '../../support/memory-peers.ts'
import type { MemoryPeer, MemoryPeerOptions } from '../../support/memory-peers.ts'
import { createStubEngine, STUB_ARCHITECTURE } from '../../support/stub-engine.ts'

const ids = (length: number, seed = 0): Uint32Array => Uint32Array.from({ length }, (_value, index) => Math.imul(index + 1 + seed * 977, 0x9E3779B1) >>> 26)

/** What an undisturbed session gives for the last of these ids. */
async function alone (tokens: Iterable<number>): Promise<RowResult[]> {
  const all = Uint32Array.from(tokens)
  return await createLocalSession(createStubEngine({ from: 0, to: 6 })).step({ tokens: all, outputs: [{ row: all.length - 1, output: { kind: 'logits' } }] })
}

const withoutRow = (results: RowResult[]): unknown => results.map(({ row: _row, ...rest }) => rest)

describe('peer/stage: replay', () => {
  let network: ReturnType<typeof createMemoryNetwork>
  beforeEach(() => { network = createMemoryNetwork() })
  afterEach(async () => await network.stop())

  async function chain (cuts: number[], options: MemoryPeerOptions = {}): Promise<MemoryPeer[]> {
    return await Promise.all(cuts.slice(1).map(async (to, index) => await network.peer(cuts[index], to, options)))
  }

  describe('is refused', () => {
    it('beyond what is kept, while steps are under way, out of order, and where it makes no sense', async () => {
      const gate = createGate()
      const peers = [await network.peer(0, 3, { gate: gate.wait }), await network.peer(3, 6)]
      const route = network.route()
      await route.bind(peers)
      await route.step(ids(40))
      const [first, second] = route.links
      let sequence = 100
      const problem = async (frame: Partial<FrameInit>, link = first): Promise<string> => {
        link.send({ kind: Kind.replay, sequence: ++sequence, position: 0, rows: 1, until: 2, ...frame })
        const answer = await link.next(Kind.error)
        expect(answer.sequence).to.equal(sequence)
        const { code, retryable, sessionLost, message } = decodeError(answer.record!)
        expect([retryable, sessionLost]).to.deep.equal([code === ErrorCode.historyLost, false])
        return `${code} ${message}`
      }
      expect(await problem({ position: 40 })).to.equal('19 outputs of the positions 40 to 40 are not kept, but of the first 40')
      expect(await problem({ position: 0, rows: 41 })).to.contain('19 outputs')
      expect(await problem({ position: 0xffffffff })).to.contain('19 outputs')
      expect(await problem({ rows: 257 })).to.equal('10 257 rows; this stage replays 256 a step')
      expect(await problem({ until: 1 })).to.contain('10 a replay from stage 1 until stage 1 of 2')
      expect(await problem({ until: 3 })).to.contain('10 a replay from stage 1 until stage 3 of 2')
      expect(await problem({}, second)).to.contain('10 a replay of the head')
      gate.close()
      first.send({ kind: Kind.step, sequence: ++sequence, position: 40, rows: 1, tokens: ids(1) })
      await gate.entered
      expect(await problem({})).to.contain('10 a replay while steps are under way')
      gate.open()
      await second.next(Kind.answer)
      first.send({ kind: Kind.replay, sequence, position: 0, rows: 1, until: 2 })
      expect(await first.nextError()).to.include({ code: ErrorCode.invalidStep, sessionLost: true })
    })

    it('to anybody but the client, in an old epoch, before the route is complete, and after a loss', async () => {
      const peers = await chain([0, 2, 4, 6])
      const route = network.route()
      await route.bind(peers)
      await route.step(ids(4))
      const stranger = network.link('stranger', peers[0].peerId, route.session)
      stranger.send({ kind: Kind.replay, rows: 1, until: 2 })
      expect(await stranger.nextError()).to.include({ code: ErrorCode.unknownSession })
      route.links[1].send({ kind: Kind.replay, sequence: 9, epoch: 0, rows: 1, until: 3 })
      await route.links[1].settled()
      network.kill(peers[2])
      await route.links[1].nextError()
      route.links[1].send({ kind: Kind.replay, sequence: 10, rows: 1, until: 3 })
      expect(await route.links[1].nextError()).to.include({ code: ErrorCode.peerLost, sessionLost: false, stage: 3 })
      await route.open([peers[0], peers[1], await network.peer(4, 6)])
      route.links[1].send({ kind: Kind.replay, sequence: 11, rows: 1, until: 3 })
      expect((await route.links[1].nextError()).message).to.contain('before the route was complete')
      expect(route.links[1].frames).to.deep.equal([])
    })
  })

  it('brings a new stage what it lacks, wherever it is, from kept outputs or from ids', async () => {
    const peers = await chain([0, 1, 3, 5, 6])
    for (let lost = 0; lost < 4; lost++) {
      const route = network.route()
      await route.bind(peers)
      await route.step(ids(70))
      await route.step(ids(1, 1))
      network.kill(peers[lost])
      peers[lost] = await network.peer(peers[lost].range.from, peers[lost].range.to)
      await route.repair(peers)
      const more = [...route.ids, ...ids(3, 2)]
      expect(withoutRow(await route.step(ids(3, 2)))).to.deep.equal(withoutRow(await alone(more)))
      for (const link of route.links) {
        await link.settled()
        expect(link.frames.filter(({ kind, epoch }) => kind !== Kind.error || epoch > 1)).to.deep.equal([])
      }
    }
  })

  it('ends where it is to end: nothing goes on from there', async () => {
    const ran: number[][] = [[], [], [], []]
    const peers = await Promise.all([[0, 1], [1, 3], [3, 5], [5, 6]].map(async ([from, to], index) =>
      await network.peer(from, to, { onBatch: batch => { for (const { position } of batch) ran[index].push(position) } })))
    const route = network.route()
    await route.bind(peers)
    await route.step(ids(60))
    for (const list of ran) list.length = 0
    route.links[1].send({ kind: Kind.replay, sequence: 10, position: 5, rows: 20, until: 3 })
    const { sequence, position, rows, spans, hidden } = await route.links[2].next(Kind.replayed)
    expect([sequence, position, rows, spans.length, hidden]).to.deep.equal([10, 5, 20, 1, undefined])
    route.links[0].send({ kind: Kind.step, sequence: 11, position: 0, rows: 60, tokens: ids(60), until: 1 })
    expect((await route.links[0].next(Kind.replayed)).spans).to.have.length(1)
    expect(ran).to.deep.equal([[0], [], [5], []])
    // what comes after a replay is forgotten, as after any step
    expect(peers.map(({ engine }) => engine.sessionLength(1))).to.deep.equal([60, 60, 25, 60])
    expect((await route.bind(peers)).map(({ held, kept }) => [held, kept])).to.deep.equal([[60, 60], [60, 60], [25, 25], [60, 0]])
  })

  it('comes from what new stages have computed in a replay, too', async () => {
    let peers = await chain([0, 2, 4, 6])
    const route = network.route()
    await route.bind(peers)
    await route.step(ids(50))
    // one after another, until nobody is left who was there at first, in ever other cuts
    for (const [index, cuts] of [[2, [4, 6]], [0, [0, 1, 2]], [2, [2, 3, 4]], [1, [1, 2]]] as Array<[number, number[]]>) {
      network.kill(peers[index])
      const made = await Promise.all(cuts.slice(1).map(async (to, at) => await network.peer(cuts[at], to)))
      peers = [...peers.slice(0, index), ...made, ...peers.slice(index + 1)]
      await route.repair(peers)
      const tokens = ids(2, index)
      const all = [...route.ids, ...tokens]
      expect(withoutRow(await route.step(tokens))).to.deep.equal(withoutRow(await alone(all)))
    }
    expect(peers.map(({ range: { from, to } }) => `${from}:${to}`).join(' ')).to.equal('0:1 1:2 2:3 3:4 4:6')
  })

  it('goes to a client that is the downstream as an answer', async () => {
    const peers = await chain([0, 2, 4])
    const session = randomBytes(16).toString('hex')
    const links = peers.map(({ peerId }) => network.link('client', peerId, session))
    links[0].open({ range: { from: 0, to: 2 }, stage: 1, stages: 3, downstream: peers[1].peerId })
    links[1].open({ range: { from: 2, to: 4 }, stage: 2, stages: 3, upstream: peers[0].peerId })
    const { nonce } = decodeOpened((await links[0].next(Kind.opened)).record!)
    links[1].send({ kind: Kind.confirm, record: nonce })
    links[0].send({ kind: Kind.connect, record: (await links[1].next(Kind.confirmed)).record })
    await links[0].next(Kind.done)
    links[0].send({ kind: Kind.step, rows: 40, tokens: ids(40) })
    const { hidden } = await links[1].next(Kind.answer)
    links[1].send({ kind: Kind.replay, sequence: 2, position: 7, rows: 30, until: 3 })
    const again = await links[1].next(Kind.answer)
    expect([again.sequence, again.position, again.rows]).to.deep.equal([2, 7, 30])
    expect(again.hidden).to.deep.equal(hidden!.slice(7 * 32, 37 * 32))
    // through a stage to the client: its downstream runs it and answers
    links[0].send({ kind: Kind.replay, sequence: 3, position: 0, rows: 40, until: 3 })
    expect((await links[1].next(Kind.answer)).hidden).to.deep.equal(hidden)
  })

  it('gives what prefixes share, also of sessions that are closed', async () => {
    const peers = await chain([0, 3, 6])
    const names = [1, 2, 3].map(number => `0${number}`.repeat(16))
    const route = network.route('client')
    await route.bind(peers)
    await route.step(ids(100))
    route.links[0].send({ kind: Kind.name, sequence: 1, record: encodeName({ first: 0, names }) })
    const open = async (): Promise<{ held: number, kept: number }> => {
      const link = network.link('client', peers[0].peerId, randomBytes(16).toString('hex'))
      link.open({ range: { from: 0, to: 3 }, stages: 2, downstream: peers[1].peerId, prefix: names })
      const { held, kept } = decodeOpened((await link.next(Kind.opened)).record!)
      await link.link.close()
      return { held, kept }
    }
    await route.links[0].settled()
    expect(await open()).to.deep.equal({ held: 96, kept: 96 })
    route.links[0].send({ kind: Kind.close })
    await route.links[0].settled()
    expect(await open()).to.deep.equal({ held: 96, kept: 96 })
  })

  it('says what is lost where the budget is over, and goes on from further up', async () => {
    // chunks of 4 KiB: three of them
    const limits = { keptBytes: 12 << 10, keptDiskBytes: 0 }
    const peers = [await network.peer(0, 2), await network.peer(2, 4, { limits }), await network.peer(4, 6)]
    const [one, two] = [network.route(), network.route()]
    for (const route of [one, two]) await route.bind(peers)
    await one.step(ids(60))
    await two.step(ids(60))
    network.kill(peers[2])
    peers[2] = await network.peer(4, 6)
    expect((await one.repair(peers)).map(({ held, kept }) => [held, kept])).to.deep.equal([[60, 60], [60, 0], [0, 0]])
    expect(withoutRow(await one.step(ids(1, 3)))).to.deep.equal(withoutRow(await alone([...ids(60), ...ids(1, 3)])))
    one.links[1].send({ kind: Kind.replay, sequence: 100, rows: 61, until: 3 })
    await one.links[1].settled()
    // its replay through the stage has filled it again, and driven out the other one
    expect((await two.repair(peers)).map(({ held, kept }) => [held, kept])).to.deep.equal([[60, 60], [60, 0], [0, 0]])
  })

  it('reads from disk what is no longer in memory', async () => {
    const peers = [await network.peer(0, 3, { limits: { keptBytes: 4096 } }), await network.peer(3, 6)]
    const route = network.route()
    await route.bind(peers)
    await route.step(ids(200))
    await route.step(ids(150, 2))
    network.kill(peers[1])
    const opened = await route.repair([peers[0], await network.peer(3, 6)])
    expect(opened.map(({ held, kept }) => [held, kept])).to.deep.equal([[350, 350], [0, 0]])
    expect(withoutRow(await route.step(ids(1, 3)))).to.deep.equal(withoutRow(await alone([...ids(200), ...ids(150, 2), ...ids(1, 3)])))
  })

  it('goes along parts of what peers host, which may overlap', async () => {
    const wide = [await network.peer(0, 5), await network.peer(0, 6), await network.peer(1, 6)]
    const part = ({ peerId }: MemoryPeer, from: number, to: number): { peerId: string, range: { from: number, to: number } } => ({ peerId, range: { from, to } })
    const route = network.route()
    await route.bind([part(wide[0], 0, 2), part(wide[1], 2, 4), part(wide[2], 4, 6)])
    await route.step(ids(70))
    // a part with the embedding, one without, and all, at once on one engine
    const [other, whole] = [network.route(), network.route()]
    await other.bind([part(wide[1], 0, 3), part(wide[2], 3, 6)])
    await whole.bind([part(wide[1], 0, 6)])
    const expected = withoutRow(await alone(ids(40, 7)))
    for (const one of [other, whole]) expect(withoutRow(await one.step(ids(40, 7)))).to.deep.equal(expected)
    network.kill(wide[0])
    // the second stage takes over what the first one had: another range, so it begins anew
    const opened = await route.repair([part(wide[1], 0, 3), part(wide[2], 3, 6)])
    expect(opened.map(({ held, kept }) => [held, kept])).to.deep.equal([[0, 0], [0, 0]])
    expect(withoutRow(await route.step(ids(1, 3)))).to.deep.equal(withoutRow(await alone([...ids(70), ...ids(1, 3)])))
    expect(wide[1].server.sessions).to.equal(3)
    // names are found only among sessions on the same part
    other.links[0].send({ kind: Kind.name, sequence: 1, record: encodeName({ first: 0, names: ['01'.repeat(16)] }) })
    await other.links[0].settled()
    for (const [from, to, held] of [[0, 3, 32], [0, 2, 0], [0, 6, 0]]) {
      const link = network.link(other.self, wide[1].peerId, randomBytes(16).toString('hex'))
      link.open({ range: { from, to }, stages: 2, downstream: wide[2].peerId, prefix: ['01'.repeat(16)] })
      expect(decodeOpened((await link.next(Kind.opened)).record!)).to.include({ held, kept: held })
    }
  })

  describe('to a reader that does not read', () => {
    const architecture = { ...STUB_ARCHITECTURE, hiddenSize: 8192 }

    /** A first stage with a session whose downstream is under the test's control, and has paused. */
    async function slow (): Promise<{ peer: MemoryPeer, client: ReturnType<typeof network.link>, reader: MemoryPeer, pause: (on: boolean) => void }> {
      const peer = await network.peer(0, 1, { architecture, limits: { window: 16 } })
      const reader = await network.peer(1, 6, { architecture, limits: { window: 16 } })
      return { peer, reader, client: network.link('client', peer.peerId, randomBytes(16).toString('hex')), pause: on => network.pause(peer.peerId, reader.peerId, on) }
    }

    it('waits in the stage, which reads no more than it can send, and cancel drops it', async () => {
      const { peer, reader, pause } = await slow()
      const [route, other] = [network.route(), network.route()]
      await route.bind([peer, reader])
      await other.bind([peer, reader])
      for (let step = 0; step < 4; step++) await route.step(ids(64, step))
      await other.step(ids(64))
      pause(true)
      // 2 MiB each
      for (let turn = 0; turn < 16; turn++) route.links[0].send({ kind: Kind.replay, sequence: 100 + turn, position: 64 * (turn % 4), rows: 64, until: 2 })
      await route.links[0].settled()
      const session = peer.server.store.get(route.session)!
      for (let turn = 0; turn < 50; turn++) await new Promise(resolve => setImmediate(resolve))
      const sent = 16 - session.replays.length
      expect(sent).to.be.within(1, 3)
      expect(session.binding.downstreamLink!.queuedBytes).to.be.below(7 << 20)
      route.links[0].send({ kind: Kind.cancel, sequence: 116 })
      await route.links[0].next(Kind.done)
      expect(session.replays).to.deep.equal([])
      // another session of the same hop waits for its turn, one of another hop does not
      const third = await network.peer(1, 6, { architecture })
      const free = network.route()
      await free.bind([peer, third])
      await free.step(ids(64))
      pause(false)
      for (let turn = 0; turn < sent; turn++) await route.links[1].next(Kind.replayed)
      await other.step(ids(1))
      expect(peer.server.sessions).to.equal(3)
    })

    it('is over at the deadline, and the reader is accused', async () => {
      const { peer, reader, pause } = await slow()
      const route = network.route()
      await route.bind([peer, reader])
      await route.step(ids(64))
      pause(true)
      for (let turn = 0; turn < 4; turn++) route.links[0].send({ kind: Kind.replay, sequence: 100 + turn, rows: 64, until: 2, deadline: 50 })
      const error = await route.links[0].nextError()
      expect(error).to.include({ code: ErrorCode.peerLost, sessionLost: false, stage: 2, peer: reader.peerId, message: 'it has not read what is due to it within 50 ms' })
      expect(peer.server.sessions).to.equal(1)
    })

    it('so are steps', async () => {
      const { peer, reader, pause } = await slow()
      const route = network.route()
      await route.bind([peer, reader])
      await route.step(ids(64))
      pause(true)
      for (let turn = 0; turn < 4; turn++) route.links[0].send({ kind: Kind.step, sequence: 100 + turn, position: 64, rows: 64, tokens: ids(64), deadline: 50 })
      expect(await route.links[0].nextError()).to.include({ code: ErrorCode.peerLost, sessionLost: false, stage: 2, peer: reader.peerId })
    })

    it('more of it than the credit ends the session', async () => {
      const { peer, reader, pause } = await slow()
      const route = network.route()
      await route.bind([peer, reader])
      await route.step(ids(64))
      pause(true)
      for (let turn = 0; turn < 20; turn++) route.links[0].send({ kind: Kind.replay, sequence: 100 + turn, rows: 64, until: 2 })
      expect(await route.links[0].nextError()).to.include({ code: ErrorCode.credit, sessionLost: true })
      expect(peer.server.sessions).to.equal(0)
    })
  })

  it('gives the undisturbed bits after any sequence of steps, cuts, losses and repairs', async function () {
    this.timeout(60_000)
    const action = fc.oneof(
      { weight: 5, arbitrary: fc.record({ what: fc.constant('step' as const), rows: fc.oneof(fc.constant(1), fc.integer({ min: 1, max: 50 })), back: fc.oneof(fc.constant(0), fc.nat(12)) }) },
      { weight: 1, arbitrary: fc.record({ what: fc.constant('truncate' as const), back: fc.nat(40) }) },
      { weight: 3, arbitrary: fc.record({ what: fc.constant('lose' as const), which: fc.array(fc.nat(3), { minLength: 1, maxLength: 3 }), split: fc.boolean(), early: fc.boolean() }) },
      { weight: 1, arbitrary: fc.record({ what: fc.constant('rebind' as const) }) }
    )
    await fc.assert(fc.asyncProperty(fc.array(action, { minLength: 4, maxLength: 14, size: 'max' }), fc.constantFrom(8 << 10, 1 << 20), async (actions, keptBytes) => {
      const limits = { keptBytes, keptDiskBytes: keptBytes === 1 << 20 ? 0 : 16 << 10 }
      let peers = await chain([0, 2, 4, 6], { limits })
      const route = network.route()
      await route.bind(peers)
      let seed = 0
      for (const entry of actions) {
        const length = route.ids.length
        if (entry.what === 'step') {
          const position = Math.max(0, length - entry.back)
          const tokens = ids(entry.rows, ++seed)
          const all = [...route.ids.slice(0, position), ...tokens]
          expect(withoutRow(await route.step(tokens, position))).to.deep.equal(withoutRow(await alone(all)))
        } else if (entry.what === 'truncate') {
          route.ids.length = Math.max(0, length - entry.back)
          const sequence = ++route.sequence
          for (const link of route.links) {
            link.send({ kind: Kind.truncate, sequence, position: route.ids.length })
            await link.next(Kind.done)
          }
        } else {
          if (entry.what === 'lose') {
            // in the middle of a step, or between two
            if (entry.early) route.send(ids(5, ++seed))
            for (const which of entry.which) {
              const index = which % peers.length
              const { from, to } = peers[index].range
              network.kill(peers[index])
              const cuts = entry.split && to - from > 1 ? [from, from + 1, to] : [from, to]
              peers = [...peers.slice(0, index), ...await chain(cuts, { limits }), ...peers.slice(index + 1)]
            }
          }
          await route.repair(peers)
          for (const link of route.links) link.frames.length = 0
        }
      }
      const tokens = ids(3, ++seed)
      const all = [...route.ids, ...tokens]
      expect(withoutRow(await route.step(tokens))).to.deep.equal(withoutRow(await alone(all)))
      for (const { server } of peers) expect(server.sessions).to.be.at.least(1)
      for (const link of route.links) link.send({ kind: Kind.close })
    }), { seed: 8, numRuns: 60 })
  })
})
