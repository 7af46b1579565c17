import { expect } from 'chai'
import fc from 'fast-check'
import { capacityOf, InvalidPlanOptionError, keyValuePositions, peerBytes } from '../../../src/partition/index.ts'
import { anyCosts } from '../../support/machines.ts'

describe('partition: capacity', () => {
  it('refuses memory and positions that are no numbers', () => {
    const costs = fc.sample(anyCosts(), { seed: 1, numRuns: 1 })[0]
    expect(() => capacityOf(costs, { memoryBytes: NaN, positions: 0 })).to.throw(/memory/)
    expect(() => capacityOf(costs, { memoryBytes: 100, positions: -1 })).to.throw(InvalidPlanOptionError)
    expect(() => keyValuePositions(costs, 1.5, 1)).to.throw(InvalidPlanOptionError)
    expect(() => keyValuePositions(costs, 1, -1)).to.throw(InvalidPlanOptionError)
  })

  it('is nothing below what a peer takes besides', () => {
    fc.assert(fc.property(anyCosts(), costs => {
      const { ranges, most } = capacityOf(costs, { memoryBytes: 200e6, positions: 0 })
      expect(most).to.equal(0)
      expect(ranges.every(({ from, to }, unit) => from === unit && to === unit)).to.equal(true)
    }), { seed: 2, numRuns: 20 })
  })

  it('gives from every unit the longest range that fits', () => {
    fc.assert(fc.property(anyCosts({ maxLayers: 9 }), fc.nat(300), fc.nat(3), fc.nat(9), (costs, memoryBytes, positions, baseBytes) => {
      const { ranges, most } = capacityOf(costs, { memoryBytes, positions, baseBytes })
      expect(most).to.equal(Math.max(...ranges.map(({ from, to }) => to - from)))
      ranges.forEach(({ from, to }, unit) => {
        expect(from).to.equal(unit)
        if (to > from) expect(peerBytes(costs, { from, to }, { positions, baseBytes })).to.be.at.most(memoryBytes)
        if (to < costs.units.length) expect(peerBytes(costs, { from, to: to + 1 }, { positions, baseBytes })).to.be.above(memoryBytes)
      })
    }), { seed: 3, numRuns: 200 })
  })

  it('counts bytes, not units, and grows with memory', () => {
    fc.assert(fc.property(anyCosts(), fc.nat(200), fc.nat(50), (costs, memoryBytes, more) => {
      const before = capacityOf(costs, { memoryBytes, positions: 1, baseBytes: 0 })
      const after = capacityOf(costs, { memoryBytes: memoryBytes + more, positions: 1, baseBytes: 0 })
      before.ranges.forEach(({ to }, unit) => { expect(after.ranges[unit].to).to.be.at.least(to) })
    }), { seed: 4, numRuns: 100 })
  })

  it('is bounded by speed where a stage has a time', () => {
    fc.assert(fc.property(anyCosts(), fc.integer({ min: 1, max: 9 }), fc.nat(20), (costs, speed, stageSeconds) => {
      const { ranges } = capacityOf(costs, { memoryBytes: 1e6, positions: 0, baseBytes: 0, speed, stageSeconds })
      for (const { from, to } of ranges) {
        const work = (end: number) => costs.units.slice(from, end).reduce((sum, unit) => sum + unit.work, 0)
        expect(work(to) / speed).to.be.at.most(stageSeconds)
        if (to < costs.units.length) expect(work(to + 1) / speed).to.be.above(stageSeconds)
      }
    }), { seed: 5, numRuns: 100 })
  })

  it('gives sessions whole pages of KV cache', () => {
    const costs = { units: [], tied: { memoryBytes: 0, storedBytes: 0 }, pagePositions: 256 }
    expect(keyValuePositions(costs, 0, 3)).to.equal(0)
    expect(keyValuePositions(costs, 1, 3)).to.equal(768)
    expect(keyValuePositions(costs, 256, 2)).to.equal(512)
    expect(keyValuePositions(costs, 257, 1)).to.equal(512)
  })
})
