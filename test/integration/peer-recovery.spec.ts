import { expect } from 'chai'
import { connectRoute, createLocalSession } from '../../src/peer/index.ts'
import type { ConnectRouteInit, PeerNode, RouteRepair, RouteSession, StageError } from '../../src/peer/index.ts'
import type { UnitRange } from '../../src/model/index.ts'
import { createSwarm, rejection, stubModel } from '../support/peers.ts'
import type { StubPeerOptions } from '../support/peers.ts'
import { candidateSource, recordOf } from '../support/candidates.ts'
import { atPosition, countHidden, faults, faultyPeer } from '../support/faults.ts'
import type { FaultName, FaultyPeer } from '../support/faults.ts'
import { createSlowLink } from '../support/slow-link.ts'
import { createStubEngine } from '../support/stub-engine.ts'

const PROMPT = Uint32Array.from({ length: 20 }, (_value, index) => Math.imul(index + 5, 0x9E3779B1) >>> 26)
const TOKENS = 24
const RANGES: UnitRange[] = [{ from: 0, to: 2 }, { from: 2, to: 3 }, { from: 3, to: 4 }, { from: 4, to: 6 }]

/** Greedy text: each token depends on all before it. */
async function text (session: RouteSession, tokens = TOKENS): Promise<number[]> {
  const ids: number[] = []
  let next = PROMPT
  while (ids.length < tokens) {
    const [row] = await session.step({ tokens: next, outputs: [{ row: next.length - 1, output: { kind: 'top', count: 1 } }] })
    ids.push(row.ids![0])
    next = Uint32Array.of(row.ids![0])
  }
  return ids
}

describe('peer: recovery', function () {
  this.timeout(240_000)
  const swarm = createSwarm()
  let undisturbed: number[]
  before(async () => { undisturbed = await text(createLocalSession(createStubEngine({ from: 0, to: 6 }))) })
  afterEach(async () => await swarm.stop())

  /** Peers come and go faster than one client may ask for in earnest. */
  const busy: StubPeerOptions = { limits: { dialsPerClientAndMinute: 10_000 } }

  /** Four stages and one spare for each, all as they should be. */
  async function peersTwice (): Promise<FaultyPeer[]> {
    return await Promise.all([...RANGES, ...RANGES].map(async ({ from, to }) => await faultyPeer(swarm, from, to, busy)))
  }

  interface Run {
    session: RouteSession
    repairs: RouteRepair[]
    /** of the stages of its first route */
    stages: FaultyPeer[]
  }

  async function connect (node: PeerNode, peers: FaultyPeer[], options: Partial<ConnectRouteInit> = {}): Promise<Run> {
    const repairs: RouteRepair[] = []
    const session = await connectRoute({
      node,
      addresses: peers.map(({ address }) => address),
      model: stubModel(),
      ...options,
      onProgress: event => { if (event.type === 'route:repaired') repairs.push(event.repair) }
    })
    const stages = session.route.filter(({ local }) => !local).map(({ peerId }) => peers.find(({ id }) => id === peerId)!)
    return { session, repairs, stages }
  }

  /** Every place of a text where something can happen to a stage. */
  async function everywhere (fault: FaultName, tokens: number[], options: Partial<ConnectRouteInit> = {}, recovers = true): Promise<void> {
    let peers = await peersTwice()
    const node = await swarm.client()
    for (const stage of RANGES.keys()) {
      for (const token of tokens) {
        const { session, repairs, stages } = await connect(node, peers, options)
        const victim = stages[stage]
        // token 0 is the prompt
        atPosition(victim, token === 0 ? 0 : PROMPT.length + token - 1, faults[fault])
        const where = `${fault} at stage ${stage + 1}, token ${token}`
        expect(await text(session), where).to.deep.equal(undisturbed)
        expect(repairs, where).to.have.length(1)
        expect(repairs[0].lost.map(({ peerId }) => peerId), where).to.deep.equal([victim.id])
        expect(session.route.map(({ range }) => range), where).to.deep.equal(RANGES)
        await session.close()
        victim.node.stop()
        peers = peers.filter(peer => peer !== victim)
        peers.push(await faultyPeer(swarm, RANGES[stage].from, RANGES[stage].to, busy))
      }
    }
  }

  const all = Array.from({ length: TOKENS }, (_value, token) => token)
  const some = [0, 1, 11, 23]

  it('of a peer that is killed at any stage and any token', async () => await everywhere('kill', all))
  it('of a peer that stops in order', async () => await everywhere('stop', some))
  it('of a peer that sends bytes without sense', async () => await everywhere('babble', all))
  it('of a peer whose results are no results', async () => await everywhere('spoil', all))
  it('of a peer whose engine fails', async () => await everywhere('fail', some))
  it('of a peer that gets no further', async () => await everywhere('stall', [1, 11, 23], { deadlines: { stall: 1 } }))

  it('of two that are killed at once, neighbours or not', async () => {
    for (const [one, other] of [[0, 1], [1, 2], [0, 3], [1, 3], [2, 3]]) {
      for (const token of [0, 9]) {
        const { session, repairs, stages } = await connect(await swarm.client(), await peersTwice())
        atPosition(stages[one], token === 0 ? 0 : PROMPT.length + token - 1, peer => {
          faults.kill(stages[other])
          faults.kill(peer)
        })
        expect(await text(session), `stages ${one + 1} and ${other + 1}, token ${token}`).to.deep.equal(undisturbed)
        expect(repairs.flatMap(({ lost }) => lost.map(({ peerId }) => peerId))).to.have.members([stages[one].id, stages[other].id])
        await swarm.stop()
      }
    }
  })

  it('of another one that is killed while it recovers: the new one, the one that replays, and any other', async () => {
    for (const [lost, next] of [[1, 1], [1, 0], [1, 2], [0, 0], [0, 3], [3, 3], [3, 2], [3, 0]]) {
      const peers = [...await peersTwice(), ...await peersTwice()]
      const { session, repairs, stages } = await connect(await swarm.client(), peers, { chunkRows: 4 })
      atPosition(stages[lost], PROMPT.length + 7, peer => {
        // whichever takes its place runs the first positions again
        for (const spare of peers) {
          if (stages.includes(spare) || spare.engine.range.from !== RANGES[lost].from) continue
          atPosition(spare, 8, spare => {
            for (const other of peers) other.onRun = undefined
            faults.kill(next === lost ? spare : stages[next])
          })
        }
        faults.kill(peer)
      })
      expect(await text(session), `stage ${lost + 1}, then ${next + 1}`).to.deep.equal(undisturbed)
      expect(repairs.flatMap(({ failures }) => failures).length).to.be.at.least(2)
      await swarm.stop()
    }
  })

  it('with the positions of stages that have given up their history, from further up', async () => {
    for (const keptBytes of [0, 40 * 4 * 32]) {
      const limits = { ...busy.limits, keptBytes, keptDiskBytes: 0 }
      const peers = await Promise.all([...RANGES, ...RANGES].map(async ({ from, to }) => await faultyPeer(swarm, from, to, { limits })))
      const { session, repairs, stages } = await connect(await swarm.client(), peers)
      atPosition(stages[2], PROMPT.length + 15, faults.kill)
      expect(await text(session)).to.deep.equal(undisturbed)
      expect(repairs).to.have.length(1)
      await swarm.stop()
    }
  })

  it('by peers that host other ranges, of which they run a part', async () => {
    const first = await Promise.all(RANGES.map(async ({ from, to }) => await faultyPeer(swarm, from, to)))
    const known = candidateSource([])
    const { session, repairs, stages } = await connect(await swarm.client(), first, { candidates: known })
    for (const [from, to] of [[0, 4], [1, 6], [0, 3]]) known.learn(recordOf(await faultyPeer(swarm, from, to)))
    for (const [index, stage] of stages.entries()) atPosition(stage, PROMPT.length + 5 * index + 1, faults.kill)
    expect(await text(session)).to.deep.equal(undisturbed)
    expect(repairs.flatMap(({ replacements }) => replacements).length).to.be.at.least(2)
    expect(session.route.length).to.be.below(4)
  })

  it('carries no hidden state, in a repair either', async () => {
    const peers = await peersTwice()
    const node = await swarm.client()
    const hidden = countHidden(node)
    const { session, stages } = await connect(node, peers)
    atPosition(stages[1], PROMPT.length + 4, faults.kill)
    atPosition(stages[2], PROMPT.length + 9, faults.babble)
    expect(await text(session)).to.deep.equal(undisturbed)
    expect(hidden()).to.equal(0)
  })

  it('with stages of its own, whose outputs it keeps', async () => {
    for (const own of [[{ from: 0, to: 1 }], [{ from: 2, to: 3 }, { from: 5, to: 6 }]]) {
      const local = own.map(range => createStubEngine(range))
      const peers = await peersTwice()
      const { session, repairs, stages } = await connect(await swarm.client(), peers, { local })
      for (const [index, stage] of stages.entries()) atPosition(stage, PROMPT.length + 5 * index + 1, faults.kill)
      expect(await text(session)).to.deep.equal(undisturbed)
      expect(repairs.flatMap(({ lost }) => lost)).to.have.length(stages.length)
      await session.close()
      for (const engine of local) expect(engine.openSessions).to.equal(0)
      await swarm.stop()
    }
  })

  it('hands a session over when a peer drains, and stays where nobody else is', async () => {
    const peers = await peersTwice()
    const { session, repairs, stages } = await connect(await swarm.client(), peers)
    let drained: Promise<void> | undefined
    atPosition(stages[1], PROMPT.length + 4, ({ node }) => { drained = node.hosted[0].drain() })
    expect(await text(session)).to.deep.equal(undisturbed)
    await drained
    expect([repairs.length, repairs[0].failures.length, repairs[0].lost[0].peerId]).to.deep.equal([1, 0, stages[1].id])
    expect(stages[1].node.sessions).to.equal(0)
    // its place was taken by the last one there is
    const successor = peers.find(({ id }) => id === session.route[1].peerId)!
    await session.truncate(0)
    let moved = false
    atPosition(successor, PROMPT.length + 4, ({ node }) => { node.hosted[0].drain({ milliseconds: 60_000 }).then(() => { moved = true }) })
    expect(await text(session)).to.deep.equal(undisturbed)
    expect([repairs.length, moved, successor.node.sessions]).to.deep.equal([1, false, 1])
    await session.close()
    await successor.event('peer:session-close')
  })

  it('moves an idle session too', async () => {
    const peers = await peersTwice()
    const { session, repairs, stages } = await connect(await swarm.client(), peers)
    const ids = await text(session, 5)
    await stages[0].node.hosted[0].drain()
    expect(repairs).to.have.length(1)
    expect(ids).to.deep.equal(undisturbed.slice(0, 5))
  })

  it('of a peer that comes back at its address, where nobody else hosts its units', async () => {
    const [first, second] = [await faultyPeer(swarm, 0, 3), await faultyPeer(swarm, 3, 6)]
    const { session, repairs } = await connect(await swarm.client(), [first, second])
    atPosition(second, PROMPT.length + 4, faults.cut)
    expect(await text(session)).to.deep.equal(undisturbed)
    expect(repairs[0].route.map(({ peerId }) => peerId)).to.deep.equal([first.id, second.id])
  })

  it('waits for somebody to host what was lost', async () => {
    const peers = await Promise.all(RANGES.map(async ({ from, to }) => await faultyPeer(swarm, from, to)))
    const known = candidateSource(peers.slice(1).map(recordOf))
    const waiting = Promise.withResolvers<number[]>()
    const repairs: RouteRepair[] = []
    const session = await connectRoute({
      node: await swarm.client(),
      addresses: [peers[0].address],
      candidates: known,
      model: stubModel(),
      onProgress: event => {
        if (event.type === 'route:waiting') waiting.resolve(event.missing)
        if (event.type === 'route:repaired') repairs.push(event.repair)
      }
    })
    atPosition(peers[2], PROMPT.length + 4, peer => {
      known.forget(peer.id)
      faults.kill(peer)
    })
    const written = text(session)
    expect(await waiting.promise).to.deep.equal([3])
    expect(known.suspected).to.deep.equal([peers[2].id])
    known.learn(recordOf(await faultyPeer(swarm, 2, 5)))
    expect(await written).to.deep.equal(undisturbed)
    expect(repairs[0].replacements.map(({ range }) => range)).to.deep.equal([{ from: 3, to: 4 }])
  })

  it('goes on with the only one who hosts a unit as soon as it can be reached, whoever suspects it', async () => {
    const link = await createSlowLink()
    const peers = await Promise.all(RANGES.map(async ({ from, to }) => await faultyPeer(swarm, from, to)))
    link.leadTo(Number(/\/tcp\/(\d+)/.exec(peers[2].address)![1]))
    const known = candidateSource([...peers.map(recordOf), { ...recordOf(peers[2]), addresses: [`${link.address}/p2p/${peers[2].id}`] }])
    const repairs: RouteRepair[] = []
    const session = await connectRoute({
      node: await swarm.client(),
      addresses: [peers[0].address],
      candidates: { ...known, suspect: peerId => known.forget(peerId) },
      model: stubModel(),
      onProgress: event => {
        if (event.type === 'route:waiting') link.mend()
        if (event.type === 'route:repaired') repairs.push(event.repair)
      }
    })
    atPosition(peers[2], PROMPT.length + 4, () => link.cut())
    expect(await text(session)).to.deep.equal(undisturbed)
    expect(repairs.map(({ route }) => route.map(({ peerId }) => peerId))).to.deep.equal([peers.map(({ id }) => id)])
    await session.close()
    await link.stop()
  })

  it('opens elsewhere where a peer refuses, is full, or is gone', async () => {
    const peers = await peersTwice()
    const full = await faultyPeer(swarm, 0, 3, { limits: { sessions: 0 } })
    const cramped = await faultyPeer(swarm, 3, 6, { positions: 10 })
    const gone = await faultyPeer(swarm, 0, 6)
    const source = candidateSource([recordOf(gone)])
    await gone.node.stop()
    const leaving = await faultyPeer(swarm, 0, 6)
    await leaving.node.hosted[0].drain()
    for (let turn = 0; turn < 5; turn++) {
      const { session } = await connect(await swarm.client(), [full, cramped, leaving, ...peers], { candidates: source, capacity: 100 })
      expect(await text(session, 3)).to.deep.equal(undisturbed.slice(0, 3))
      await session.close()
    }
    const error = await rejection(connect(await swarm.client(), [full, cramped])) as StageError
    expect([error.name, error.retryable]).to.deep.equal(['StageRefusedError', true])
    expect(error.message).to.contain('all 0 sessions are taken')
  })

  it('shares nothing wrong after a repair, and all that is right', async () => {
    const long = Uint32Array.from({ length: 100 }, (_value, index) => Math.imul(index + 7, 0x9E3779B1) >>> 26)
    const row = [{ row: 3, output: { kind: 'top' as const, count: 2 } }]
    const peers = await peersTwice()
    const node = await swarm.client()
    const { session, stages } = await connect(node, peers, { promptIds: long })
    await session.step({ tokens: long })
    atPosition(stages[1], 100, faults.kill)
    await session.step({ tokens: long.subarray(0, 10) })
    // the stages behind the one that was lost hold what had come through it
    const known = [stages[0], peers.find(({ id }) => id === session.route[1].peerId)!, stages[2], stages[3]]
    const { session: second } = await connect(node, known, { promptIds: long })
    expect(second.length).to.equal(0)
    const rest = { tokens: long.subarray(96), position: 96, outputs: row }
    await second.step({ tokens: long.subarray(0, 96) })
    const expected = createLocalSession(createStubEngine({ from: 0, to: 6 }))
    await expected.step({ tokens: long.subarray(0, 96) })
    expect(await second.step(rest)).to.deep.equal(await expected.step(rest))
    const { session: third } = await connect(node, known, { promptIds: long })
    expect(third.length).to.equal(96)
    expect(await third.step(rest)).to.deep.equal(await expected.step(rest))
  })

  it('keeps one session, with one id, whatever becomes of its stages', async () => {
    const peers = await peersTwice()
    const { session, repairs, stages } = await connect(await swarm.client(), peers)
    const { id } = session
    for (const [index, stage] of stages.entries()) atPosition(stage, PROMPT.length + 3 * index + 1, faults.kill)
    expect(await text(session)).to.deep.equal(undisturbed)
    expect([session.id, repairs.length, session.length]).to.deep.equal([id, 4, PROMPT.length + TOKENS - 1])
  })
})
