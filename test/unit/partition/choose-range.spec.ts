import { expect } from 'chai'
import fc from 'fast-check'
import { chooseRange, effectiveSpeeds, findMove, unitThroughput } from '../../../src/partition/index.ts'
import type { UnitRange } from '../../../src/model/index.ts'
import type { PlacedPeer } from '../../../src/partition/index.ts'

const range = (from: number, to: number) => ({ from, to })
const room = (units: number, most: number) => Array.from({ length: units }, (_, from) => range(from, Math.min(units, from + most)))
const equal = (units: number) => new Array<number>(units).fill(1)

/** Joins peers one after the other. */
function joinAll (units: number, rooms: readonly number[]): UnitRange[] {
  const unitWork = equal(units)
  const placed: Array<{ ranges: UnitRange[], speed: number }> = []
  for (const most of rooms) placed.push({ ranges: [chooseRange({ unitWork, throughput: unitThroughput(placed, unitWork), capacity: room(units, most), speed: 100 })!], speed: 100 })
  return placed.map(({ ranges: [range] }) => range)
}

describe('partition: chooseRange', () => {
  it('finds no place for a peer that has room for nothing', () => {
    expect(chooseRange({ unitWork: equal(4), throughput: new Float64Array(4), capacity: room(4, 0), speed: 1 })).to.equal(undefined)
  })

  it('fills an empty swarm from the first unit on, and doubles it then', () => {
    expect(joinAll(24, [8, 8, 8, 8])).to.deep.equal([range(0, 8), range(8, 16), range(16, 24), range(0, 8)])
  })

  it('takes all that it can, also where less would do', () => {
    expect(joinAll(8, [6, 6])).to.deep.equal([range(0, 6), range(2, 8)])
    expect(joinAll(8, [20, 20])).to.deep.equal([range(0, 8), range(0, 8)])
  })

  it('goes where the weakest unit is', () => {
    const throughput = Float64Array.from([9, 9, 9, 9, 9, 2, 9, 9])
    const chosen = chooseRange({ unitWork: equal(8), throughput, capacity: room(8, 3), speed: 3 })!
    expect(chosen.from <= 5 && chosen.to > 5).to.equal(true)
  })

  it('with more room leaves no more units uncovered, and with more speed no weaker one', () => {
    const swarm = fc.array(fc.nat(9), { minLength: 1, maxLength: 12 })
    fc.assert(fc.property(swarm, fc.integer({ min: 1, max: 12 }), fc.nat(5), fc.integer({ min: 1, max: 50 }), fc.nat(50), (before, most, more, speed, faster) => {
      const units = before.length
      const unitWork = equal(units)
      const throughput = Float64Array.from(before)
      const after = (most: number, speed: number) => {
        const { from, to } = chooseRange({ unitWork, throughput, capacity: room(units, most), speed })!
        return throughput.map((value, unit) => from <= unit && unit < to ? value + speed / (to - from) : value)
      }
      const gaps = (values: Float64Array) => values.filter(value => value === 0).length
      expect(gaps(after(most + more, speed))).to.be.at.most(gaps(after(most, speed)))
      expect(Math.min(...after(most, speed + faster))).to.be.at.least(Math.min(...after(most, speed)))
    }), { seed: 1, numRuns: 500 })
  })

  it('is the best of all ranges of that length', () => {
    fc.assert(fc.property(fc.array(fc.nat(9), { minLength: 3, maxLength: 10 }), fc.integer({ min: 1, max: 3 }), fc.integer({ min: 1, max: 30 }), (before, most, speed) => {
      const profile = (from: number) => before.map((value, unit) => from <= unit && unit < from + most ? value + speed / most : value).sort((a, b) => a - b)
      const chosen = chooseRange({ unitWork: equal(before.length), throughput: Float64Array.from(before), capacity: room(before.length, most), speed })!
      expect(chosen.to - chosen.from).to.equal(most)
      for (let from = 0; from + most <= before.length; from++) {
        const [best, other] = [profile(chosen.from), profile(from)]
        const first = best.findIndex((value, i) => Math.abs(value - other[i]) > 1e-9)
        if (first !== -1) expect(best[first]).to.be.above(other[first])
      }
    }), { seed: 2, numRuns: 300 })
  })
})

describe('partition: effective speeds', () => {
  const record = (peerId: string, speed: number) => ({ peerId, speed, ranges: [] })

  it('are measured, or else no more than the median of what is known', () => {
    const records = [record('measured', 100), record('liar', 1e9), record('modest', 5), record('ghost', 1e9), record('silent', NaN)]
    expect(effectiveSpeeds(records, new Map([['measured', 80], ['ghost', 0]]), 40)).to.deep.equal([80, 60, 5, 0, 60])
  })
})

describe('partition: findMove', () => {
  const peer = (name: string, from: number, speed = 100): PlacedPeer => ({ peer: name, ranges: [range(from, from + 8)], speed, measured: true, free: true })
  const move = (others: PlacedPeer[], units = 24) => findMove({ unitWork: equal(units), others, own: { peer: 'a', range: range(0, 8), speed: 100, capacity: room(units, 8) } })

  it('keeps a last holder where it is, also beside a gap', () => {
    expect(move([peer('b', 8)])).to.equal(undefined)
  })

  it('fills a gap from where there are two', () => {
    expect(move([peer('b', 8), peer('c', 0)])).to.deep.include({ range: range(16, 24), gap: true, rank: 0 })
    expect(move([peer('b', 8), peer('Z', 0)])).to.deep.include({ rank: 1 })
  })

  it('moves for a third more, and not for a quarter', () => {
    expect(move([peer('b', 8), peer('c', 16, 40), peer('d', 0)])).to.deep.include({ range: range(16, 24), gap: false })
    expect(move([peer('b', 8), peer('c', 16, 80), peer('d', 0)])).to.equal(undefined)
  })

  it('moves as one of several only where all together help', () => {
    const four = [peer('b', 0), peer('c', 0), peer('d', 0)]
    expect(move([...four, peer('e', 8), peer('f', 16)])).to.deep.include({ range: range(8, 16) })
    expect(move([...four.slice(1), peer('e', 8), peer('f', 16)])).to.equal(undefined)
  })
})
