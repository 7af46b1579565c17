import { expect } from 'chai'
import { createEngine } from '../../src/engine/index.ts'
import { openModel } from '../../src/model/index.ts'
import { connectRoute, createLocalRoute, createLocalSession, createPeerNode, SessionEvictedError, StageError, StageRefusedError } from '../../src/peer/index.ts'
import type { ConnectRouteInit, PeerNode, RouteProgress, RouteRepair, RouteSession } from '../../src/peer/index.ts'
import { encodeName, ErrorCode, Kind, decodeOpened } from '../../src/peer/wire/index.ts'
import type { BatchItem, RowOutput } from '../../src/engine/index.ts'
import { sotuPath } from '../support/golden-models.ts'
import { createSwarm, rawLink, rejection, stubModel } from '../support/peers.ts'
import type { StubPeer } from '../support/peers.ts'
import { createStubEngine } from '../support/stub-engine.ts'

const ids = (length: number, seed: number): Uint32Array => Uint32Array.from({ length }, (_value, index) => Math.imul(index + seed, 0x9E3779B1) >>> 26)
const last = (length: number): Array<{ row: number, output: RowOutput }> => [{ row: length - 1, output: { kind: 'top', count: 4 } }]
const join = (...parts: Uint32Array[]): Uint32Array => Uint32Array.from(parts.flatMap(part => [...part]))

/** What a prompt gives in a session that nothing else has to do with. */
async function alone (promptIds: Uint32Array): Promise<unknown> {
  return await createLocalSession(createStubEngine({ from: 0, to: 6 })).step({ tokens: promptIds, outputs: last(promptIds.length) })
}

/** Runs what a session lacks of a prompt; rows are counted from the end. */
async function complete (session: RouteSession, promptIds: Uint32Array): Promise<unknown> {
  const tokens = promptIds.subarray(session.length)
  const rows = await session.step({ tokens, outputs: last(tokens.length) })
  return rows.map(row => ({ ...row, row: row.row + promptIds.length - tokens.length }))
}

describe('peer: sharing of prefixes', () => {
  const swarm = createSwarm()
  afterEach(async () => await swarm.stop())

  async function open (node: PeerNode, peers: StubPeer[], promptIds?: Uint32Array, options: Partial<ConnectRouteInit> = {}): Promise<RouteSession> {
    return await connectRoute({ node, addresses: peers.map(({ address }) => address), model: stubModel(), promptIds, ...options })
  }

  const system = ids(100, 1)
  const first = join(system, ids(30, 2))
  const second = join(system, ids(40, 3))

  it('gives a second session what a first one has in common with it, while that one goes on', async () => {
    const peers = await swarm.peers([{ from: 0, to: 2 }, { from: 2, to: 4 }, { from: 4, to: 6 }])
    const node = await swarm.client()
    const one = await open(node, peers, first)
    expect([one.length, [...one.heldIds]]).to.deep.equal([0, []])
    expect(await complete(one, first)).to.deep.equal(await alone(first))
    const two = await open(node, peers, second)
    expect([two.length, [...two.heldIds]]).to.deep.equal([96, [...second.subarray(0, 96)]])
    expect(await complete(two, second)).to.deep.equal(await alone(second))
    expect([...two.heldIds]).to.deep.equal([...second])
    for (const [session, prompt] of [[one, first], [two, second]] as const) {
      const more = join(prompt, ids(5, 9))
      expect(await complete(session, more)).to.deep.equal(await alone(more))
    }
    // the same prompt again: all but what has no name yet, and never its last id
    const three = await open(node, peers, second)
    expect(three.length).to.equal(128)
    expect(await complete(three, second)).to.deep.equal(await alone(second))
  })

  it('gives what a closed session has left, drawn tokens too, until the client goes', async () => {
    const peers = await swarm.peers([{ from: 0, to: 3 }, { from: 3, to: 6 }])
    const node = await swarm.client()
    const one = await open(node, peers, first)
    await complete(one, first)
    for (let token = 0; token < 40; token++) await one.step({ tokens: ids(1, token) })
    const conversation = join(Uint32Array.from(one.heldIds), ids(9, 4))
    await one.close()
    for (const peer of peers) await peer.event('peer:session-close')
    const two = await open(node, peers, conversation)
    expect(two.length).to.equal(160)
    expect(await complete(two, conversation)).to.deep.equal(await alone(conversation))
    await two.close()
    await node.stop()
    for (const peer of peers) {
      await peer.event('peer:session-close', 2)
      while (peer.engine.openSessions > 0) await new Promise(resolve => setImmediate(resolve))
      expect(peer.engine.freePositions).to.equal(1 << 20)
    }
  })

  it('gives nothing to another client, or where it is switched off on either side', async () => {
    const peers = await swarm.peers([{ from: 0, to: 6 }])
    const node = await swarm.client()
    const one = await open(node, peers, first)
    await complete(one, first)
    expect((await open(await swarm.client(), peers, first)).length).to.equal(0)
    expect((await open(node, peers, first, { sharePrefixes: false })).length).to.equal(0)
    expect((await open(node, peers)).length).to.equal(0)
    expect((await open(node, peers, first)).length).to.equal(128)
    const silent = await open(node, peers, second, { sharePrefixes: false })
    await complete(silent, second)
    expect((await open(node, peers, second)).length).to.equal(96)

    const unwilling = [await swarm.peer(0, 6, { limits: { keptSessionsPerClient: 0 } })]
    const other = await open(node, unwilling, first)
    await complete(other, first)
    expect((await open(node, unwilling, first)).length).to.equal(0)
    await other.close()
    await unwilling[0].event('peer:session-close')
    expect(unwilling[0].engine.openSessions).to.equal(1)
  })

  it('gives nothing that was computed behind other stages', async () => {
    const [one, other, end] = [await swarm.peer(0, 3), await swarm.peer(0, 3), await swarm.peer(3, 6)]
    const node = await swarm.client()
    await complete(await open(node, [one, end], first), first)
    await complete(await open(node, [other, end], first), first)
    expect(end.node.sessions).to.equal(2)
    // both have the first stage's part; what the last one holds is each route's own
    expect((await open(node, [one, end], second)).length).to.equal(96)
    const third = await swarm.peer(0, 3)
    const session = await open(node, [third, end], second)
    expect(session.length).to.equal(0)
    expect(await complete(session, second)).to.deep.equal(await alone(second))
    const local = createStubEngine({ from: 0, to: 3 })
    const mixed = await open(node, [end], second, { local: [local] })
    expect(mixed.length).to.equal(0)
    expect(await complete(mixed, second)).to.deep.equal(await alone(second))
    expect((await open(node, [end], second, { local: [local] })).length).to.equal(128)
  })

  it('begins where the stage begins that holds least', async () => {
    const peers = [await swarm.peer(0, 3, { limits: { keptSessionsPerClient: 1 } }), await swarm.peer(3, 6)]
    const node = await swarm.client()
    for (const prompt of [first, join(system.subarray(0, 64), ids(70, 5))]) {
      const session = await open(node, peers, prompt)
      await complete(session, prompt)
      await session.close()
    }
    for (const peer of peers) await peer.event('peer:session-close', 2)
    // the first stage keeps the second session only
    const session = await open(node, peers, second)
    expect(session.length).to.equal(64)
    expect(await complete(session, second)).to.deep.equal(await alone(second))
    const next = join(second, ids(3, 6))
    expect(await complete(session, next)).to.deep.equal(await alone(next))
  })

  it('does not give what was truncated or replaced', async () => {
    const peers = await swarm.peers([{ from: 0, to: 3 }, { from: 3, to: 6 }])
    const node = await swarm.client()
    const one = await open(node, peers, first)
    await complete(one, first)
    await one.truncate(70)
    const other = await open(node, peers, first)
    expect(other.length).to.equal(64)
    await other.close()
    for (const peer of peers) await peer.event('peer:session-close')
    await one.step({ tokens: ids(60, 7), position: 40 })
    const two = await open(node, peers, first)
    expect(two.length).to.equal(32)
    expect(await complete(two, first)).to.deep.equal(await alone(first))
    const changed = join(first.subarray(0, 40), ids(60, 7), ids(2, 8))
    const three = await open(node, peers, changed)
    expect(three.length).to.equal(96)
    expect(await complete(three, changed)).to.deep.equal(await alone(changed))
  })

  it('does not take names that come after what they named was replaced, or before it has come', async () => {
    const peer = await swarm.peer(0, 6)
    const node = await swarm.client()
    const names = ['01'.repeat(16), '02'.repeat(16)]
    const link = await rawLink(node, peer.address)
    link.open({ range: { from: 0, to: 6 } })
    await link.next(Kind.opened)
    const step = async (sequence: number, position: number, rows: number): Promise<void> => {
      link.send({ kind: Kind.step, sequence, position, rows, tokens: ids(rows, sequence) })
      await link.next(Kind.answer)
    }
    let asked = 0
    const found = async (): Promise<number> => {
      const other = await rawLink(node, peer.address)
      other.open({ range: { from: 0, to: 6 }, prefix: names })
      const { held } = decodeOpened((await other.next(Kind.opened)).record!)
      await other.link.close()
      await peer.event('peer:session-close', ++asked)
      return held
    }
    const name = async (sequence: number, first: number, list: string[]): Promise<void> => {
      link.send({ kind: Kind.name, sequence, record: encodeName({ first, names: list }) })
      // it has no reply; that of a probe comes after it
      link.send({ kind: Kind.probe, sequence: 1000 + sequence })
      await link.next(Kind.probed)
    }
    await step(1, 0, 63)
    await name(1, 0, names)
    expect(await found(), 'before the second stride is full').to.equal(0)
    await step(2, 63, 1)
    await name(2, 1, names.slice(1))
    expect(await found(), 'after a gap').to.equal(0)
    await name(2, 0, names)
    expect(await found()).to.equal(64)
    await step(3, 10, 60)
    expect(await found(), 'replaced').to.equal(0)
    await name(2, 0, names)
    expect(await found(), 'named too late').to.equal(0)
    await name(3, 0, names)
    expect(await found()).to.equal(64)
  })

  it('gives the same bits with real engines, where pages are shared and copied', async () => {
    const model = await openModel(sotuPath)
    const { architecture } = model
    const cut = architecture.layerCount >> 1
    const engines = await Promise.all([{ from: 0, to: cut }, { from: cut, to: architecture.layerCount + 2 }].map(async range =>
      await createEngine({ architecture, range, unit: index => model.unit(index), threads: 1, keyValuePositions: 2048 })))
    const nodes = engines.map(engine => createPeerNode({ engine, model, listen: ['/ip4/127.0.0.1/tcp/0'] }))
    try {
      await Promise.all(nodes.map(async node => await node.start()))
      const addresses = nodes.flatMap(node => node.addresses)
      const node = await swarm.client()
      const prompt = (seed: number): Uint32Array => join(ids(330, 1), ids(40, seed))
      for (const [seed, held] of [[2, 0], [3, 320], [2, 352]]) {
        const session = await connectRoute({ node, addresses, model, promptIds: prompt(seed) })
        expect(session.length).to.equal(held)
        const result = await complete(session, prompt(seed))
        const fresh = createLocalRoute(engines)
        expect(result).to.deep.equal(await complete(fresh, prompt(seed)))
        await fresh.close()
        if (seed === 2) await session.close()
      }
    } finally {
      await Promise.all(nodes.map(async node => await node.stop()))
      for (const engine of engines) {
        expect(engine.freePositions).to.equal(2048)
        await engine.stop()
      }
    }
  })

  it('goes along with local engines', async () => {
    const engines = [createStubEngine({ from: 0, to: 4 }, { positions: 1000 }), createStubEngine({ from: 4, to: 6 }, { positions: 1000 })]
    const one = createLocalRoute(engines, { promptIds: first })
    expect(await complete(one, first)).to.deep.equal(await alone(first))
    const two = createLocalRoute(engines, { promptIds: second })
    expect(two.length).to.equal(96)
    expect(await complete(two, second)).to.deep.equal(await alone(second))
    await Promise.all([one.close(), two.close()])
    expect(createLocalRoute(engines, { promptIds: first, sharePrefixes: false }).length).to.equal(0)
    const three = createLocalRoute(engines, { promptIds: second })
    expect(three.length).to.equal(128)
    await three.close()
    // what is kept gives way
    const large = createLocalRoute(engines, { capacity: 900 })
    await large.step({ tokens: ids(900, 1) })
    expect(await rejection(createLocalRoute(engines).step({ tokens: ids(101, 1) }))).to.include({ name: 'StageFailedError', retryable: true })
  })
})

describe('peer: sessions that want KV cache', () => {
  const swarm = createSwarm()
  afterEach(async () => await swarm.stop())

  const open = async (peers: StubPeer[], options: Partial<ConnectRouteInit> = {}): Promise<RouteSession> =>
    await connectRoute({ node: options.node ?? await swarm.client(), addresses: peers.map(({ address }) => address), model: stubModel(), ...options })

  it('are refused, or refused a step, with words and retryable, where nobody is idle', async () => {
    const peers = await swarm.peers([{ from: 0, to: 3 }, { from: 3, to: 6 }], { positions: 300 })
    const promised = await open(peers, { capacity: 200 })
    const refused = await rejection(open(peers, { capacity: 101 })) as StageRefusedError
    expect(refused).to.be.instanceOf(StageRefusedError)
    expect([refused.retryable, refused.message]).to.satisfy(([retryable, message]: [boolean, string]) => retryable && message.endsWith('101 positions of KV cache are needed, 100 are free'))
    const greedy = await open(peers)
    await greedy.step({ tokens: ids(80, 1) })
    const error = await rejection(greedy.step({ tokens: ids(21, 2) })) as StageError
    expect([error.name, error.retryable, error.sessionLost]).to.deep.equal(['StageFailedError', true, false])
    expect(error.message).to.contain('21 positions of KV cache are needed, 20 are free')
    expect(greedy.length).to.equal(80)
    // what was promised is there, and the other goes on with what it has
    await promised.step({ tokens: ids(200, 3) })
    await greedy.step({ tokens: ids(20, 2) })
    await promised.close()
    for (const peer of peers) await peer.event('peer:session-close')
    await greedy.step({ tokens: ids(150, 2) })
  })

  it('get that of kept sessions first', async () => {
    const peers = await swarm.peers([{ from: 0, to: 6 }], { positions: 300, limits: { evictIdleMilliseconds: 0 } })
    const node = await swarm.client()
    const idle = await open(peers)
    await idle.step({ tokens: ids(40, 1) })
    const one = await open(peers, { node, promptIds: ids(200, 1) })
    await one.step({ tokens: ids(200, 1) })
    await one.close()
    await peers[0].event('peer:session-close')
    expect(peers[0].engine.openSessions).to.equal(2)
    const two = await open(peers, { capacity: 260 })
    expect([peers[0].engine.openSessions, peers[0].node.sessions]).to.deep.equal([2, 2])
    await two.step({ tokens: ids(260, 1) })
    await idle.step({ tokens: ids(1, 1), position: 39 })
  })

  it('get that of the session that is idle longest, which begins anew as soon as it is asked for something', async () => {
    const peers = await swarm.peers([{ from: 0, to: 3 }, { from: 3, to: 6 }], { positions: 300, limits: { evictIdleMilliseconds: 0 } })
    const repairs: RouteRepair[] = []
    const failures: Error[] = []
    const onProgress = (event: RouteProgress): void => {
      if (event.type === 'route:failed') failures.push(...event.failures)
      if (event.type === 'route:repaired') repairs.push(event.repair)
    }
    const sessions = [await open(peers), await open(peers, { onProgress }), await open(peers)]
    for (const session of sessions) await session.step({ tokens: ids(100, 1) })
    // the second is idle longest now
    await sessions[0].step({ tokens: ids(1, 1), position: 99 })
    await sessions[2].step({ tokens: ids(1, 1), position: 99 })
    await sessions[0].step({ tokens: ids(50, 1) })
    for (const peer of peers) {
      await peer.event('peer:session-close')
      expect(peer.node.sessions).to.equal(2)
    }
    await sessions[2].step({ tokens: ids(50, 1) })
    while (failures.length === 0) await new Promise(resolve => setImmediate(resolve))
    const error = failures[0] as SessionEvictedError
    expect(error).to.be.instanceOf(SessionEvictedError)
    expect([error.name, error.code, error.retryable, error.stage]).to.deep.equal(['SessionEvictedError', 'ERR_SESSION_EVICTED', true, 1])
    expect(error.message).to.match(/^stage 1 \(peer 12D3\w+, units 0:3\) has ended the session: evicted after 0 s idle, because its KV cache was wanted$/)
    // it did not ask for the room back while nothing was asked of it
    expect(repairs).to.have.length(0)
    const reference = createLocalSession(createStubEngine({ from: 0, to: 6 }))
    await reference.step({ tokens: ids(100, 1) })
    const request = { tokens: ids(1, 9), outputs: last(1) }
    expect(await sessions[1].step(request)).to.deep.equal(await reference.step(request))
    expect(repairs).to.have.length(1)
  })

  it('are told of by a frame of their own', async () => {
    const peer = await swarm.peer(0, 6, { positions: 300, limits: { evictIdleMilliseconds: 0 } })
    const link = await rawLink(await swarm.client(), peer.address)
    link.open({ range: { from: 0, to: 6 }, capacity: 200 })
    await link.next(Kind.opened)
    await open([peer], { capacity: 200 })
    expect(await link.nextError()).to.include({ code: ErrorCode.evicted, retryable: true, sessionLost: true, stage: 1, peer: peer.node.peerId })
  })

  it('do not get that of sessions in use, and end nobody in vain', async () => {
    const gate = Promise.withResolvers<void>()
    const entered = Promise.withResolvers<void>()
    const gated = async (batch: BatchItem[]): Promise<void> => {
      if (batch[0].position !== 7) return
      entered.resolve()
      await gate.promise
    }
    const peers = [await swarm.peer(0, 6, { positions: 1000, limits: { evictIdleMilliseconds: 0 }, gate: gated })]
    const [busy, idle] = [await open(peers, { capacity: 500 }), await open(peers)]
    await idle.step({ tokens: ids(100, 1) })
    await busy.step({ tokens: ids(7, 1) })
    const running = busy.step({ tokens: ids(3, 2), outputs: last(3) })
    await entered.promise
    // the idle session has a hundred positions; with a page more it would not be enough
    expect((await rejection(open(peers, { capacity: 800 })) as StageRefusedError).retryable).to.equal(true)
    expect(peers[0].node.sessions).to.equal(2)
    gate.resolve()
    await running
    await idle.step({ tokens: ids(1, 1) })

    const recent = [await swarm.peer(0, 6, { positions: 100 })]
    await (await open(recent)).step({ tokens: ids(60, 1) })
    expect((await rejection(open(recent, { capacity: 60 }))).name).to.equal('StageRefusedError')
    expect(recent[0].node.sessions).to.equal(1)
  })
})
