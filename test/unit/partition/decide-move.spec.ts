import { expect } from 'chai'
import { claimId, claimTime, createPlacementState, decideMove, PLACEMENT_TIMING } from '../../../src/partition/index.ts'
import type { HostedRange, OwnPlace, PlacementRecord, PlacementState, PlacementStep, PlacementView } from '../../../src/partition/index.ts'

const range = (from: number) => ({ from, to: from + 8 })
const unitWork = new Array<number>(24).fill(1)
const capacity = unitWork.map((_, from) => ({ from, to: Math.min(24, from + 8) }))
const START = 1_000_000

function record (peerId: string, from: number, more: Partial<PlacementRecord> = {}): PlacementRecord {
  return { peerId, speed: 100, ranges: [{ range: range(from), state: 'serving' }], ...more }
}

/** A peer of which the test is the network and the runtime. */
function peer ({ from, beside = true }: { from?: number, beside?: boolean } = {}) {
  let state: PlacementState = createPlacementState(from === undefined ? undefined : range(from))
  const view = { records: [] as PlacementRecord[], speeds: new Map<string, number>(), confirmed: new Map<string, number>() }
  const own: OwnPlace & { hosted: HostedRange[] } = {
    peerId: 'm', unitWork, speed: 100, capacity, capacityBeside: beside ? capacity : undefined, hosted: from === undefined ? [] : [{ range: range(from), state: 'serving' }]
  }
  const step = (now: number): PlacementStep => {
    const result = decideMove(structuredClone(state), view satisfies PlacementView, own, now)
    state = result.state
    return result
  }
  return { view, own, step, get state () { return state } }
}

const types = ({ actions }: PlacementStep) => actions.map(({ type }) => type)

/** A peer that serves [0, 8) beside two others, with a gap at [16, 24), all measured. */
function besideGap (options: { beside?: boolean } = {}) {
  const one = peer({ from: 0, ...options })
  one.view.records = [record('b', 8), record('x', 0)]
  for (const { peerId } of one.view.records) one.view.speeds.set(peerId, 100)
  return one
}

/** The same when its claim stands. */
function claimed (options: { beside?: boolean } = {}) {
  const one = besideGap(options)
  one.step(START)
  const at = START + PLACEMENT_TIMING.gapPatience
  const claim = one.step(at)
  return { one, at, claim }
}

describe('partition: ids of claims', () => {
  it('sort by time and say it', () => {
    expect(claimTime(claimId(START))).to.equal(START)
    expect(claimId(START) < claimId(START + 1)).to.equal(true)
    expect(claimTime('no time')).to.equal(undefined)
    expect(claimTime('0'.repeat(1000))).to.equal(undefined)
  })
})

describe('partition: decideMove', () => {
  it('joins: claims a place, waits, loads it, serves it', () => {
    const one = peer()
    const first = one.step(START)
    expect(first.actions).to.deep.equal([{ type: 'claim', claim: { range: range(0), id: claimId(START) } }])
    expect(first.announcement).to.deep.equal({ ranges: [], claim: { range: range(0), id: claimId(START) } })
    const load = one.step(START + PLACEMENT_TIMING.joinSettle)
    expect(load.actions).to.deep.equal([{ type: 'load', range: range(0), into: 'memory' }])
    expect(load.announcement.ranges).to.deep.equal([{ range: range(0), state: 'joining' }])
    one.own.hosted = [{ range: range(0), state: 'serving' }]
    expect(one.step(START + 9_000).announcement).to.deep.equal({ ranges: [{ range: range(0), state: 'serving' }] })
  })

  it('waits for nobody, and goes nowhere, where it has room for everything', () => {
    const one = peer()
    const all = { from: 0, to: 24 }
    one.own.capacity = unitWork.map((_, from) => ({ from, to: 24 }))
    one.view.records = [record('b', 0, { ranges: [], claim: { range: all, id: claimId(START - 1) } })]
    expect(types(one.step(START))).to.deep.equal(['claim', 'load'])
    one.own.hosted = [{ range: all, state: 'serving' }]
    one.view.records = [record('b', 0, { speed: 1 / 3 }), record('c', 8, { speed: 0.1 }), record('d', 8, { speed: 0.7 })]
    for (let now = START; now < START + 2_000_000; now += 15_000) expect(types(one.step(now))).to.not.include('load').and.not.include('cancel')
    expect(one.state).to.deep.include({ phase: 'resting', range: all })
  })

  it('joins elsewhere where somebody claimed the place before, and nowhere else where later', () => {
    for (const [id, from] of [[claimId(START - 1), 8], [claimId(START + 1), 0]] as const) {
      const one = peer()
      one.step(START)
      one.view.records = [record('b', 0, { ranges: [], claim: { range: range(0), id } })]
      one.step(START + 1_000)
      expect(one.state.claim?.range).to.deep.equal(range(from))
    }
  })

  it('tries again after a load that failed', () => {
    const one = peer()
    one.step(START)
    one.step(START + 3_000)
    one.own.hosted = [{ range: range(0), state: 'failed' }]
    expect(types(one.step(START + 4_000))).to.deep.equal(['cancel', 'drop'])
    one.own.hosted = []
    expect(types(one.step(START + 5_000))).to.deep.equal([])
    expect(types(one.step(START + 4_000 + PLACEMENT_TIMING.pause))).to.deep.equal(['claim'])
  })

  it('does not move before a gap has lasted, then claims it', () => {
    const { claim } = claimed()
    expect(types(claim)).to.deep.equal(['claim'])
    expect(claim.announcement.claim?.range).to.deep.equal(range(16))
    const early = besideGap()
    early.step(START)
    expect(types(early.step(START + PLACEMENT_TIMING.gapPatience - 1))).to.not.include('claim')
  })

  it('lets a peer go first that can be spared as well', () => {
    const one = besideGap()
    one.view.records = one.view.records.map(record => record.peerId === 'x' ? { ...record, peerId: 'a' } : record)
    one.view.speeds.set('a', 100)
    one.step(START)
    expect(types(one.step(START + PLACEMENT_TIMING.gapPatience))).to.not.include('claim')
    expect(types(one.step(START + PLACEMENT_TIMING.gapPatience + PLACEMENT_TIMING.turn))).to.include('claim')
  })

  it('waits into a gap for nobody who only measures others slower than itself', () => {
    for (const [peerId, first] of [['x', true], ['a', false]] as const) {
      const one = besideGap()
      one.view.records = [record('b', 8), record(peerId, 0)]
      // the other one would say the same of this one
      one.view.speeds.set('b', 90).set(peerId, 50)
      one.step(START)
      expect(types(one.step(START + PLACEMENT_TIMING.gapPatience)).includes('claim'), peerId).to.equal(first)
    }
  })

  it('lets a peer go first into a gap of whose units there are more', () => {
    const one = besideGap()
    one.view.records.push(...['y', 'z', 'zz'].map(peerId => record(peerId, 8)))
    for (const { peerId } of one.view.records) one.view.speeds.set(peerId, 100)
    one.step(START)
    expect(types(one.step(START + PLACEMENT_TIMING.gapPatience))).to.not.include('claim')
  })

  it('measures those who are to hold its units before it leaves them to them', () => {
    const one = besideGap()
    one.view.speeds.clear()
    one.step(START)
    const at = START + PLACEMENT_TIMING.gapPatience + PLACEMENT_TIMING.ask
    expect(one.step(at).actions).to.deep.equal([{ type: 'probe', peers: ['x'] }])
    one.view.speeds.set('x', 0)
    expect(types(one.step(at + 4_000))).to.not.include('claim')
    one.view.speeds.set('x', 100)
    one.step(at + 5_000)
    expect(types(one.step(at + 5_000 + PLACEMENT_TIMING.gapPatience))).to.include('claim')
  })

  it('gives its claim up for an earlier one, and for one of the same moment by a lesser id', () => {
    for (const [peerId, later, type] of [['x', -1, 'cancel'], ['a', 0, 'cancel'], ['x', 0, 'load'], ['a', 1, 'load']] as const) {
      const { one, at } = claimed()
      one.view.records = [record('b', 8), record('y', 0), record(peerId, 0, { claim: { range: range(16), id: claimId(at + later) } })]
      for (const { peerId } of one.view.records) one.view.speeds.set(peerId, 100)
      expect(types(one.step(at + PLACEMENT_TIMING.settle)), `${peerId} ${later}`).to.deep.equal([type])
    }
  })

  it('takes no notice of claims that are old, of the future, or renewed for ever', () => {
    for (const id of [claimId(START - PLACEMENT_TIMING.claimLife - 1), claimId(START + 60_000), 'first!']) {
      const one = besideGap()
      one.view.records.push(record('z', 0, { ranges: [], claim: { range: range(16), id } }))
      one.step(START)
      expect(types(one.step(START + PLACEMENT_TIMING.gapPatience)), id).to.include('claim')
    }
    const one = besideGap()
    let claims = 0
    for (let now = START; now < START + 2 * PLACEMENT_TIMING.claimLife; now += 30_000) {
      one.view.records = [record('b', 8), record('x', 0), record('z', 0, { ranges: [], claim: { range: range(16), id: claimId(now) } })]
      if (types(one.step(now)).includes('claim')) claims++
    }
    expect(claims).to.be.above(0)
  })

  it('moves: loads beside, withdraws, asks, drains, asks again, drops', () => {
    const { one, at } = claimed()
    let now = at + PLACEMENT_TIMING.settle
    expect(one.step(now).actions).to.deep.equal([{ type: 'load', range: range(16), into: 'memory' }])
    one.own.hosted.push({ range: range(16), state: 'serving' })
    now += 20_000
    const withdrawn = one.step(now)
    expect(withdrawn.actions).to.deep.equal([{ type: 'withdraw', range: range(0) }, { type: 'confirm', peers: ['x'] }])
    expect(withdrawn.announcement.ranges.map(({ state }) => state)).to.deep.equal(['draining', 'serving'])
    // an exchange that began before says nothing
    one.view.confirmed.set('x', now - 1)
    expect(types(one.step(now + 1))).to.deep.equal([])
    one.view.confirmed.set('x', now)
    expect(one.step(now + 200).actions).to.deep.equal([{ type: 'drain', range: range(0) }])
    one.own.hosted[0] = { range: range(0), state: 'drained' }
    now += 30_000
    expect(one.step(now).actions).to.deep.equal([{ type: 'confirm', peers: ['x'] }])
    one.view.confirmed.set('x', now)
    const last = one.step(now + 200)
    expect(last.actions).to.deep.equal([{ type: 'drop', range: range(0) }])
    expect(last.announcement).to.deep.equal({ ranges: [{ range: range(16), state: 'serving' }] })
    expect(last.state).to.include({ phase: 'resting', claim: undefined })
  })

  it('fetches the files first and loads them last, where there is no room for two', () => {
    const { one, at } = claimed({ beside: false })
    let now = at + PLACEMENT_TIMING.settle
    expect(one.step(now).actions).to.deep.equal([{ type: 'load', range: range(16), into: 'disk' }])
    one.own.hosted.push({ range: range(16), state: 'stored' })
    one.step(now += 20_000)
    one.view.confirmed.set('x', now)
    one.step(now += 200)
    one.own.hosted[0] = { range: range(0), state: 'drained' }
    expect(one.step(now).actions).to.deep.equal([{ type: 'drop', range: range(0) }, { type: 'load', range: range(16), into: 'memory' }])
    one.own.hosted = [{ range: range(16), state: 'serving' }]
    expect(one.step(now + 1_000).announcement).to.deep.equal({ ranges: [{ range: range(16), state: 'serving' }] })
  })

  it('gives up what it loads where the gap is filled meanwhile', () => {
    const { one, at } = claimed()
    one.step(at + PLACEMENT_TIMING.settle)
    one.own.hosted.push({ range: range(16), state: 'loading' })
    one.view.records.push(record('z', 16), record('y', 16))
    expect(types(one.step(at + 20_000))).to.deep.equal(['cancel', 'drop'])
  })

  it('serves its old range again where nobody is left to hold it', () => {
    const { one, at } = claimed()
    one.step(at + PLACEMENT_TIMING.settle)
    one.own.hosted.push({ range: range(16), state: 'serving' })
    const now = at + 30_000
    one.step(now)
    one.view.confirmed.set('x', now)
    expect(types(one.step(now))).to.deep.equal(['drain'])
    one.view.records = [record('b', 8)]
    const back = one.step(now + 5_000)
    expect(back.actions).to.deep.equal([{ type: 'resume', range: range(0) }])
    expect(back.announcement).to.deep.equal({ ranges: [{ range: range(0), state: 'serving' }, { range: range(16), state: 'serving' }] })
  })

  it('of two that leave at once, the one that claimed later comes back, the other one waits for it', () => {
    for (const [later, type] of [[1, []], [-1, ['resume']]] as const) {
      const { one, at } = claimed()
      one.step(at + PLACEMENT_TIMING.settle)
      one.own.hosted.push({ range: range(16), state: 'serving' })
      const now = at + 30_000
      one.step(now)
      one.view.records = [record('b', 8), record('x', 8, {
        ranges: [{ range: range(0), state: 'draining' }, { range: range(8), state: 'serving' }], claim: { range: range(8), id: claimId(at + later) }
      })]
      expect(types(one.step(now + 1_000))).to.deep.equal(type)
    }
  })
})
