import { expect } from 'chai'
import { createEngine } from '../../src/engine/index.ts'
import type { Engine } from '../../src/engine/index.ts'
import { openModel } from '../../src/model/index.ts'
import type { UnitRange } from '../../src/model/index.ts'
import { STAGE_PROTOCOL } from '../../src/peer/constants.ts'
import { connectRoute, createLocalRoute, createLocalSession, createPeerNode } from '../../src/peer/index.ts'
import type { HandOverMode, PeerNode, RouteRepair, RouteSession } from '../../src/peer/index.ts'
import { startedNode } from '../../src/peer/node.ts'
import { sotuPath } from '../support/golden-models.ts'
import { createSwarm, stubModel } from '../support/peers.ts'
import type { StubPeer } from '../support/peers.ts'
import { createStubEngine } from '../support/stub-engine.ts'

const ids = (length: number, vocabulary = 64): number[] => Array.from({ length }, (_value, index) => Math.imul(index + 5, 0x9E3779B1) >>> 22 & (vocabulary - 1))

/** Ids of the sessions that are opened on an engine from now on. */
function sessionsOf (engine: Engine): number[] {
  const sessions: number[] = []
  const open = engine.openSession.bind(engine)
  engine.openSession = init => {
    const session = open(init)
    sessions.push(session)
    return session
  }
  return sessions
}

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')

describe('peer: hand-over of keys and values', () => {
  const swarm = createSwarm()
  afterEach(async () => await swarm.stop())

  interface Scene {
    session: RouteSession
    peers: StubPeer[]
    old: StubPeer
    heir: StubPeer
    repairs: RouteRepair[]
    /** a step, here and undisturbed */
    step (...ids: number[]): Promise<void>
    truncate (length: number): Promise<void>
    /** has the old stage leave, and steps until it has gone */
    leave (): Promise<void>
    /** of a peer's last session */
    keyValues (peer: StubPeer, length: number): string
  }

  async function scene (handOver: HandOverMode, { limits, spare = false, third = false }: { limits?: { takenBytes: number }, spare?: boolean, third?: boolean } = {}): Promise<Scene> {
    const peers = [await swarm.peer(0, 2), await swarm.peer(2, 5, { limits }), await swarm.peer(2, 5, { limits }), await swarm.peer(5, 6), ...spare ? [await swarm.peer(5, 6)] : [], ...third ? [await swarm.peer(2, 5)] : []]
    const opened = new Map(peers.map(peer => [peer, sessionsOf(peer.engine)]))
    const repairs: RouteRepair[] = []
    const session = await connectRoute({
      node: await swarm.client(),
      addresses: peers.map(({ address }) => address),
      model: stubModel(),
      chunkRows: 16,
      handOver,
      onProgress: event => { if (event.type === 'route:repaired') repairs.push(event.repair) }
    })
    const reference = createLocalSession(createStubEngine({ from: 0, to: 6 }))
    const [one, other] = [peers[1], peers[2]]
    const old = peers.find(({ id }) => id === session.route[1].peerId)!
    const step = async (...ids: number[]): Promise<void> => {
      const request = { tokens: Uint32Array.from(ids), outputs: [{ row: ids.length - 1, output: { kind: 'logits' as const } }] }
      expect(await session.step(request)).to.deep.equal(await reference.step(request))
    }
    return {
      session,
      peers,
      old,
      heir: old === one ? other : one,
      repairs,
      step,
      async truncate (length) {
        await session.truncate(length)
        await reference.truncate(length)
      },
      async leave () {
        const drained = old.node.hosted[0].drain({ milliseconds: 60_000 })
        for (let turn = 0; old.node.sessions > 0; turn++) await step(turn % 64)
        await drained
      },
      keyValues: (peer, length) => hex(peer.engine.readKeyValues(opened.get(peer)!.at(-1)!, 0, length))
    }
  }

  for (const length of [40, 300, 900]) {
    for (const mode of ['transfer', 'replay', 'split', 'measured'] as const) {
      it(`after ${length} positions, by ${mode}: the same text, the same bytes`, async () => {
        const { session, old, heir, repairs, step, truncate, leave, keyValues } = await scene(mode)
        await step(...ids(length))
        await step(7)
        const before = keyValues(old, length + 1)
        await leave()
        expect(keyValues(heir, length + 1)).to.equal(before)
        await step(1, 2, 3)
        const [{ handOver, replayedPositions, replacements, failures }] = repairs
        expect([repairs.length, failures.length, replacements.map(({ peerId }) => peerId)]).to.deep.equal([1, 0, [heir.id]])
        if ((mode === 'replay' || mode === 'measured') && length < 256) {
          expect([handOver, replayedPositions >= length + 1]).to.deep.equal([undefined, true])
        } else {
          expect(handOver!.problem).to.equal(undefined)
          expect(handOver!.transferredPositions + replayedPositions).to.be.at.least(length + 1)
          if (mode !== 'measured') expect([handOver!.method, handOver!.transferredPositions > 0]).to.deep.equal([mode, mode !== 'replay'])
          // what is short is not measured
          expect(handOver!.predictedSeconds === undefined).to.equal(length < 256)
          // nothing is known of a link over which nothing comes
          expect(handOver!.predictions === undefined).to.equal(length < 256 || mode === 'replay')
          if (handOver!.predictions !== undefined) expect(handOver!.predictions.replay).to.be.greaterThan(0)
        }
        // what the heir has not computed can be replayed through it all the same
        await truncate(length)
        await step(9, 9)
        await session.close()
      })
    }
  }

  it('with less memory than there is to take', async () => {
    const { heir, old, step, leave, keyValues, repairs } = await scene('split', { limits: { takenBytes: 1000 } })
    await step(...ids(500))
    const before = keyValues(old, 500)
    await leave()
    expect(keyValues(heir, 500)).to.equal(before)
    expect(repairs[0].handOver).to.include({ method: 'split' })
    expect(repairs[0].handOver!.problem).to.equal(undefined)
  })

  it('the giver dies in the middle of it: the rest is replayed', async () => {
    const { session, old, heir, step, repairs } = await scene('transfer')
    await step(...ids(600))
    let reads = 0
    const read = old.engine.readKeyValues
    old.engine.readKeyValues = (session, from, to) => {
      // the second piece: that of the trial was given
      if (++reads < 2) return read(session, from, to)
      old.cut()
      throw new Error('dead')
    }
    old.node.hosted[0].drain({ milliseconds: 60_000 })
    for (let turn = 0; repairs.length === 0; turn++) await step(turn % 64)
    expect(repairs[0].handOver!.problem).to.match(/has closed the connection|is lost/)
    expect(repairs[0].replayedPositions).to.be.at.least(450)
    expect(session.route[1].peerId).to.equal(heir.id)
    await step(1, 2, 3)
    await session.close()
  })

  it('the heir dies in the middle of it: another one takes over', async () => {
    const { session, peers, old, step, leave, repairs } = await scene('transfer', { third: true })
    await step(...ids(400))
    const dead: string[] = []
    for (const peer of peers.filter(peer => peer !== old && peer.engine.range.from === 2)) {
      const write = peer.engine.writeKeyValues
      peer.engine.writeKeyValues = (session, from, bytes, to) => {
        if (dead.length > 0) return write(session, from, bytes, to)
        dead.push(peer.id)
        peer.cut()
        throw new Error('dead')
      }
    }
    await leave()
    expect(repairs[0].handOver!.problem).to.equal(undefined)
    expect([dead.length, repairs[0].attempts]).to.deep.equal([1, 2])
    expect([old.id, ...dead]).to.not.include(session.route[1].peerId)
    await step(1, 2, 3)
    await session.close()
  })

  it('the stage behind the heir is lost later: what the heir was given is computed through it', async () => {
    const { session, peers, step, leave, repairs } = await scene('transfer', { spare: true })
    await step(...ids(300))
    await leave()
    const transferred = repairs[0].handOver!.transferredPositions
    const last = peers.find(({ id }) => id === session.route[2].peerId)!
    last.cut()
    await last.node.stop()
    await step(5, 6)
    expect(repairs).to.have.length(2)
    // from the stage before the heir: the heir has outputs only of what it has computed
    expect(repairs[1].replayedPositions).to.be.at.least(300)
    expect(transferred).to.be.greaterThan(200)
    expect(session.route[2].peerId).to.not.equal(last.id)
    await step(7)
    await session.close()
  })

  it('what was handed over is given to no other session', async () => {
    for (const handOver of ['transfer', 'replay'] as const) {
      const peers = [await swarm.peer(0, 2), await swarm.peer(2, 6), await swarm.peer(2, 6)]
      const promptIds = ids(400)
      const init = { node: await swarm.client(), addresses: peers.map(({ address }) => address), model: stubModel(), promptIds, handOver }
      const session = await connectRoute(init)
      await session.step({ tokens: Uint32Array.from(promptIds) })
      const old = peers.find(({ id }) => id === session.route[1].peerId)!
      const drained = old.node.hosted[0].drain({ milliseconds: 60_000 })
      while (old.node.sessions > 0) await session.step({ tokens: Uint32Array.of(1) })
      await drained
      await session.step({ tokens: Uint32Array.of(2) })
      await session.close()
      const other = await connectRoute(init)
      // whoever has computed it itself may give it on
      expect(other.length).to.equal(handOver === 'replay' ? 384 : 0)
      await other.close()
    }
  })

  it('the heir speaks the version before: everything is replayed', async () => {
    const { heir, old, step, leave, repairs, keyValues } = await scene('transfer')
    await startedNode(heir.node).libp2p.unhandle(STAGE_PROTOCOL)
    await step(...ids(300))
    const before = keyValues(old, 300)
    await leave()
    expect(keyValues(heir, 300)).to.equal(before)
    expect(repairs[0].handOver).to.equal(undefined)
    await step(1)
  })

  describe('with real engines', function () {
    this.timeout(60_000)

    it('gives the same bits by every method, and says what it has predicted', async () => {
      const model = await openModel(sotuPath)
      const { architecture } = model
      const end = architecture.layerCount + 2
      const engines: Engine[] = []
      const nodes: PeerNode[] = []
      const engine = async (range: UnitRange): Promise<Engine> => {
        const made = await createEngine({ architecture, range, unit: index => model.unit(index), threads: 1, keyValuePositions: 4096 })
        engines.push(made)
        return made
      }
      const peer = async (range: UnitRange): Promise<PeerNode> => {
        const node = createPeerNode({ engine: await engine(range), model, listen: ['/ip4/127.0.0.1/tcp/0'] })
        nodes.push(node)
        await node.start()
        return node
      }
      const client = createPeerNode({})
      nodes.push(client)
      await client.start()
      const prompt = ids(700, architecture.vocabularySize >= 1024 ? 1024 : 256)
      async function * text (session: RouteSession): AsyncGenerator<string> {
        let next = Uint32Array.from(prompt)
        for (let token = 0; token < 6; token++) {
          const [row] = await session.step({ tokens: next, outputs: [{ row: next.length - 1, output: { kind: 'logits' } }] })
          yield hex(new Uint8Array(row.logits!.buffer, row.logits!.byteOffset, row.logits!.byteLength))
          next = Uint32Array.of(row.logits!.indexOf(Math.max(...row.logits!)))
        }
      }
      try {
        const undisturbed: string[] = []
        for await (const logits of text(createLocalRoute([await engine({ from: 0, to: end })]))) undisturbed.push(logits)
        const fixed = [await peer({ from: 0, to: 3 }), await peer({ from: 6, to: end })]
        for (const handOver of ['transfer', 'split', 'measured', 'replay'] as const) {
          const twins = [await peer({ from: 3, to: 6 }), await peer({ from: 3, to: 6 })]
          const repairs: RouteRepair[] = []
          const session = await connectRoute({ node: client, addresses: [...fixed, ...twins].map(({ addresses }) => addresses[0]), model, handOver, onProgress: event => { if (event.type === 'route:repaired') repairs.push(event.repair) } })
          const seen: string[] = []
          for await (const logits of text(session)) {
            seen.push(logits)
            if (seen.length === 2) twins.find(({ peerId }) => peerId === session.route[1].peerId)!.hosted[0].drain({ milliseconds: 60_000 }).catch(() => {})
          }
          expect(seen, handOver).to.deep.equal(undisturbed)
          expect(repairs).to.have.length(1)
          expect(repairs[0].handOver!.problem).to.equal(undefined)
          if (handOver !== 'measured') expect(repairs[0].handOver!.method).to.equal(handOver)
          expect(repairs[0].handOver!.predictedSeconds).to.be.greaterThan(0)
          await session.close()
          await Promise.all(twins.map(async node => await node.stop()))
        }
      } finally {
        await Promise.all(nodes.map(async node => await node.stop()))
        await Promise.all(engines.map(async engine => await engine.stop()))
      }
    })
  })
})
