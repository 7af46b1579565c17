import { defaultLogger } from '@libp2p/logger'
import { expect } from 'chai'
import { claimId } from '../../../../src/partition/index.ts'
import type { ModelCosts } from '../../../../src/partition/index.ts'
import { createPlacement } from '../../../../src/peer/index.ts'
import type { AnnounceUpdate, PeerNode, PeerRecord, PlacementEvent, PlacementInit } from '../../../../src/peer/index.ts'
import { createStubHost, createStubLoader, evenCosts, range, roomFor, settled } from '../../../support/placement.ts'
import { stubModel } from '../../../support/peers.ts'
import { fakeClock, recordOf } from '../../../support/records.ts'
import { rejection } from '../../../support/rejection.ts'

const SPEED = 3e6

const serves = (peerId: string, from: number, to: number, more: Partial<PeerRecord> = {}): PeerRecord =>
  recordOf(peerId, { speed: SPEED, ranges: [{ range: range(from, to), state: 'serving' }], ...more })

interface Options extends Partial<Pick<PlacementInit, 'timePeer' | 'budget'>> {
  records?: PeerRecord[]
  costs?: ModelCosts
  stubborn?: boolean
  exchange?: (peerId: string) => Promise<PeerRecord>
}

/** A peer `m` with room for 3 of 6 units, of which the test is the network, the disk and the clock. */
function create ({ records = [], costs = evenCosts(6), budget = roomFor(3), timePeer = async () => SPEED, exchange, stubborn }: Options = {}) {
  const clock = fakeClock()
  const stub = createStubLoader({ stubborn })
  const host = createStubHost()
  const listeners = new Set<() => void>()
  const said: AnnounceUpdate[] = []
  const events: PlacementEvent[] = []
  const state = { records, refreshes: 0, broken: false, exchanges: [] as string[] }
  const directory = {
    records: () => {
      if (state.broken) throw new Error('the directory is broken')
      return state.records
    },
    onChange: (listener: () => void) => {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    refresh: async (_modelId: string, { signal }: { signal?: AbortSignal } = {}) => {
      signal?.throwIfAborted()
      state.refreshes++
    },
    exchange: async (peerId: string) => {
      state.exchanges.push(peerId)
      return exchange === undefined ? state.records.find(record => record.peerId === peerId)! : await exchange(peerId)
    }
  }
  const node = { peerId: 'm', hosted: host.hosted, host: host.host.bind(host), announce: (update: AnnounceUpdate) => said.push(update), directory }
  const placement = createPlacement({
    node: node as unknown as PeerNode,
    model: stubModel(),
    costs,
    budget,
    loader: stub.loader,
    directory,
    clock,
    logger: defaultLogger(),
    timeEngine: async () => 0.001,
    timePeer,
    drainMilliseconds: 9000,
    onEvent: event => events.push(event)
  })
  return {
    placement,
    stub,
    host,
    clock,
    said,
    events,
    state,
    listeners,
    names: () => events.map(({ type }) => type.replace('placement:', '')),
    last: () => said.at(-1)!,
    change (records: PeerRecord[]) {
      state.records = records
      for (const listener of listeners) listener()
    },
    /** time in which loads are done as they are asked for */
    async pass (milliseconds: number): Promise<void> {
      for (let passed = 0; passed < milliseconds; passed += 500) {
        clock.pass(500)
        await settled()
      }
    },
    async load (): Promise<void> {
      await stub.pass('fetch')
      await stub.pass('load')
      await settled()
    }
  }
}

type Made = ReturnType<typeof create>

/** It serves 0:3 beside `x`, and `b` serves the others: until it is gone. */
async function besideGap (options: Options = {}): Promise<Made> {
  const made = create({ records: [serves('b', 3, 6)], ...options })
  await made.placement.start()
  await made.pass(3_000)
  await made.load()
  made.change([serves('b', 3, 6), serves('x', 0, 3)])
  await made.pass(60_000)
  expect(made.names()).to.deep.equal(['claim', 'load', 'serve'])
  made.events.length = 0
  made.change([serves('x', 0, 3)])
  return made
}

describe('peer/placement: runtime', () => {
  const made: Made[] = []
  const keep = (one: Made): Made => {
    made.push(one)
    return one
  }
  afterEach(async () => {
    await Promise.all(made.splice(0).map(async ({ placement }) => await placement.stop({ milliseconds: 0 })))
  })

  describe('what fails', () => {
    it('a start that is aborted begins nothing', async () => {
      const one = keep(create())
      const reason = new Error('enough')
      expect(await rejection(one.placement.start({ signal: AbortSignal.abort(reason) }))).to.equal(reason)
      await one.pass(10_000)
      expect([one.said, one.listeners.size]).to.deep.equal([[], 0])
    })

    it('a look at the directory is repeated', async () => {
      const one = keep(create())
      one.state.broken = true
      await one.placement.start()
      expect(one.said).to.deep.equal([])
      one.state.broken = false
      await one.pass(5_000)
      expect(one.names()).to.deep.equal(['claim'])
    })

    it('a load is given up, and another one is tried after a minute', async () => {
      const one = keep(create())
      await one.placement.start()
      await one.pass(3_000);
      (await one.stub.next('fetch')).reject(new Error('nobody has them'))
      await settled()
      expect(one.names()).to.deep.equal(['claim', 'load', 'failed', 'cancel', 'drop'])
      expect(one.last()).to.deep.equal({ ranges: [], claim: undefined, speed: 0 })
      expect(one.placement.hosted).to.deep.equal([])
      await one.pass(59_000)
      expect(one.names()).to.have.length(5)
      await one.pass(4_500)
      expect(one.names().slice(5)).to.deep.equal(['claim', 'load'])
    })

    it('what nobody serves, and cannot be had, is left to others for some minutes', async () => {
      const one = keep(create({ records: [serves('b', 0, 3), serves('c', 3, 4)] }))
      await one.placement.start()
      expect(one.last().claim?.range).to.deep.equal(range(3, 6))
      await one.pass(3_000);
      (await one.stub.next('fetch')).reject(new Error('they died with their last holder'))
      await settled()
      await one.pass(64_000)
      // of use to somebody, and not for ever without a place
      expect(one.events.filter(({ type }) => type === 'placement:load').map(({ range }) => range)).to.deep.equal([range(3, 6), range(0, 3)])
      await one.load()
      await one.pass(400_000)
      expect(one.names().slice(5, 8)).to.deep.equal(['claim', 'load', 'serve'])
      // then it tries again
      expect(one.events.slice(8)[0]).to.deep.equal({ type: 'placement:claim', range: range(3, 6) })
    })

    it('a measurement is asked for again', async () => {
      let times = 0
      const one = keep(await besideGap({
        timePeer: async () => {
          if (times++ === 0) throw new Error('it is nowhere')
          return SPEED
        }
      }))
      await one.pass(60_000)
      expect(times).to.be.above(1)
      expect(one.names()[0]).to.equal('claim')
    })

    it('an exchange is asked for again; where none succeeds the range is served on', async () => {
      const one = keep(await besideGap({ exchange: async () => { throw new Error('it does not answer') } }))
      await one.pass(24_000)
      await one.stub.pass('fetch')
      await one.pass(15_000)
      expect(one.names()).to.deep.equal(['claim', 'load', 'stored', 'withdraw'])
      expect(one.last().ranges![0]).to.deep.equal({ range: range(0, 3), state: 'draining' })
      expect(one.state.exchanges.length).to.be.within(4, 6)
      await one.pass(6_000)
      expect(one.names().at(-1)).to.equal('resume')
      expect(one.last().ranges![0]).to.deep.equal({ range: range(0, 3), state: 'serving' })
      expect(one.host.hosted[0].calls).to.deep.equal([])
    })

    it('a listener of events harms nobody', async () => {
      const one = keep(create())
      one.events.push = () => { throw new Error('listener') }
      await one.placement.start()
      await one.pass(3_000)
      await one.load()
      expect(one.last().ranges).to.deep.equal([{ range: range(0, 3), state: 'serving' }])
    })
  })

  describe('joining', () => {
    it('claims first, then loads what is needed most, measures and serves it', async () => {
      const one = keep(create({ records: [serves('b', 0, 3)] }))
      await one.placement.start()
      expect(one.state.refreshes).to.equal(1)
      expect(one.last()).to.deep.include({ ranges: [], speed: 0 }).and.have.deep.nested.property('claim.range', range(3, 6))
      await one.pass(3_000)
      expect(one.last().ranges).to.deep.equal([{ range: range(3, 6), state: 'joining' }])
      await one.load()
      expect(one.names()).to.deep.equal(['claim', 'load', 'serve'])
      expect(one.last()).to.deep.equal({ ranges: [{ range: range(3, 6), state: 'serving' }], claim: undefined, speed: 3e6 })
      expect([one.placement.phase, one.placement.speed]).to.deep.equal(['resting', 3e6])
    })

    it('goes elsewhere where others are first', async () => {
      const one = keep(create())
      await one.placement.start()
      one.change([serves('a', 0, 3, { ranges: [], claim: { range: range(0, 3), id: claimId(one.clock.wall() - 1) } }), serves('c', 0, 3)])
      await one.pass(1_000)
      expect(one.last().claim?.range).to.deep.equal(range(3, 6))
    })

    it('waits for nobody where it has room for everything', async () => {
      const one = keep(create({ budget: roomFor(6) }))
      await one.placement.start()
      await one.load()
      expect(one.last().ranges).to.deep.equal([{ range: range(0, 6), state: 'serving' }])
    })

    it('says nothing where there is nothing new', async () => {
      const one = keep(create())
      await one.placement.start()
      await one.pass(3_000)
      await one.load()
      const { length } = one.said
      one.change([serves('b', 3, 6)])
      await one.pass(120_000)
      expect(one.said).to.have.length(length)
    })
  })

  describe('moving', () => {
    it('where there is no room for both: fetches, withdraws, asks, drains, drops, loads', async () => {
      const states: unknown[] = []
      const one = keep(await besideGap({
        exchange: async () => {
          states.push(one.last().ranges![0].state)
          return serves('x', 0, 3)
        }
      }))
      await one.pass(14_000)
      expect(one.names()).to.deep.equal(['claim'])
      expect(one.last().claim?.range).to.deep.equal(range(3, 6))
      await one.pass(10_000)
      expect(one.events.at(-1)).to.deep.equal({ type: 'placement:load', range: range(3, 6), into: 'disk' })
      one.host.hosted[0].sessions = 1
      await one.stub.pass('fetch')
      await settled()
      expect(one.names().slice(2)).to.deep.equal(['stored', 'withdraw', 'drain'])
      // it had been said before anybody was asked
      expect(states).to.deep.equal(['draining'])
      const [old] = one.host.hosted
      await one.pass(6_000)
      // nobody is waited for while there is a gap
      expect(old.calls).to.deep.equal(['drain 2000'])
      old.empty()
      await settled()
      expect(one.names().slice(5)).to.deep.equal(['drop', 'load'])
      expect(states).to.deep.equal(['draining', 'draining'])
      expect(old.calls.at(-1)).to.equal('remove')
      expect(one.stub.engines[0].stopped).to.equal(true)
      await one.load()
      expect(one.last()).to.deep.equal({ ranges: [{ range: range(3, 6), state: 'serving' }], claim: undefined, speed: 3e6 })
      expect(one.host.hosted.map(({ range }) => range)).to.deep.equal([range(3, 6)])
    })

    it('beside the old range where there is room', async () => {
      const costs = evenCosts(6)
      costs.units[2].memoryBytes = 8000
      const all = [serves('y', 2, 4), serves('b', 3, 6)]
      const one = keep(create({ costs, budget: roomFor(9), records: all }))
      await one.placement.start()
      await one.pass(3_000)
      await one.load()
      expect(one.last().ranges![0].range).to.deep.equal(range(0, 2))
      one.change([...all, serves('x', 0, 2)])
      await one.pass(60_000)
      one.events.length = 0
      one.change([serves('y', 2, 4), serves('x', 0, 2)])
      await one.pass(24_000)
      expect(one.events.at(-1)).to.deep.equal({ type: 'placement:load', range: range(3, 6), into: 'memory' })
      const [old] = one.host.hosted
      await one.load()
      await one.pass(6_000)
      expect(old.calls).to.deep.equal(['drain 9000', 'remove'])
      expect(one.names().slice(2)).to.deep.equal(['serve', 'withdraw', 'drain', 'drop'])
      expect(one.last().ranges).to.deep.equal([{ range: range(3, 6), state: 'serving' }])
      expect(one.host.hosted.map(({ range }) => range)).to.deep.equal([range(3, 6)])
    })

    it('does not happen where the only other holder is not what it says, or has not been measured', async () => {
      for (const speed of [0, undefined]) {
        const one = keep(await besideGap({ timePeer: async () => speed }))
        await one.pass(60_000)
        expect(one.names()).to.deep.equal([])
      }
    })

    it('never drops what nobody else holds any more when it is asked', async () => {
      const one = keep(await besideGap())
      await one.pass(24_000)
      expect(one.names().at(-1)).to.equal('load')
      one.change([])
      await one.pass(200_000)
      expect(one.names()).to.not.include('withdraw')
      // it gives up what it was loading
      expect(one.events.filter(({ type }) => type === 'placement:drop').map(({ range }) => range)).to.deep.equal([range(3, 6)])
      expect(one.host.hosted.map(({ range, state }) => [range, state])).to.deep.equal([[range(0, 3), 'serving']])
    })
  })

  describe('stop', () => {
    it('in the middle of a load leaves nothing behind, and asks nobody anything more', async () => {
      const one = create({ stubborn: true })
      await one.placement.start()
      await one.pass(3_000)
      await one.stub.pass('fetch')
      const load = await one.stub.next('load')
      const stopped = one.placement.stop()
      expect(load.signal.aborted).to.equal(true)
      expect(one.last()).to.deep.equal({ ranges: undefined, claim: undefined })
      load.resolve()
      await stopped
      await one.placement.stop()
      const { length } = one.said
      await one.pass(120_000)
      expect([one.said.length, one.listeners.size, one.host.hosted.length]).to.deep.equal([length, 0, 0])
      expect(one.stub.engines.map(({ stopped }) => stopped)).to.deep.equal([true])
    })

    it('before the start, and of a peer that serves: drains first', async () => {
      await create().placement.stop()
      const one = create()
      await one.placement.start()
      await one.pass(3_000)
      await one.load()
      const [hosted] = one.host.hosted
      await one.placement.stop({ milliseconds: 700 })
      expect(hosted.calls).to.deep.equal(['drain 700', 'remove'])
      expect(one.stub.engines[0].stopped).to.equal(true)
    })

    it('ends what is being asked of others', async () => {
      let signal: AbortSignal | undefined
      const one = await besideGap({
        timePeer: async (_record, options) => await new Promise((_resolve, reject) => {
          signal = options.signal
          options.signal.addEventListener('abort', () => reject(options.signal.reason))
        })
      })
      await one.pass(20_000)
      expect(signal?.aborted).to.equal(false)
      await one.placement.stop({ milliseconds: 0 })
      expect(signal?.aborted).to.equal(true)
    })
  })
})
