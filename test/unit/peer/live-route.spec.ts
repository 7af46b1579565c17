import { expect } from 'chai'
import type { RouteLostError, RouteProgress, RouteRepair, RouteSession } from '../../../src/peer/index.ts'
import { rejection } from '../../support/peers.ts'
import { createStubStages } from '../../support/stub-stages.ts'
import type { Fault, StubStages } from '../../support/stub-stages.ts'
import { referenceSession, stubRoute } from '../../support/stub-route.ts'

const ids = (length: number, seed: number): Uint32Array => Uint32Array.from({ length }, (_value, index) => Math.imul(index + seed, 0x9E3779B1) >>> 26)
const last = (length: number) => [{ row: length - 1, output: { kind: 'top' as const, count: 3 } }]

/** A swarm of three stages, each with a spare: a0 a1 for units 0:2, b0 b1 for 2:4, c0 c1 for 4:6. */
function twice (): StubStages {
  const stages = createStubStages()
  for (const [name, from, to] of [['a', 0, 2], ['b', 2, 4], ['c', 4, 6]] as const) for (const copy of [0, 1]) stages.add(`${name}${copy}`, { from, to })
  return stages
}

interface Watched {
  session: RouteSession
  repairs: RouteRepair[]
  events: RouteProgress[]
}

async function watched (stages: StubStages, options: Parameters<typeof stubRoute>[1] = {}): Promise<Watched> {
  const repairs: RouteRepair[] = []
  const events: RouteProgress[] = []
  const session = await stubRoute(stages, {
    ...options,
    onProgress: event => {
      events.push(event)
      if (event.type === 'route:repaired') repairs.push(event.repair)
    }
  })
  return { session, repairs, events }
}

/** A prompt and some tokens, beside a session that nothing disturbs. */
async function compare (session: RouteSession, turns = 12): Promise<void> {
  const reference = referenceSession()
  const requests = [{ tokens: ids(40, 1), outputs: [{ row: 7, output: { kind: 'logits' as const } }, ...last(40)] }, ...Array.from({ length: turns }, (_value, turn) => ({ tokens: ids(1, 50 + turn), outputs: last(1) }))]
  for (const [index, request] of requests.entries()) expect(await session.step(request), `step ${index}`).to.deep.equal(await reference.step(request))
  expect([...session.heldIds]).to.deep.equal([...reference.heldIds])
}

const used = (session: RouteSession, index: number): string => session.route[index].peerId!

describe('peer/client: a route that loses stages', () => {
  it('runs undisturbed, and carries nothing of the middle', async () => {
    const stages = twice()
    const { session } = await watched(stages)
    await compare(session)
    expect(stages.clientHiddenBytes).to.equal(0)
    await session.close()
    for (const peer of stages.peers.values()) expect(peer.sessions.size).to.equal(0)
  })

  for (const fault of ['kill', 'garbage', 'evict', 'engine'] as Fault[]) {
    for (const stage of [0, 1, 2]) {
      it(`survives ${fault} at stage ${stage + 1}, at each step`, async () => {
        for (let at = 1; at <= 15; at++) {
          const stages = twice()
          const { session, repairs } = await watched(stages)
          const victim = stages.peers.get(used(session, stage))!
          victim.onStep = (_peer, count) => count === at ? fault : undefined
          await compare(session)
          expect(repairs, `at ${at}`).to.have.length(1)
          expect(repairs[0].lost.map(({ peerId }) => peerId)).to.deep.equal([victim.peerId])
          expect(repairs[0].replacements).to.have.length(1)
          expect(session.route.map(({ peerId }) => peerId)).to.not.include(victim.peerId)
          expect(stages.clientHiddenBytes).to.equal(0)
          await session.close()
        }
      })
    }
  }

  it('survives two that are lost at once, wherever they are', async () => {
    for (const [one, other] of [[0, 1], [0, 2], [1, 2]]) {
      for (let at = 1; at <= 15; at += 2) {
        const stages = twice()
        const { session, repairs } = await watched(stages)
        const victims = [used(session, one), used(session, other)]
        stages.peers.get(victims[0])!.onStep = (_peer, count) => {
          if (count === at) stages.kill(victims[1])
          return count === at ? 'kill' : undefined
        }
        await compare(session)
        expect(repairs.flatMap(({ lost }) => lost.map(({ peerId }) => peerId))).to.have.members(victims)
      }
    }
  })

  it('survives a failure of the new stage, of the one that replays, and of another one, while it recovers', async () => {
    for (const helper of ['b1', 'a', 'c'] as const) {
      for (let at = 1; at <= 3; at++) {
        const stages = twice()
        stages.add('b2', { from: 2, to: 4 })
        const { session, repairs } = await watched(stages)
        const victim = used(session, 1)
        const others = ['b0', 'b1', 'b2'].filter(peerId => peerId !== victim)
        stages.peers.get(victim)!.onStep = (_peer, count) => {
          if (count !== 9) return undefined
          // whoever comes next
          for (const peerId of helper === 'b1' ? others : [used(session, helper === 'a' ? 0 : 2)]) {
            const peer = stages.peers.get(peerId)!
            let more = 0
            peer.onStep = () => [...stages.peers.values()].filter(({ onStep }) => onStep === peer.onStep).length > 0 && ++more === at && others.every(other => stages.peers.get(other)!.alive) ? 'kill' : undefined
          }
          return 'kill'
        }
        await compare(session)
        expect(repairs.at(-1)!.failures.length + repairs.length).to.be.at.least(2)
      }
    }
  })

  it('goes further up where the stage before has given up its history, in the end to the ids', async () => {
    for (const forgetful of [['a0', 'a1'], ['b0', 'b1'], ['a0', 'a1', 'b0', 'b1']]) {
      const stages = twice()
      const { session, repairs } = await watched(stages)
      for (const peerId of forgetful) stages.peers.get(peerId)!.onStep = (_peer, count) => count === 6 ? 'forget' : undefined
      stages.peers.get(used(session, 2))!.onStep = (_peer, count) => count === 9 ? 'kill' : undefined
      await compare(session)
      expect(repairs.map(({ lost }) => lost.length)).to.deep.equal([1])
    }
  })

  it('takes several peers for one, and one for several', async () => {
    const stages = createStubStages()
    stages.add('whole', { from: 0, to: 6 })
    const { session, repairs } = await watched(stages)
    stages.peers.get('whole')!.onStep = (_peer, count) => count === 8 ? 'kill' : undefined
    for (const [name, from, to] of [['x', 0, 3], ['y', 2, 5], ['z', 4, 6]] as const) stages.add(name, { from, to })
    const z = stages.peers.get('z')!
    z.onStep = (_peer, count) => {
      if (count !== 4) return undefined
      stages.add('rest', { from: 1, to: 6 })
      return 'kill'
    }
    await compare(session)
    expect(repairs).to.have.length(2)
    expect(repairs[0].replacements.map(({ peerId }) => peerId)).to.deep.equal(['x', 'y', 'z'])
    expect(session.route.at(-1)!.range.to).to.equal(6)
  })

  it('goes on at the same peer in a larger range, where nobody else is left', async () => {
    const stages = createStubStages()
    stages.add('a', { from: 0, to: 3 })
    stages.add('b', { from: 3, to: 6 })
    const { session } = await watched(stages)
    expect(session.route).to.have.length(2)
    stages.peers.get('a')!.ranges[0] = { from: 0, to: 6 }
    stages.peers.get('b')!.onStep = (_peer, count) => count === 5 ? 'kill' : undefined
    await compare(session)
    expect(session.route.map(({ peerId, range }) => [peerId, range.to])).to.deep.equal([['a', 6]])
  })

  it('does not make neighbours again of two that have lost each other, and does without one of them only', async () => {
    for (const without of ['', 'a', 'b']) {
      const stages = twice()
      const { session, repairs } = await watched(stages)
      const [a, b] = [used(session, 0), used(session, 1)]
      for (const { peerId } of stages.peers.values()) if (without !== '' && peerId.startsWith(without) && peerId !== a && peerId !== b) stages.peers.delete(peerId)
      stages.peers.get(a)!.onStep = (_peer, count) => {
        if (count === 7) stages.cut(a, b)
        return undefined
      }
      await compare(session)
      expect(repairs).to.have.length(1)
      expect(repairs[0].lost).to.have.length(1)
      expect(repairs[0].lost[0].peerId).to.be.oneOf(without === 'a' ? [b] : without === 'b' ? [a] : [a, b])
      expect(session.route.map(({ peerId }) => peerId)).to.not.include.members([a, b])
    }
  })

  it('tries two again that have lost each other, where there is nobody else', async () => {
    const stages = createStubStages()
    stages.add('a', { from: 0, to: 3 })
    stages.add('b', { from: 3, to: 6 })
    const { session, repairs } = await watched(stages)
    stages.peers.get('a')!.onStep = (_peer, count) => {
      if (count === 7) {
        stages.cut('a', 'b')
        setTimeout(() => stages.mend('a', 'b'), 50)
      }
      return undefined
    }
    await compare(session)
    expect(repairs[0].lost).to.deep.equal([])
    expect(repairs[0].replayedPositions, 'nothing was lost but the connection').to.equal(0)
  })

  it('asks somebody else where a stage refuses, at the opening and in a repair', async () => {
    const stages = twice()
    stages.add('b2', { from: 2, to: 4 })
    for (const peerId of ['a0', 'b0', 'c1']) stages.peers.get(peerId)!.refusals = 1
    const { session, repairs, events } = await watched(stages)
    const victim = used(session, 1)
    for (const peerId of ['b0', 'b1', 'b2']) if (peerId !== victim) stages.peers.get(peerId)!.refusals = 1
    stages.peers.get(victim)!.onStep = (_peer, count) => count === 4 ? 'kill' : undefined
    await compare(session)
    expect(events.filter(({ type }) => type === 'route:failed')).to.not.have.length(0)
    expect(repairs).to.have.length(1)
    expect(repairs[0].attempts).to.be.at.least(2)
  })

  it('moves away from a stage that leaves, between two steps, and stays where nobody else is', async () => {
    const stages = twice()
    const { session, repairs } = await watched(stages)
    const [a, , c] = [0, 1, 2].map(index => used(session, index))
    stages.peers.get(a)!.onStep = (_peer, count) => count === 6 ? 'leave' : undefined
    for (const peerId of ['c0', 'c1']) if (peerId !== c) stages.kill(peerId)
    stages.peers.get(c)!.onStep = (_peer, count) => count === 9 ? 'leave' : undefined
    await compare(session)
    expect(repairs).to.have.length(1)
    expect(repairs[0].failures).to.deep.equal([])
    expect(repairs[0].lost.map(({ peerId }) => peerId)).to.deep.equal([a])
    expect(used(session, 2)).to.equal(c)
    expect(stages.peers.get(a)!.sessions.size).to.equal(0)
  })

  it('waits for somebody to host what was lost, and tells what is missing', async () => {
    const stages = twice()
    const listeners = new Set<() => void>()
    const { session, repairs, events } = await watched(stages, { listeners })
    stages.peers.get(used(session, 1))!.onStep = (_peer, count) => {
      if (count === 6) for (const peerId of ['b0', 'b1']) stages.kill(peerId)
      return undefined
    }
    const waiting = (async () => {
      while (!events.some(({ type }) => type === 'route:waiting')) await new Promise(resolve => setImmediate(resolve))
      stages.add('b2', { from: 1, to: 5 })
      for (const listener of listeners) listener()
    })()
    await Promise.all([compare(session), waiting])
    expect(events.find(({ type }) => type === 'route:waiting')).to.deep.include({ missing: [2, 3] })
    expect(repairs[0].replacements.map(({ peerId, range }) => [peerId, range])).to.deep.equal([['b2', { from: 2, to: 4 }]])
  })

  it('gives up with one error that names the units, and tries again at the next step', async () => {
    const stages = twice()
    const { session } = await watched(stages, { deadlines: { repair: 60 } })
    const reference = referenceSession()
    for (const one of [session, reference]) await one.step({ tokens: ids(20, 1) })
    for (const peerId of ['b0', 'b1']) stages.kill(peerId)
    const error = await rejection(session.step({ tokens: ids(1, 2) })) as RouteLostError
    expect([error.name, error.code, error.retryable, error.missing]).to.deep.equal(['RouteLostError', 'ERR_ROUTE_LOST', true, [2, 3]])
    expect(error.message).to.match(/^the session has lost its route, and nobody hosts layer 1 to layer 2, 0\.\d s after it began to look: stage 2 \(peer b\d, units 2:4\) is lost: /)
    expect(session.length).to.equal(20)
    stages.add('b2', { from: 2, to: 4 })
    const request = { tokens: ids(3, 4), outputs: last(3) }
    expect(await session.step(request)).to.deep.equal(await reference.step(request))
  })

  it('keeps what engines of its own have computed for a stage behind them', async () => {
    for (const local of [[{ from: 0, to: 2 }], [{ from: 0, to: 1 }, { from: 3, to: 4 }], [{ from: 5, to: 6 }]]) {
      for (const at of [1, 2, 3, 7, 9]) {
        const stages = createStubStages()
        for (const copy of [0, 1]) {
          stages.add(`a${copy}`, { from: 0, to: 3 })
          stages.add(`b${copy}`, { from: 2, to: 6 })
        }
        const { session, repairs } = await watched(stages, { local })
        const remote = session.route.filter(stage => !stage.local)
        for (const { peerId } of remote) stages.peers.get(peerId!)!.onStep = (_peer, count) => count === at ? 'kill' : undefined
        await compare(session)
        expect(repairs.flatMap(({ lost }) => lost)).to.have.length(remote.length)
        await session.close()
      }
    }
  })

  it('repairs by itself while nothing is asked of it, but does not ask back room that was taken', async () => {
    const stages = twice()
    const { session, repairs } = await watched(stages)
    const reference = referenceSession()
    for (const one of [session, reference]) await one.step({ tokens: ids(20, 1) })
    stages.kill(used(session, 1))
    while (repairs.length === 0) await new Promise(resolve => setImmediate(resolve))
    const request = { tokens: ids(1, 4), outputs: last(1) }
    expect(await session.step(request)).to.deep.equal(await reference.step(request))
    expect(repairs).to.have.length(1)
  })

  it('leaves a stage that answers and does not get on, long before the deadline, and names the right one', async () => {
    for (const stage of [0, 1, 2]) {
      const stages = twice()
      const { session, repairs } = await watched(stages, { deadlines: { stall: 200 } })
      const victim = used(session, stage)
      stages.peers.get(victim)!.onStep = (_peer, count) => count === 7 ? 'stall' : undefined
      await compare(session)
      expect(repairs.map(({ failures, lost }) => [failures[0].name, lost.map(({ peerId }) => peerId)])).to.deep.equal([['StageStalledError', [victim]]])
    }
  })

  it('stays with a stage that is slow where nobody else is, until the deadline', async () => {
    const stages = createStubStages()
    stages.add('a', { from: 0, to: 6 })
    const { session } = await watched(stages, { deadlines: { stall: 1, step: 2500, repair: 100 } })
    await session.step({ tokens: ids(20, 1) })
    await session.step({ tokens: ids(1, 1) })
    stages.peers.get('a')!.onStep = () => 'stall'
    const started = performance.now()
    const error = await rejection(session.step({ tokens: ids(1, 2) })) as RouteLostError
    expect(performance.now() - started).to.be.at.least(2400)
    expect(error.name).to.equal('RouteLostError')
    expect((error.cause as Error).name).to.equal('StageStalledError')
  })

  it('leaves stages that give no sign of life, all at once, also while they replay', async function () {
    this.timeout(30_000)
    const stages = twice()
    stages.add('b2', { from: 2, to: 4 })
    const { session, repairs } = await watched(stages)
    const [a, b] = [used(session, 0), used(session, 1)]
    stages.peers.get(a)!.onStep = (_peer, count) => {
      if (count !== 8) return undefined
      stages.peers.get(b)!.frozen = true
      for (const peerId of ['b0', 'b1', 'b2']) if (peerId !== b) stages.peers.get(peerId)!.onStep = () => stages.peers.get(peerId === 'b2' ? 'b1' : 'b2')!.frozen || peerId === b ? undefined : 'freeze'
      return 'freeze'
    }
    await compare(session)
    expect(repairs).to.have.length(1)
    expect(repairs[0].failures.slice(0, 2).map(({ name }) => name)).to.deep.equal(['StageLostError', 'StageLostError'])
    expect(repairs[0].lost.map(({ peerId }) => peerId)).to.deep.equal([a, b])
  })

  it('can be aborted and closed while it recovers', async () => {
    const stages = twice()
    const { session, events } = await watched(stages)
    const reference = referenceSession()
    for (const one of [session, reference]) await one.step({ tokens: ids(20, 1) })
    for (const peerId of ['b0', 'b1']) stages.kill(peerId)
    const controller = new AbortController()
    const step = session.step({ tokens: ids(1, 2) }, { signal: controller.signal })
    const queued = session.step({ tokens: ids(1, 2) }, { signal: controller.signal })
    while (!events.some(({ type }) => type === 'route:waiting')) await new Promise(resolve => setImmediate(resolve))
    controller.abort(new Error('enough'))
    expect((await rejection(step)).message).to.equal('enough')
    expect((await rejection(queued)).message).to.equal('enough')
    expect(session.length).to.equal(20)
    const waits = session.step({ tokens: ids(1, 2) })
    await session.close()
    expect((await rejection(waits)).name).to.equal('SessionClosedError')
    expect((await rejection(session.step({ tokens: ids(1, 2) }))).name).to.equal('SessionClosedError')
  })
})
