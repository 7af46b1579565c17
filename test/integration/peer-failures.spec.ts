import { expect } from 'chai'
import { multiaddr } from '@multiformats/multiaddr'
import { INFO_PROTOCOL, STAGE_PROTOCOL } from '../../src/peer/constants.ts'
import { connectRoute, createLocalSession, createPeerNode, DeadlineError, OtherModelError, PeerUnreachableError, RangeGapError, RouteLostError, StageFailedError, StageLostError, StageRefusedError, StageStalledError } from '../../src/peer/index.ts'
import type { PeerNode, RouteSession, StageError } from '../../src/peer/index.ts'
import { startedNode } from '../../src/peer/node.ts'
import { encodeError, ErrorCode, Kind } from '../../src/peer/wire/index.ts'
import type { Frame } from '../../src/peer/wire/index.ts'
import { impostor as createImpostor, openedReply } from '../support/impostor.ts'
import { createSwarm, rawLink, rawRoute, rejection, stubModel } from '../support/peers.ts'
import type { RawLink } from '../support/peers.ts'
import { createStubEngine, STUB_ARCHITECTURE } from '../support/stub-engine.ts'

const ids = (length: number): Uint32Array => Uint32Array.from({ length }, (_value, index) => index % 64)
const last = (length: number) => [{ row: length - 1, output: { kind: 'top' as const, count: 1 } }]

describe('peer: failures', () => {
  const swarm = createSwarm()
  const extra: PeerNode[] = []
  afterEach(async () => {
    await swarm.stop()
    await Promise.all(extra.splice(0).map(async node => await node.stop()))
  })

  async function connect (addresses: string[], options: Partial<Parameters<typeof connectRoute>[0]> = {}): Promise<RouteSession> {
    return await connectRoute({ node: await swarm.client(), addresses, model: stubModel(), ...options })
  }

  async function impostor (...args: Parameters<typeof createImpostor>): Promise<PeerNode> {
    const node = await createImpostor(...args)
    extra.push(node)
    return node
  }

  /** Nobody is waited for, so that it is seen at once what happens where nobody can go on. */
  const hasty = { repair: 0 }

  /** What a session says that cannot go on, and the last failure behind it. */
  async function lost (promise: Promise<unknown>): Promise<StageError> {
    const error = await rejection(promise) as RouteLostError
    expect(error).to.be.instanceOf(RouteLostError)
    expect(error.message).to.contain((error.cause as Error).message)
    return error.cause as StageError
  }

  describe('when a route is made', () => {
    it('names the units that nobody hosts', async () => {
      const peers = await swarm.peers([{ from: 0, to: 2 }, { from: 4, to: 5 }])
      const error = await rejection(connect(peers.map(({ address }) => address))) as RangeGapError
      expect(error).to.be.instanceOf(RangeGapError)
      expect(error.missing).to.deep.equal([2, 3, 5])
      expect(error.message).to.equal('no peer hosts layer 1 to layer 2, head')
    })

    it('names the peer that hosts another model', async () => {
      const peers = [await swarm.peer(0, 3), await swarm.peer(3, 6, { salt: 1 })]
      const error = await rejection(connect(peers.map(({ address }) => address)))
      expect(error).to.be.instanceOf(OtherModelError)
      expect(error.message).to.contain(peers[1].node.peerId).and.contain('another file, conversion or numerics profile').and.contain('layer 2 to head')
    })

    it('names the address where nobody answers, and does without it where it can', async () => {
      const peers = await swarm.peers([{ from: 0, to: 6 }, { from: 3, to: 6 }])
      const gone = peers[1].address
      await peers[1].node.stop()
      const session = await connect([gone, peers[0].address])
      expect(session.route).to.have.length(1)
      const error = await rejection(connect([gone]))
      expect(error).to.be.instanceOf(PeerUnreachableError)
      expect(error.message).to.contain(gone)
      expect((await rejection(connect(['nonsense']))).name).to.equal('InvalidAddressError')
      expect((await rejection(connect([]))).name).to.equal('RangeGapError')
    })

    it('refuses a libp2p node that does not speak the protocol, and one that hosts nothing', async () => {
      const node = createPeerNode({ listen: ['/ip4/127.0.0.1/tcp/0'] })
      extra.push(node)
      await node.start()
      expect((await rejection(connect([node.addresses[0]]))).name).to.equal('NothingHostedError')
      await startedNode(node).libp2p.unhandle(INFO_PROTOCOL)
      expect((await rejection(connect([node.addresses[0]]))).name).to.equal('IncompatibleVersionError')
    })

    it('ends an unanswered question and an unanswered opening at their deadlines', async () => {
      const silent = await impostor(0, 6, () => {})
      const error = await rejection(connect([silent.addresses[0]], { deadlines: { open: 200 } }))
      expect(error).to.be.instanceOf(StageLostError)
      expect(error.message).to.contain('stage 1').and.contain(silent.peerId).and.contain('units 0:6')
      const { libp2p } = startedNode(silent)
      await libp2p.unhandle(INFO_PROTOCOL)
      await libp2p.handle(INFO_PROTOCOL, () => {})
      expect(await rejection(connect([silent.addresses[0]], { deadlines: { info: 200 } }))).to.be.instanceOf(DeadlineError)
    })

    it('can be aborted', async () => {
      const silent = await impostor(0, 6, () => controller.abort(new Error('enough')))
      const controller = new AbortController()
      const error = await rejection(connectRoute({ node: await swarm.client(), addresses: [silent.addresses[0]], model: stubModel() }, { signal: controller.signal }))
      expect(error.message).to.equal('enough')
    })

    it('is refused by a stage with words: another model, units that it does not host, too much room', async () => {
      const peer = await swarm.peer(0, 5)
      const raw = await rawLink(await swarm.client(), peer.address)
      raw.open({ range: { from: 0, to: 5 }, modelId: 'ab'.repeat(32) })
      expect(await raw.nextError()).to.include({ code: ErrorCode.model, retryable: false, stage: 1, peer: peer.node.peerId })
      raw.open({ range: { from: 4, to: 6 } })
      expect(await raw.nextError()).to.include({ code: ErrorCode.range, message: 'it hosts units 0:5, not 4:6' })
      raw.open({ range: { from: 0, to: 5 }, capacity: 1 << 20 })
      expect(await raw.nextError()).to.include({ code: ErrorCode.capacity })
      expect(peer.node.sessions).to.equal(0)
    })

    it('is refused at once and as retryable where a limit is reached', async () => {
      const peer = await swarm.peer(0, 6, { limits: { sessionsPerClient: 2, sessions: 3 } })
      const node = await swarm.client()
      const open = async (node: PeerNode): Promise<RouteSession> => await connectRoute({ node, addresses: [peer.address], model: stubModel() })
      const first = await open(node)
      await open(node)
      const error = await rejection(open(node)) as StageRefusedError
      expect(error).to.be.instanceOf(StageRefusedError)
      expect(error.retryable).to.equal(true)
      expect(error.message).to.contain('a client may have 2 sessions')
      const other = await swarm.client()
      await open(other)
      expect((await rejection(open(other))).message).to.contain('all 3 sessions are taken')
      await first.close()
      await peer.event('peer:session-close')
      await open(node)
    })

    it('is refused where the engine has no room', async () => {
      const peer = await swarm.peer(0, 6, { maximumSessions: 0 })
      const error = await rejection(connect([peer.address])) as StageRefusedError
      expect([error.name, error.retryable]).to.deep.equal(['StageRefusedError', true])
      expect(error.message).to.contain('no room for another session')
    })
  })

  describe('while a session runs', () => {
    it('tells at once which stage was lost, where nobody can go on', async () => {
      for (const victim of [0, 1, 2]) {
        const peers = await swarm.peers([{ from: 0, to: 2 }, { from: 2, to: 4 }, { from: 4, to: 6 }])
        const session = await connect(peers.map(({ address }) => address), { deadlines: hasty })
        await session.step({ tokens: ids(10) })
        const { peerId } = peers[victim].node
        await peers[victim].node.stop()
        const error = await rejection((async () => { for (;;) await session.step({ tokens: ids(1), outputs: last(1) }) })()) as RouteLostError
        expect([error.name, error.retryable, error.missing]).to.deep.equal(['RouteLostError', true, [2 * victim, 2 * victim + 1]])
        expect(error.message).to.contain(`stage ${victim + 1} (peer ${peerId}, units ${2 * victim}:${2 * victim + 2}) is lost`)
        expect(error.cause).to.be.instanceOf(StageLostError)
        await session.close()
        for (const [index, peer] of peers.entries()) {
          await peer.event('peer:session-close')
          expect(peers[index].engine.openSessions).to.equal(0)
        }
        await swarm.stop()
      }
    })

    it('tells which stage was lost while it computes, and frees the others when it is closed', async () => {
      const entered = Promise.withResolvers<void>()
      const gate = Promise.withResolvers<void>()
      const peers = [await swarm.peer(0, 3), await swarm.peer(3, 6, {
        gate: async () => {
          entered.resolve()
          await gate.promise
        }
      })]
      const session = await connect(peers.map(({ address }) => address), { deadlines: hasty })
      const step = session.step({ tokens: ids(200) })
      await entered.promise
      const { peerId } = peers[1].node
      const stopping = peers[1].node.stop()
      gate.resolve()
      const error = await lost(step)
      await stopping
      expect([error.name, error.stage, error.peerId]).to.deep.equal(['StageLostError', 2, peerId])
      await session.close()
      await peers[0].event('peer:session-close')
      expect(peers[0].engine.openSessions).to.equal(0)
      expect((await rejection(session.step({ tokens: ids(1) }))).name).to.equal('SessionClosedError')
    })

    it('names a stage that stalls, at the deadline', async () => {
      const peers = [await swarm.peer(0, 3), await swarm.peer(3, 6, { gate: async () => await new Promise(() => {}) })]
      const session = await connect(peers.map(({ address }) => address), { deadlines: { step: 300, ...hasty } })
      const error = await lost(session.step({ tokens: ids(5) }))
      expect(error).to.be.instanceOf(StageStalledError)
      expect(error.message).to.match(/^stage 2 \(peer 12D3\w+, units 3:6\) has stalled: step 1 \(5 rows\) did not finish here within \d+ ms$/)
    })

    it('names a stage that keeps steps to itself', async () => {
      // it opens, attaches and answers probes, but never answers a step
      const silent = await impostor(0, 6, (frame, link) => {
        if (frame.kind === Kind.open) link.send(openedReply(frame))
      })
      const session = await connect([silent.addresses[0]], { deadlines: { step: 300, ...hasty } })
      const error = await lost(session.step({ tokens: ids(5) }))
      expect([error.name, error.stage, error.peerId]).to.deep.equal(['StageStalledError', 1, silent.peerId])
    })

    it('notices a stage that gives no sign of life long before the deadline', async function () {
      this.timeout(20_000)
      const frozen = await impostor(0, 6, (frame, link) => {
        if (frame.kind === Kind.open) link.send(openedReply(frame))
      })
      const session = await connect([frozen.addresses[0]], { deadlines: { step: 600_000, ...hasty } })
      const error = await lost(session.step({ tokens: ids(5) }))
      expect([error.name, error.stage]).to.deep.equal(['StageLostError', 1])
      expect(error.message).to.contain('no sign of life')
    })

    it('refuses answers that were not asked for', async () => {
      const answers: Array<(frame: Frame) => object> = [
        frame => ({ rows: frame.rows + 1 }),
        frame => ({ position: 1, rows: frame.rows }),
        frame => ({ rows: frame.rows }),
        frame => ({ rows: frame.rows, results: [{ row: 3, ids: Uint32Array.of(1), values: Float32Array.of(0), logSumExp: 0 }] }),
        frame => ({ rows: frame.rows, results: [{ row: 4, ids: Uint32Array.of(1, 2), values: Float32Array.of(0, 0), logSumExp: 0 }] }),
        frame => ({ rows: frame.rows, results: [{ row: 4, ids: Uint32Array.of(64), values: Float32Array.of(0), logSumExp: 0 }] }),
        frame => ({ rows: frame.rows, results: [{ row: 4, logits: new Float32Array(64) }] }),
        frame => ({ rows: frame.rows, hidden: new Float32Array(32 * frame.rows) })
      ]
      for (const [index, answer] of answers.entries()) {
        const liar = await impostor(0, 6, (frame, link) => {
          const { session, epoch, sequence } = frame
          if (frame.kind === Kind.open) link.send(openedReply(frame))
          if (frame.kind === Kind.step) link.send({ kind: Kind.answer, session, epoch, sequence, ...answer(frame) })
        })
        const session = await connect([liar.addresses[0]], { deadlines: hasty })
        const error = await lost(session.step({ tokens: ids(5), outputs: last(5) }))
        expect(error, `answer ${index}`).to.be.instanceOf(StageFailedError)
        expect(error.sessionLost).to.equal(true)
      }
    })

    it('takes answers from the last stage only', async () => {
      const liar = await impostor(0, 3, (frame, link) => {
        const { session, epoch, sequence, position, rows } = frame
        if (frame.kind === Kind.open) link.send(openedReply(frame))
        if (frame.kind === Kind.connect) link.send({ kind: Kind.done, session, epoch, sequence })
        if (frame.kind === Kind.step) link.send({ kind: Kind.answer, session, epoch, sequence, position, rows })
      })
      const honest = await swarm.peer(3, 6)
      const session = await connect([liar.addresses[0], honest.address], { deadlines: { step: 300, ...hasty } })
      const error = await lost(session.step({ tokens: ids(5) }))
      expect([error.name, error.stage, error.peerId]).to.deep.equal(['StageStalledError', 1, liar.peerId])
    })

    it('lets a stage accuse itself or a neighbour, nobody else', async () => {
      for (const [stage, named, blamed] of [[3, 3, 1], [2, 2, 2], [2, 3, 1]]) {
        const peers = [await swarm.peer(2, 4), await swarm.peer(4, 6)]
        const ids3 = (number: number): string => number === 1 ? liar.peerId : peers[number - 2].node.peerId
        const liar: PeerNode = await impostor(0, 2, (frame, link) => {
          const { session, epoch, sequence } = frame
          if (frame.kind === Kind.open) link.send(openedReply(frame))
          if (frame.kind === Kind.connect) link.send({ kind: Kind.done, session, epoch, sequence })
          if (frame.kind === Kind.step) link.send({ kind: Kind.error, session, epoch, sequence, record: encodeError({ code: ErrorCode.peerLost, retryable: true, sessionLost: true, stage, peer: ids3(named), message: 'gone' }) })
        })
        const session = await connect([liar.addresses[0], ...peers.map(({ address }) => address)], { deadlines: hasty })
        const error = await lost(session.step({ tokens: ids(5) }))
        expect([error.stage, error.peerId]).to.deep.equal([blamed, ids3(blamed)])
      }
    })

    it('expires an idle session, which begins again where it is asked for something', async () => {
      const peer = await swarm.peer(0, 6, { limits: { sessionIdleMilliseconds: 40 } })
      const session = await connect([peer.address])
      const reference = createLocalSession(createStubEngine({ from: 0, to: 6 }))
      for (const one of [session, reference]) await one.step({ tokens: ids(30) })
      await peer.event('peer:session-close')
      expect(peer.engine.openSessions).to.equal(0)
      const request = { tokens: ids(2), outputs: last(2) }
      expect(await session.step(request)).to.deep.equal(await reference.step(request))
    })

    it('ends its sessions when the client is gone', async () => {
      const peers = await swarm.peers([{ from: 0, to: 3 }, { from: 3, to: 6 }])
      const node = await swarm.client()
      await connectRoute({ node, addresses: peers.map(({ address }) => address), model: stubModel() })
      await node.stop()
      for (const peer of peers) await peer.event('peer:session-close')
      expect(peers.map(({ engine }) => engine.openSessions)).to.deep.equal([0, 0])
    })
  })

  describe('limits of a stage', () => {
    it('refuses steps that do not fit, one by one', async () => {
      const peer = await swarm.peer(0, 6, { limits: { rowsPerStep: 16 } })
      const raw = await rawLink(await swarm.client(), peer.address)
      raw.open({ range: { from: 0, to: 6 }, capacity: 40 })
      await raw.next(Kind.opened)
      let sequence = 0
      const problem = async (step: object): Promise<string> => {
        raw.send({ kind: Kind.step, sequence: ++sequence, position: 0, rows: 4, tokens: ids(4), ...step })
        const record = await raw.nextError()
        expect([record.code, record.sessionLost]).to.deep.equal([ErrorCode.invalidStep, false])
        return record.message
      }
      expect(await problem({ rows: 17, tokens: ids(17) })).to.contain('takes 16')
      expect(await problem({ position: 1 })).to.contain('gap')
      expect(await problem({ tokens: undefined, hidden: new Float32Array(4 * 32) })).to.contain('takes token ids')
      expect(await problem({ tokens: Uint32Array.of(1, 2, 3, 64) })).to.contain('token id 64')
      expect(await problem({ outputs: [{ row: 0, output: { kind: 'score', ids: [64] } }] })).to.contain('score of token id 64')
      raw.send({ kind: Kind.step, sequence: ++sequence, position: 0, rows: 4, tokens: ids(4) })
      expect((await raw.next(Kind.answer)).sequence).to.equal(sequence)
      raw.send({ kind: Kind.step, sequence: ++sequence, position: 4, rows: 16, tokens: ids(16) })
      raw.send({ kind: Kind.step, sequence: ++sequence, position: 20, rows: 16, tokens: ids(16) })
      raw.send({ kind: Kind.step, sequence: ++sequence, position: 36, rows: 5, tokens: ids(5) })
      expect((await raw.nextError()).message).to.contain('room for 40')
    })

    it('ends a session that exceeds its credits or goes back in its numbers', async () => {
      const peer = await swarm.peer(0, 6, { limits: { window: 2 }, gate: async () => await new Promise(() => {}) })
      const node = await swarm.client()
      const greedy = await rawLink(node, peer.address)
      greedy.open({ range: { from: 0, to: 6 } })
      await greedy.next(Kind.opened)
      for (const sequence of [1, 2, 3]) greedy.send({ kind: Kind.step, sequence, position: sequence - 1, rows: 1, tokens: ids(1) })
      expect(await greedy.nextError()).to.include({ code: ErrorCode.credit, sessionLost: true })
      const backward = await rawLink(node, peer.address)
      backward.open({ range: { from: 0, to: 6 } })
      await backward.next(Kind.opened)
      for (const sequence of [5, 5]) backward.send({ kind: Kind.step, sequence, position: 0, rows: 1, tokens: ids(1) })
      expect(await backward.nextError()).to.include({ code: ErrorCode.invalidStep, sessionLost: true })
    })

    it('refuses bytes of one client beyond its share, as retryable', async () => {
      const peer = await swarm.peer(0, 6, { limits: { queuedBytesPerClient: 200 }, gate: async () => await new Promise(() => {}) })
      const raw = await rawLink(await swarm.client(), peer.address)
      raw.open({ range: { from: 0, to: 6 } })
      await raw.next(Kind.opened)
      for (const sequence of [1, 2]) raw.send({ kind: Kind.step, sequence, position: 20 * (sequence - 1), rows: 20, tokens: ids(20) })
      expect(await raw.nextError()).to.include({ code: ErrorCode.busy, retryable: true, sessionLost: false })
    })

    it('refuses bytes of all clients beyond its room, as retryable, until there is room again', async () => {
      const gate = Promise.withResolvers<void>()
      const peer = await swarm.peer(0, 6, { limits: { queuedBytes: 300 }, gate: () => gate.promise })
      const first = await rawLink(await swarm.client(), peer.address)
      const second = await rawLink(await swarm.client(), peer.address)
      for (const raw of [first, second]) {
        raw.open({ range: { from: 0, to: 6 } })
        await raw.next(Kind.opened)
      }
      const step = (raw: RawLink, sequence: number): void => raw.send({ kind: Kind.step, sequence, rows: 30, tokens: ids(30) })
      step(first, 1)
      first.send({ kind: Kind.probe, sequence: 1 })
      await first.next(Kind.probed)
      step(second, 1)
      expect(await second.nextError()).to.include({ code: ErrorCode.busy, retryable: true, sessionLost: false })
      gate.resolve()
      await first.next(Kind.answer)
      step(second, 2)
      await second.next(Kind.answer)
    })

    it('resets streams with broken bytes, other versions or too many frames', async () => {
      const peer = await swarm.peer(0, 6, { limits: { framesPerSecond: 10 } })
      const node = await swarm.client()
      const { libp2p } = startedNode(node)
      const connection = await libp2p.dial(multiaddr(peer.address))
      for (const bytes of [new Uint8Array(64), Uint8Array.of(255, 255, 255, 255, 1, 8, 64, 0), Uint8Array.of(64, 0, 0, 0, 2, 8, 64, 0)]) {
        const stream = await connection.newStream(STAGE_PROTOCOL)
        const closed = new Promise<Error | undefined>(resolve => stream.addEventListener('close', event => resolve(event.error)))
        stream.send(bytes)
        expect((await closed)?.name).to.equal('StreamResetError')
      }
      const raw = await rawLink(node, peer.address)
      raw.open({ range: { from: 0, to: 6 } })
      await raw.next(Kind.opened)
      for (let count = 0; count < 100; count++) raw.send({ kind: Kind.probe, sequence: count })
      await raw.closed
      // the peer itself is well
      const session = await connectRoute({ node, addresses: [peer.address], model: stubModel() })
      await session.step({ tokens: ids(2) })
    })

    it('serves others while one client does not read', async function () {
      this.timeout(60_000)
      const architecture = { ...STUB_ARCHITECTURE, vocabularySize: 100_000 }
      const ran = Promise.withResolvers<void>()
      let batches = 0
      const first = await swarm.peer(0, 3, { architecture })
      const second = await swarm.peer(3, 6, { architecture, onBatch: () => { if (++batches === 1) ran.resolve() } })
      const addresses = [first.address, second.address]
      const model = stubModel(architecture)
      // 8 steps of 10 rows with all logits: 32 MB of answers, and the client reads none of it for now
      const { links: [steps, answers] } = await rawRoute(await swarm.client(), first, second, model.modelId)
      answers.pause()
      const outputs = Array.from({ length: 10 }, (_value, row) => ({ row, output: { kind: 'logits' as const } }))
      for (let sequence = 1; sequence <= 8; sequence++) steps.send({ kind: Kind.step, sequence, position: 10 * (sequence - 1), rows: 10, tokens: ids(10), outputs })
      await ran.promise
      // both sessions share the stream between the two stages
      const other = await connectRoute({ node: await swarm.client(), addresses, model })
      for (let turn = 0; turn < 20; turn++) await other.step({ tokens: ids(1), outputs: last(1) })
      expect(batches).to.be.within(21, 27)
      answers.resume()
      for (let rows = 0; rows < 80;) {
        const { results = [] } = await answers.next(Kind.answer)
        rows += results.length
        for (const { logits } of results) expect(logits).to.have.length(100_000)
      }
    })
  })
})
