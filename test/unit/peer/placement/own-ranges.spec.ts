import { expect } from 'chai'
import { createOwnRanges } from '../../../../src/peer/placement/own-ranges.ts'
import type { PlacementEvent } from '../../../../src/peer/index.ts'
import { createStubHost, createStubLoader, range, settled } from '../../../support/placement.ts'
import { stubModel } from '../../../support/peers.ts'

const a = range(0, 3)
const b = range(3, 6)

function create ({ measure = async () => {} }: { measure?: () => Promise<void> } = {}) {
  const node = createStubHost()
  const stub = createStubLoader({ stubborn: true })
  const events: PlacementEvent[] = []
  const errors: unknown[] = []
  let changes = 0
  const ranges = createOwnRanges({
    node,
    model: stubModel(),
    loader: stub.loader,
    measure,
    onChange: () => { changes++ },
    onEvent: event => events.push(event),
    log: { error: (...values: unknown[]) => { errors.push(values) } }
  })
  const states = (): string[] => ranges.hosted.map(({ range, state }) => `${range.from}:${range.to} ${state}`)
  /** loads a range to the end */
  async function serve (which = a): Promise<void> {
    ranges.load(which, 'memory')
    await stub.pass('fetch')
    await stub.pass('load')
    await settled()
  }
  return { node, stub, events, errors, ranges, states, serve, get changes () { return changes } }
}

describe('peer/placement: own ranges', () => {
  describe('a load that fails', () => {
    it('for want of its files is a state, and is forgotten when it is dropped', async () => {
      const { ranges, stub, states, events, errors, node } = create()
      ranges.load(a, 'memory');
      (await stub.next('fetch')).reject(new Error('nobody has them'))
      await settled()
      expect(states()).to.deep.equal(['0:3 failed'])
      expect(events.at(-1)).to.deep.include({ type: 'placement:failed', range: a }).and.have.nested.property('error.message', 'nobody has them')
      expect(errors).to.have.length(1)
      expect(ranges.inMemory).to.deep.equal([])
      ranges.drop(a)
      expect(states()).to.deep.equal([])
      expect(node.hosted).to.deep.equal([])
    })

    it('at any later point leaves no engine', async () => {
      const slow = create({ measure: async () => { throw new Error('not finite') } })
      await slow.serve()
      expect(slow.states()).to.deep.equal(['0:3 failed'])
      expect(slow.stub.engines[0].stopped).to.equal(true)
      const full = create()
      full.node.problem = new Error('at most 4 ranges')
      await full.serve()
      expect(full.states()).to.deep.equal(['0:3 failed'])
      expect(full.stub.engines[0].stopped).to.equal(true)
      expect(full.events.at(-1)).to.have.nested.property('error.message', 'at most 4 ranges')
    })

    it('can be tried again', async () => {
      const { ranges, stub, states, serve } = create()
      ranges.load(a, 'memory')
      await stub.pass('fetch');
      (await stub.next('load')).reject(new Error('no memory'))
      await settled()
      ranges.drop(a)
      await serve()
      expect(states()).to.deep.equal(['0:3 serving'])
    })
  })

  it('a load that is dropped hosts nothing, even where its engine comes all the same', async () => {
    const { ranges, stub, states, events, node, errors } = create()
    ranges.load(a, 'memory')
    const fetch = await stub.next('fetch')
    ranges.drop(a)
    expect(fetch.signal.aborted).to.equal(true)
    fetch.reject(new Error('aborted'))
    ranges.load(b, 'memory')
    await stub.pass('fetch')
    const load = await stub.next('load')
    ranges.drop(b)
    expect(load.signal.aborted).to.equal(true)
    load.resolve()
    await settled()
    expect(stub.engines.map(({ stopped }) => stopped)).to.deep.equal([true])
    expect([states(), node.hosted, errors]).to.deep.equal([[], [], []])
    expect(events.map(({ type }) => type)).to.not.include('placement:failed')
  })

  it('stop in the middle of a load leaves nothing behind', async () => {
    const { ranges, stub, node, states, serve } = create()
    await serve()
    ranges.load(b, 'memory')
    await stub.pass('fetch')
    const load = await stub.next('load')
    let over = false
    const stopped = ranges.stop({ milliseconds: 0 }).then(() => { over = true })
    await settled()
    // it waits for whoever does not listen to the signal
    expect([over, load.signal.aborted]).to.deep.equal([false, true])
    load.resolve()
    await stopped
    expect([states(), node.hosted]).to.deep.equal([[], []])
    expect(stub.engines.map(({ stopped }) => stopped)).to.deep.equal([true, true])
  })

  it('loads, measures, and serves', async () => {
    let measured = 0
    const { states, serve, events, node } = create({ measure: async () => { measured++ } })
    await serve()
    expect(states()).to.deep.equal(['0:3 serving'])
    expect([measured, node.hosted.length]).to.deep.equal([1, 1])
    expect(events).to.deep.equal([{ type: 'placement:load', range: a, into: 'memory' }, { type: 'placement:serve', range: a }])
  })

  it('drains for as long as it was told, and is drained when the sessions have gone', async () => {
    const { ranges, states, serve, node, events } = create()
    await serve()
    const [hosted] = node.hosted
    hosted.sessions = 2
    ranges.drain(a, 1234)
    expect(states()).to.deep.equal(['0:3 draining'])
    expect(events.at(-1)).to.deep.equal({ type: 'placement:drain', range: a, sessions: 2 })
    await settled()
    expect(states()).to.deep.equal(['0:3 draining'])
    hosted.empty()
    await settled()
    expect(states()).to.deep.equal(['0:3 drained'])
    expect(hosted.calls).to.deep.equal(['drain 1234'])
    ranges.drop(a)
    await settled()
    expect(hosted.calls.at(-1)).to.equal('remove')
    expect(node.hosted).to.deep.equal([])
  })

  it('serves again what drains, or has drained', async () => {
    for (const ends of [false, true]) {
      const { ranges, states, serve, node } = create()
      await serve()
      const [hosted] = node.hosted
      hosted.sessions = 1
      ranges.drain(a)
      if (ends) hosted.empty()
      await settled()
      ranges.resume(a)
      await settled()
      expect(states()).to.deep.equal(['0:3 serving'])
      expect([hosted.state, hosted.calls.at(-1)]).to.deep.equal(['serving', 'resume'])
    }
  })

  it('takes no notice of what cannot be', () => {
    const { ranges, states } = create()
    ranges.drain(a)
    ranges.resume(a)
    ranges.drop(a)
    expect(states()).to.deep.equal([])
  })

  it('fetches files alone, and loads them when the memory of the old range is free', async () => {
    const { ranges, states, serve, stub, node } = create()
    await serve()
    ranges.load(b, 'disk')
    expect(ranges.inMemory).to.deep.equal([a])
    await stub.pass('fetch')
    await settled()
    expect(states()).to.deep.equal(['0:3 serving', '3:6 stored'])
    const [hosted] = node.hosted
    const removal = Promise.withResolvers<void>()
    hosted.remove = async () => await removal.promise
    ranges.drop(a)
    ranges.load(b, 'memory')
    await stub.pass('fetch')
    await settled()
    expect(stub.calls).to.deep.equal(['fetch 0:3', 'load 0:3', 'fetch 3:6', 'fetch 3:6'])
    removal.resolve()
    await stub.pass('load')
    await settled()
    expect(stub.engines.map(({ stopped }) => stopped)).to.deep.equal([true, false])
    expect(states()).to.deep.equal(['3:6 serving'])
  })
})
