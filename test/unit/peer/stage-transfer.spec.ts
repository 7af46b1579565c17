import { expect } from 'chai'
import { randomBytes } from 'node:crypto'
import type { StubEngine } from '../../support/stub-engine.ts'
import { decodeSigned, decodeTaken, encodeGive, encodeTake, ErrorCode, Kind } from '../../../src/peer/wire/index.ts'
import type { FrameInit, SignedStatement } from '../../../src/peer/wire/index.ts'
import { createMemoryNetwork } from '../../support/memory-peers.ts'
import type { MemoryPeer, MemoryPeerOptions } from '../../support/memory-peers.ts'
import type { RawLink } from '../../support/raw-link.ts'
import type { UnitRange } from '../../../src/model/index.ts'

const ids = (length: number, seed = 0): Uint32Array => Uint32Array.from({ length }, (_value, index) => Math.imul(index + 1 + seed * 977, 0x9E3779B1) >>> 26)

/** The engine, with the ids of the sessions that were opened on it. */
function watched (engine: StubEngine): number[] {
  const sessions: number[] = []
  const open = engine.openSession
  engine.openSession = init => {
    const session = open(init)
    sessions.push(session)
    return session
  }
  return sessions
}

describe('peer/stage: keys and values move', () => {
  let network: ReturnType<typeof createMemoryNetwork>
  beforeEach(() => { network = createMemoryNetwork() })
  afterEach(async () => await network.stop())

  interface Scene {
    route: ReturnType<typeof network.route>
    first: MemoryPeer
    giver: MemoryPeer
    heir: MemoryPeer
    old: RawLink
    link: RawLink
    nonce: Uint8Array
    giverSession: number
    heirSession: number
    step (sequence: number, from: number, to: number): Promise<void>
    give (change?: Partial<Parameters<typeof encodeGive>[0]>): Promise<SignedStatement>
    take (signed: SignedStatement, from: number, to: number, frame?: Partial<FrameInit>): number
  }

  /** A session of so many positions whose second stage is about to be replaced by the heir, which has been opened. */
  async function scene (length: number, { range = { from: 3, to: 6 }, heirOptions, giverOptions }: { range?: UnitRange, heirOptions?: MemoryPeerOptions, giverOptions?: MemoryPeerOptions } = {}): Promise<Scene> {
    const [first, giver] = [await network.peer(0, 3), await network.peer(3, 6, giverOptions)]
    const givers = watched(giver.engine)
    const heir = await network.peer(range.from, range.to, heirOptions)
    const heirs = watched(heir.engine)
    const route = network.route()
    await route.bind([first, giver])
    await route.step(ids(length))
    const old = route.links[1]
    const opened = await route.bind(range.to === 6 ? [first, heir] : [first, heir, await network.peer(range.to, 6)])
    const [, link] = route.links
    let sequence = 0x80000100
    return {
      route,
      first,
      giver,
      heir,
      old,
      link,
      nonce: opened[1].nonce,
      giverSession: givers[0],
      heirSession: heirs[0],
      step: async (_sequence, from, to) => await route.replay(1, from, to, 2),
      async give (change) {
        old.send({ kind: Kind.give, sequence: ++sequence, record: encodeGive({ nonce: opened[1].nonce, epoch: route.epoch, heir: heir.peerId, range, ...change }) })
        return decodeSigned((await old.next(Kind.confirmed)).record!)
      },
      take (signed, position, to, frame = {}) {
        link.send({ kind: Kind.take, sequence: ++sequence, position, record: encodeTake({ to, ...signed }), ...frame })
        return sequence
      }
    }
  }

  const bytesOf = ({ engine }: MemoryPeer, session: number, length: number): string => Buffer.from(engine.readKeyValues(session, 0, length)).toString('hex')

  describe('is refused', () => {
    it('to name an heir for other units, oneself, or an old epoch', async () => {
      const { old, nonce, giver, heir, route } = await scene(40)
      const problem = async (change: Partial<Parameters<typeof encodeGive>[0]>): Promise<string> => {
        old.send({ kind: Kind.give, sequence: 0x80000200, record: encodeGive({ nonce, epoch: route.epoch, heir: heir.peerId, range: { from: 3, to: 6 }, ...change }) })
        const { code, sessionLost, message } = await old.nextError()
        expect([code, sessionLost]).to.deep.equal([ErrorCode.transfer, false])
        return message
      }
      expect(await problem({ range: { from: 2, to: 6 } })).to.contain('runs units 3:6 here, not 2:6')
      expect(await problem({ range: { from: 5, to: 6 } })).to.contain('no keys and values')
      expect(await problem({ heir: giver.peerId })).to.contain('from itself')
      expect(await problem({ epoch: 1 })).to.contain('epoch 1 is not after 1')
    })

    it('to strangers, who learn nothing', async () => {
      const { giver, route, give } = await scene(40)
      await give()
      for (const [self, epoch] of [['stranger', route.epoch], [route.self, route.epoch], ['stranger', 1]] as const) {
        const stranger = network.link(self, giver.peerId, route.session)
        stranger.send({ kind: Kind.fetch, epoch, position: 0, rows: 1 })
        expect(await stranger.nextError()).to.include({ code: ErrorCode.unknownSession, message: 'no such session' })
      }
      const nobody = network.link('stranger', giver.peerId, randomBytes(16).toString('hex'))
      nobody.send({ kind: Kind.fetch, position: 0, rows: 1 })
      expect(await nobody.nextError()).to.include({ code: ErrorCode.unknownSession, message: 'no such session' })
    })

    it('to connect without an agreement, with a spoilt one, one for other units, or a second time', async () => {
      const { take, give, link, heir, giver } = await scene(40)
      const problem = async (signed: SignedStatement, from = 0, to = 40): Promise<string> => {
        const sequence = take(signed, from, to)
        const frame = await link.next(Kind.error)
        expect(frame.sequence).to.equal(sequence)
        return Buffer.from(frame.record!).toString('latin1')
      }
      const good = await give()
      network.dials.length = 0
      expect(await problem(good, 5, 5)).to.contain('positions 5 to 5')
      expect(await problem(good, 0, 1 << 20)).to.contain('the session has room for')
      // a nonce is used up by the first try
      const bad = { ...good, signature: good.signature.map(byte => byte ^ 1) }
      expect(await problem(bad)).to.contain('signature')
      expect(await problem(good)).to.contain('used already')
      expect(network.dials).to.deep.equal([])
      expect(heir.engine.sessionLength(1)).to.equal(0)
      expect(giver.peerId).to.not.equal(heir.peerId)
    })

    it('of a step that reaches beyond what is on its way', async () => {
      const { take, give, route, link, heir, giver } = await scene(64)
      const signed = await give()
      network.pause(heir.peerId, giver.peerId, true)
      take(signed, 16, 64)
      await link.settled()
      route.links[0].send({ kind: Kind.replay, sequence: ++route.sequence, position: 0, rows: 17, until: 2 })
      expect(await link.nextError()).to.deep.include({ code: ErrorCode.invalidStep, sessionLost: false, message: 'a step up to position 17 while those from 16 on are being taken over' })
      take(signed, 16, 64)
      expect((await link.nextError()).message).to.contain('one transfer at a time')
    })
  })

  it('all of it, some of it, or some after a replay: the same bytes', async () => {
    for (const from of [0, 16, 48]) {
      const { take, give, route, link, heir, giver, giverSession, heirSession } = await scene(64)
      const signed = await give()
      const sequence = take(signed, from, 64)
      if (from > 0) await route.replay(1, 0, from, 2)
      const frame = await link.next(Kind.taken)
      expect(frame.sequence).to.equal(sequence)
      expect(decodeTaken(frame.record!).bytesPerSecond).to.be.greaterThan(0)
      expect(bytesOf(heir, heirSession, 64)).to.equal(bytesOf(giver, giverSession, 64))
      const reference = network.route()
      await reference.bind([await network.peer(0, 6)])
      await reference.step(ids(64))
      expect(await route.step(ids(3, 5))).to.deep.equal(await reference.step(ids(3, 5)))
      expect(network.dials.filter(dial => dial === `${heir.peerId} ${giver.peerId}`)).to.have.length(1)
      network.dials.length = 0
    }
  })

  it('in several transfers of one connection, and of a part of the giver\'s layers', async () => {
    const { take, give, route, link, heir, giver } = await scene(90, { range: { from: 3, to: 5 } })
    const signed = await give()
    take(signed, 16, 40)
    await route.replay(1, 0, 16, 2)
    await link.next(Kind.taken)
    await route.replay(1, 40, 72, 2)
    take(signed, 72, 90)
    await link.next(Kind.taken)
    expect(network.dials.filter(dial => dial === `${heir.peerId} ${giver.peerId}`)).to.have.length(1)
    // the head has nothing yet
    await route.replay(1, 0, 90, 3)
    const reference = network.route()
    await reference.bind([await network.peer(0, 6)])
    await reference.step(ids(90))
    expect(await route.step(ids(3, 5))).to.deep.equal(await reference.step(ids(3, 5)))
  })

  it('within the budget of the heir, piece by piece, at its pace', async () => {
    const { take, give, route, link, heir, giver, giverSession, heirSession } = await scene(64, { heirOptions: { limits: { takenBytes: 1 } } })
    take(await give(), 16, 64)
    await route.replay(1, 0, 16, 2)
    await link.next(Kind.taken)
    expect(bytesOf(heir, heirSession, 64)).to.equal(bytesOf(giver, giverSession, 64))
  })

  it('gives no position twice, none that it does not hold, and few pieces at once', async () => {
    const { give, giver, heir, route } = await scene(64)
    await give()
    const fetcher = network.link(heir.peerId, giver.peerId, route.session)
    fetcher.epoch = route.epoch
    fetcher.send({ kind: Kind.fetch, sequence: 1, position: 10, rows: 2 })
    expect((await fetcher.next(Kind.keyValues)).record).to.have.length(2 * 80)
    fetcher.send({ kind: Kind.fetch, sequence: 2, position: 11, rows: 2 })
    expect(await fetcher.nextError()).to.include({ code: ErrorCode.transfer, message: 'positions below 12 have been given' })
    fetcher.send({ kind: Kind.fetch, sequence: 3, position: 60, rows: 5 })
    expect((await fetcher.nextError()).message).to.contain('positions up to 65 of 64')
    for (let sequence = 4; sequence < 20; sequence++) fetcher.send({ kind: Kind.fetch, sequence, position: 8 + sequence, rows: 1 })
    expect((await fetcher.nextError()).message).to.contain('more than 8 pieces')
  })

  describe('fails without harm', () => {
    /** What is left can be replayed, and gives the same. */
    async function replayed (route: Scene['route'], length: number): Promise<void> {
      await route.replay(1, 0, length, 2)
      const reference = network.route()
      await reference.bind([await network.peer(0, 6)])
      await reference.step(ids(length))
      expect(await route.step(ids(3, 5))).to.deep.equal(await reference.step(ids(3, 5)))
    }

    it('where the giver cannot be reached, or ends', async () => {
      const apart = await scene(64)
      const signed = await apart.give()
      network.part(apart.heir.peerId, apart.giver.peerId)
      apart.take(signed, 0, 64)
      expect(await apart.link.nextError()).to.include({ code: ErrorCode.transfer, retryable: true, sessionLost: false })
      await replayed(apart.route, 64)
      const dying = await scene(64)
      dying.giver.engine.readKeyValues = () => {
        network.kill(dying.giver)
        throw new Error('dead')
      }
      dying.take(await dying.give(), 0, 64)
      expect((await dying.link.nextError()).message).to.contain('has closed the connection')
      await replayed(dying.route, 64)
      // what has come by then is as good as ever
      const late = await scene(64)
      const agreed = await late.give()
      late.take(agreed, 16, 64)
      while (late.giver.server.store.all()[0].giving?.next !== 64) await new Promise(resolve => setImmediate(resolve))
      await late.link.settled()
      await new Promise(resolve => setImmediate(resolve))
      network.kill(late.giver)
      await late.route.replay(1, 0, 16, 2)
      await late.link.next(Kind.taken)
      // and there is nobody to take more from
      late.take(agreed, 64, 70)
      expect((await late.link.nextError()).message).to.contain('used already')
    })

    it('where the bytes are none that a step stores', async () => {
      const { take, give, route, link, giver } = await scene(64)
      const read = giver.engine.readKeyValues
      giver.engine.readKeyValues = (session, from, to) => {
        const bytes = read(session, from, to)
        if (to > 32) bytes[3] = 0x80
        return bytes
      }
      take(await give(), 0, 64)
      expect((await link.nextError()).message).to.contain('a code of -128')
      await replayed(route, 64)
    })

    it('where it is cancelled, or takes too long', async () => {
      for (const end of ['cancel', 'deadline'] as const) {
        const { take, give, route, link, heir, giver } = await scene(64)
        const signed = await give()
        network.pause(heir.peerId, giver.peerId, true)
        take(signed, 16, 64, end === 'deadline' ? { deadline: 1 } : {})
        if (end === 'cancel') link.send({ kind: Kind.cancel, sequence: ++route.sequence })
        expect((await link.nextError()).message).to.contain(end === 'cancel' ? 'it was cancelled' : 'not all of it was here within 1 ms')
        await replayed(route, 64)
      }
    })
  })
})
