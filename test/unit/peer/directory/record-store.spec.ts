import { expect } from 'chai'
import fc from 'fast-check'
import { ANNOUNCEMENTS_AT_ONCE, LIFE_MILLISECONDS } from '../../../../src/peer/directory/constants.ts'
import { createRecordStore } from '../../../../src/peer/directory/record-store.ts'
import type { Moment } from '../../../../src/peer/directory/record-store.ts'
import { MODEL, OTHER_MODEL, recordOf } from '../../../support/records.ts'

const WALL = 1_700_000_000_000
const at = (milliseconds: number): Moment => ({ wall: WALL + milliseconds, steady: 1000 + milliseconds })
const record = (peerId: string, milliseconds: number, changes = {}) => recordOf(peerId, { sequence: WALL + milliseconds, ...changes })
const bytes = Uint8Array.of(1)

describe('directory: record store', function () {
  it('drops what is not newer than what it has', function () {
    const store = createRecordStore()
    expect(store.accept(record('a', 10), bytes, at(10))).to.equal('accepted')
    expect(store.accept(record('a', 10), bytes, at(20))).to.equal('stale')
    expect(store.accept(record('a', 9), bytes, at(20))).to.equal('stale')
    expect(store.accept(record('a', 11), bytes, at(20))).to.equal('accepted')
    expect(store.accept(record('b', 9), bytes, at(20))).to.equal('accepted')
    // also when the record itself is long gone
    expect(store.accept(record('a', 11), bytes, at(40_000))).to.equal('stale')
  })

  it('drops what is too far from its clock', function () {
    const store = createRecordStore()
    expect(store.accept(record('a', -45_001), bytes, at(0))).to.equal('clock')
    expect(store.accept(record('a', 45_001), bytes, at(0))).to.equal('clock')
    expect(store.accept(record('a', -45_000), bytes, at(0))).to.equal('accepted')
    expect(store.accept(record('b', 45_000), bytes, at(0))).to.equal('accepted')
  })

  it('forgets what it took while its own clock was ahead', function () {
    const store = createRecordStore()
    const hour = 3_600_000
    expect(store.accept(record('a', hour), bytes, at(hour))).to.equal('accepted')
    // the clock is right again
    expect(store.accept(record('a', 10), bytes, { wall: WALL + 20, steady: 1000 + hour + 10 })).to.equal('accepted')
    expect(store.accept(record('a', 10), bytes, { wall: WALL + 30, steady: 1000 + hour + 20 })).to.equal('stale')
  })

  it('keeps one record of a peer, however many it announces, and those of all others', function () {
    const store = createRecordStore({ maximumRecords: 50, maximumSequences: 100 })
    for (let peer = 0; peer < 20; peer++) store.accept(record(`honest ${peer}`, peer), bytes, at(peer))
    const verdicts = new Map<string, number>()
    for (let turn = 0; turn < 10_000; turn++) {
      const verdict = store.accept(record('eclipse', 100 + turn, { addresses: [`/ip4/10.0.${turn >> 8}.${turn & 255}/tcp/4001`] }), bytes, at(100 + turn))
      verdicts.set(verdict, (verdicts.get(verdict) ?? 0) + 1)
    }
    // two a second, and a burst
    expect(verdicts.get('accepted')).to.be.within(20, 30)
    const peers = store.live(MODEL, at(10_099)).map(({ record }) => record.peerId)
    expect(peers.filter(peerId => peerId === 'eclipse')).to.have.length(1)
    expect(peers).to.have.length(21)
  })

  it('drops what is said to be old, or of no age at all', function () {
    const store = createRecordStore()
    for (const age of [LIFE_MILLISECONDS, 1e9, -1, NaN, Infinity]) expect(store.accept(record('a', 0), bytes, at(0), age), String(age)).to.equal('stale')
  })

  it('drops what a peer announces too often, and hears it again later', function () {
    const store = createRecordStore()
    const verdicts = Array.from({ length: ANNOUNCEMENTS_AT_ONCE + 3 }, (_value, index) => store.accept(record('a', index), bytes, at(0)))
    expect(verdicts.filter(verdict => verdict === 'accepted')).to.have.length(ANNOUNCEMENTS_AT_ONCE)
    expect(verdicts.at(-1)).to.equal('often')
    // what was dropped for that reason may come again
    expect(store.accept(record('a', ANNOUNCEMENTS_AT_ONCE + 2), bytes, at(5000))).to.equal('accepted')
  })

  it('takes no more peers than it has room for, and those that are there stay', function () {
    const store = createRecordStore({ maximumRecords: 2 })
    store.accept(record('a', 0), bytes, at(0))
    store.accept(record('b', 0), bytes, at(0))
    expect(store.accept(record('c', 1), bytes, at(1))).to.equal('full')
    expect(store.accept(record('a', 1), bytes, at(1))).to.equal('accepted')
    // b has not been heard of
    expect(store.accept(record('c', 15_000), bytes, at(15_000))).to.equal('accepted')
    expect(store.live(MODEL, at(15_000)).map(({ record }) => record.peerId)).to.have.members(['a', 'c'])
  })

  it('forgets a peer after its life, from when it was announced', function () {
    const store = createRecordStore()
    store.accept(record('a', 0), bytes, at(0))
    store.accept(record('b', 0), bytes, at(10_000), 9000)
    expect(store.live(MODEL, at(14_999))).to.have.length(2)
    expect(store.live(MODEL, at(15_000)).map(({ record }) => record.peerId)).to.deep.equal(['b'])
    expect(store.live(MODEL, at(16_000))).to.deep.equal([])
    expect(store.sweep(at(14_000))).to.equal(false)
    expect(store.sweep(at(16_000))).to.equal(true)
    expect(store.size).to.equal(0)
  })

  it('does not let others make a peer much younger than it is', function () {
    const store = createRecordStore()
    // announced 40 s ago, and given as new
    store.accept(record('a', -40_000), bytes, at(0), 0)
    expect(store.live(MODEL, at(4_999))).to.have.length(1)
    expect(store.live(MODEL, at(5_000))).to.deep.equal([])
  })

  it('keeps models apart, and tells a goodbye from a peer', function () {
    const store = createRecordStore()
    store.accept(record('a', 0), bytes, at(0))
    store.accept(record('b', 0, { modelId: OTHER_MODEL }), bytes, at(0))
    store.accept(record('c', 0, { ranges: [], claim: { range: { from: 0, to: 1 }, id: 'x' } }), bytes, at(0))
    const peers = (held: ReturnType<typeof store.live>): string[] => held.map(({ record }) => record.peerId)
    expect(peers(store.live(MODEL, at(1)))).to.deep.equal(['a', 'c'])
    store.accept(record('a', 1, { ranges: [] }), bytes, at(1))
    expect(peers(store.live(MODEL, at(1)))).to.deep.equal(['c'])
    expect(peers(store.known(MODEL, at(1)))).to.have.members(['a', 'c'])
    expect(peers(store.live(OTHER_MODEL, at(1)))).to.deep.equal(['b'])
  })

  it('leaves a suspected peer out until it has announced itself, for longer each time', function () {
    const store = createRecordStore()
    const there = (milliseconds: number): boolean => store.live(MODEL, at(milliseconds)).length > 0
    store.accept(record('a', 0), bytes, at(0))
    store.suspect('a', at(1000))
    expect(there(1000)).to.equal(false)
    // not before 5 s, though it announces itself
    store.accept(record('a', 2000), bytes, at(2000))
    expect(there(5999)).to.equal(false)
    expect(there(6000)).to.equal(true)
    store.suspect('a', at(6000))
    // a second witness of the same failure
    store.suspect('a', at(6001))
    store.accept(record('a', 7000), bytes, at(7000))
    expect(there(15_999)).to.equal(false)
    expect(there(16_000)).to.equal(true)
    // time alone does not help
    store.suspect('a', at(16_000))
    store.accept(record('a', 16_500), bytes, at(16_500))
    store.suspect('b', at(16_000))
    store.accept(record('b', 16_000), bytes, at(16_000))
    expect(store.live(MODEL, at(21_000)).map(({ record }) => record.peerId)).to.deep.equal(['b'])
  })

  it('believes nobody who was suspected and is silent', function () {
    const store = createRecordStore()
    store.accept(record('a', 0), bytes, at(0))
    store.suspect('a', at(1))
    expect(store.live(MODEL, at(10_000))).to.deep.equal([])
    expect(store.known(MODEL, at(10_000))).to.deep.equal([])
  })

  it('holds to its rules over any course of events', function () {
    const event = fc.record({
      peer: fc.constantFrom('a', 'b', 'c', 'd', 'e'),
      pause: fc.integer({ min: 0, max: 6000 }),
      skew: fc.integer({ min: -60_000, max: 60_000 }),
      age: fc.integer({ min: 0, max: 20_000 }),
      suspect: fc.boolean()
    })
    fc.assert(fc.property(fc.array(event, { maxLength: 60 }), events => {
      const store = createRecordStore({ maximumRecords: 3 })
      const highest = new Map<string, number>()
      const until = new Map<string, number>()
      let now = 0
      for (const { peer, pause, skew, age, suspect } of events) {
        now += pause
        if (suspect) {
          store.suspect(peer, at(now))
          expect(store.live(MODEL, at(now)).some(({ record }) => record.peerId === peer)).to.equal(false)
          continue
        }
        const { sequence } = record(peer, now + skew)
        const checked = store.check({ peerId: peer, sequence }, at(now), age)
        const verdict = store.accept(recordOf(peer, { sequence }), bytes, at(now), age)
        // asking first spares the signature, and never costs a record
        if (verdict === 'accepted') expect(checked).to.equal('accepted')
        if (checked === 'accepted') expect(verdict).to.be.oneOf(['accepted', 'often'])
        if (verdict === 'accepted') {
          expect(sequence).to.be.above(highest.get(peer) ?? -1)
          expect(Math.abs(skew)).to.be.at.most(45_000)
          expect(age).to.be.below(LIFE_MILLISECONDS)
          highest.set(peer, sequence)
          until.set(peer, now + LIFE_MILLISECONDS - age)
        }
        expect(store.size).to.be.at.most(3)
        for (const { record, age } of store.live(MODEL, at(now))) {
          expect(now).to.be.below(until.get(record.peerId)!)
          expect(record.sequence).to.equal(highest.get(record.peerId))
          expect(age).to.be.within(0, LIFE_MILLISECONDS)
        }
      }
    }), { seed: 1, numRuns: 300 })
  })
})
