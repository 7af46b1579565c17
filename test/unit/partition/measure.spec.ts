import { expect } from 'chai'
import fc from 'fast-check'
import { attributeStep, createMeasurements, observe } from '../../../src/partition/index.ts'
import { simulateTraffic } from '../../support/simulation/traffic.ts'
import type { StepShare } from '../../../src/partition/index.ts'
import type { TrafficPeer } from '../../support/simulation/traffic.ts'

const share = (claimedSeconds: number, expectedSeconds = claimedSeconds, work = 1): StepShare => ({ work, claimedSeconds, expectedSeconds })
const sum = (values: readonly number[]) => values.reduce((a, b) => a + b, 0)

describe('partition: attributeStep', () => {
  it('gives claims to stages and the rest to hops, where that explains the time', () => {
    expect(attributeStep({ totalSeconds: 10, stages: [share(2), share(4)], hopSeconds: [1, 2, 1] })).to.deep.equal({ stages: [2, 4], hops: [1, 2, 1] })
    expect(attributeStep({ totalSeconds: 8, stages: [share(2), share(4)], hopSeconds: [1, 2, 1] }).hops).to.deep.equal([0.5, 1, 0.5])
  })

  it('gives what nobody owns up to to those who claim less than is known of them', () => {
    expect(attributeStep({ totalSeconds: 40, stages: [share(10), share(0, 10)], hopSeconds: [0, 0, 0] }).stages).to.deep.equal([20, 20])
    expect(attributeStep({ totalSeconds: 40, stages: [share(10), share(0, 30)], hopSeconds: [0, 0, 0] }).stages).to.deep.equal([10, 30])
  })

  it('believes engines of this machine', () => {
    const stages = [{ ...share(1), local: true }, share(1)]
    expect(attributeStep({ totalSeconds: 10, stages, hopSeconds: [0, 1, 1] }).stages).to.deep.equal([1, 7])
  })

  it('believes nobody more than the time there was', () => {
    expect(attributeStep({ totalSeconds: 10, stages: [share(1e9), share(10)], hopSeconds: [1, 1, 1] })).to.deep.equal({ stages: [5, 5], hops: [0, 0, 0] })
  })

  it('gives away the whole time, whatever is claimed', () => {
    const seconds = fc.oneof(fc.double({ min: 0, max: 100, noNaN: true }), fc.constantFrom(NaN, -1, Infinity))
    const stage = fc.record({ work: fc.nat(9), claimedSeconds: seconds, expectedSeconds: seconds, local: fc.boolean() })
    fc.assert(fc.property(fc.double({ min: 0, max: 100, noNaN: true }), fc.array(fc.tuple(stage, fc.nat(9)), { minLength: 1, maxLength: 6 }), (totalSeconds, list) => {
      const stages = list.map(([stage]) => stage)
      const { stages: computed, hops } = attributeStep({ totalSeconds, stages, hopSeconds: [1, ...list.map(([, hop]) => hop)] })
      expect(sum(computed) + sum(hops)).to.be.closeTo(totalSeconds, 1e-9)
      expect(Math.min(...computed, ...hops)).to.be.at.least(0)
    }), { seed: 1, numRuns: 500 })
  })
})

describe('partition: estimates', () => {
  it('follow a change within some steps, and at once after a long silence', () => {
    let estimate = observe(undefined, 1, 0)
    for (let step = 1; step < 100; step++) estimate = observe(estimate, 1, step / 100)
    const after = observe(estimate, 2, 1)
    expect(after.value).to.be.closeTo(1 + 1 / 16, 1e-3)
    expect(observe(estimate, 2, 10_000).value).to.be.closeTo(2, 1e-6)
  })
})

describe('partition: measurements', () => {
  const range = (from: number, to: number) => ({ from, to })

  it('know nothing of who was not there, and take the longer way of two', () => {
    const measured = createMeasurements([1, 1])
    expect(measured.secondsPerWork('a')).to.equal(undefined)
    measured.recordPing('a', 0.1, 0)
    measured.recordPing('b', 0.3, 0)
    expect([measured.hopSeconds(undefined, 'a'), measured.hopSeconds('a', undefined), measured.hopSeconds('a', 'b'), measured.hopSeconds('b', 'a')]).to.deep.equal([0.1, 0.1, 0.3, 0.3])
  })

  it('learn what hops take, and keep decoding and prefill apart', () => {
    const measured = createMeasurements([1, 1])
    for (const peer of ['a', 'b']) measured.recordPing(peer, 0.1, 0)
    const stages = [{ peer: 'a', range: range(0, 1), claimedSeconds: 1 }, { peer: 'b', range: range(1, 2), claimedSeconds: 2 }]
    measured.recordStep({ stages, totalSeconds: 3.2, rows: 1, atSeconds: 0 })
    measured.recordStep({ stages, totalSeconds: 3.2, rows: 100, atSeconds: 0 })
    expect(measured.secondsPerWork('b')).to.equal(2)
    expect(measured.secondsPerWork('b', 'prefill')).to.equal(0.02)
    expect(measured.hopSeconds('a', 'b')).to.be.closeTo(0.1, 1e-9)
    expect(measured.leastHopSeconds('b')).to.be.at.most(measured.hopSeconds('a', 'b'))
  })

  it('say no hop to be longer than the least', () => {
    const time = fc.double({ min: 0, max: 1, noNaN: true })
    const peer = fc.constantFrom('a', 'b', 'c')
    fc.assert(fc.property(fc.array(fc.record({ peers: fc.tuple(peer, peer), totalSeconds: time, ping: time }), { maxLength: 20 }), steps => {
      const measured = createMeasurements([1, 1])
      steps.forEach(({ peers, totalSeconds, ping }, atSeconds) => {
        measured.recordPing(peers[0], ping, atSeconds)
        measured.recordStep({ stages: peers.map((peer, unit) => ({ peer, range: range(unit, unit + 1), claimedSeconds: 0 })), totalSeconds, rows: 1, atSeconds })
      })
      for (const to of ['a', 'b', 'c', undefined]) for (const from of ['a', 'b', 'c', undefined]) expect(measured.hopSeconds(from, to)).to.be.at.least(measured.leastHopSeconds(to))
    }), { seed: 2, numRuns: 200 })
  })

  describe('a peer that lies about its speed gets no more work than an honest one that is as slow', () => {
    const unitWork = new Array(16).fill(1)
    const honest = (index: number): TrafficPeer => ({ peer: `honest ${index}`, range: index % 2 === 0 ? range(0, 8) : range(8, 16), secondsPerWork: 0.001, announcedSpeed: 1000 })
    const slow: TrafficPeer = { peer: 'slow', range: range(0, 16), secondsPerWork: 0.003, announcedSpeed: 333 }
    for (const [name, claims] of [['claims nothing', 0], ['claims a hundredth', 0.01], ['claims what is expected of it', 'expected'], ['claims the truth', 1]] as const) {
      it(`that announces 10⁹ and ${name}`, () => {
        const liar: TrafficPeer = { ...slow, peer: 'liar', announcedSpeed: 1e9, claims }
        const work = simulateTraffic({ seed: 1, unitWork, peers: [...[0, 1, 2, 3, 4, 5].map(honest), slow, liar], clients: 10, sessions: 20, steps: 10, hopSeconds: 0.001 })
        const all = sum([...work.values()])
        expect(work.get('liar')! / all).to.be.at.most(work.get('slow')! / all + 0.01)
      })
    }
  })
})
