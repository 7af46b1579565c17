import { expect } from 'chai'
import fc from 'fast-check'
import { exp64, log64 } from '../../../../src/engine/exact-math.ts'
import { candidatesFromRow, sortLogits, type Candidates } from '../../../../src/peer/generate/candidates.ts'
import { resolveSampling, type SamplingSettings } from '../../../../src/peer/generate/options.ts'
import { sampleToken } from '../../../../src/peer/generate/sampler.ts'
import { nextCount } from '../../../../src/peer/generate/request-size.ts'
import type { SamplingOptions } from '../../../../src/peer/generate/index.ts'
import { answer, hashLogits, order } from './stub-session.ts'

/** docs/sampling.md, word by word, over all logits; `boundaries` are the numbers where one token ends and the next begins */
function distribute (logits: Float32Array, counts: Map<number, number>, s: SamplingSettings): { ids: number[], sums: number[], boundaries: number[] } {
  const adjusted = Array.from(logits, (logit, id) => {
    const count = counts.get(id)
    if (count === undefined) return logit
    const repeated = logit > 0 ? logit / s.repetitionPenalty : logit * s.repetitionPenalty
    return repeated - s.frequencyPenalty * count - s.presencePenalty
  })
  let ids = order(adjusted)
  if (s.temperature === 0) ids = ids.slice(0, 1)
  if (s.topK > 0) ids = ids.slice(0, s.topK)
  const best = adjusted[ids[0]]
  const sums: number[] = []
  let sum = 0
  for (const id of ids) {
    sum += id === ids[0] ? 1 : exp64((adjusted[id] - best) / s.temperature)
    sums.push(sum)
  }
  let kept = s.topP === 1 ? ids.length : 1 + sums.findIndex(sum => sum >= s.topP * sums[sums.length - 1])
  if (s.minP > 0) {
    const failing = ids.findIndex(id => (adjusted[id] - best) / s.temperature < log64(s.minP))
    if (failing >= 0) kept = Math.min(kept, failing)
  }
  return { ids: ids.slice(0, kept), sums: sums.slice(0, kept), boundaries: sums.slice(0, kept).map(sum => sum / sums[kept - 1]) }
}

function sampleNaively (logits: Float32Array, counts: Map<number, number>, s: SamplingSettings, uniform: number): number {
  const { ids, sums } = distribute(logits, counts, s)
  const target = uniform * sums[sums.length - 1]
  return ids[sums.findIndex(sum => sum > target)]
}

function best (logits: Float32Array, count: number): Candidates {
  const output = { kind: 'top' as const, count }
  return candidatesFromRow(answer(logits, 0, output), output, logits.length)
}

const optionsArbitrary: fc.Arbitrary<SamplingOptions> = fc.record({
  temperature: fc.oneof(fc.constantFrom(0, 0.001, 1, 100), fc.double({ min: 0.05, max: 3, noNaN: true })),
  topK: fc.oneof(fc.constant(0), fc.integer({ min: 1, max: 400 })),
  topP: fc.oneof(fc.constant(1), fc.constant(1e-9), fc.double({ min: 0.01, max: 1, noNaN: true })),
  minP: fc.oneof(fc.constantFrom(0, 1), fc.double({ min: 0, max: 0.5, noNaN: true })),
  repetitionPenalty: fc.oneof(fc.constant(1), fc.double({ min: 0.5, max: 2, noNaN: true }), fc.constantFrom(0.01, 100)),
  presencePenalty: fc.oneof(fc.constant(0), fc.double({ min: -3, max: 3, noNaN: true })),
  frequencyPenalty: fc.oneof(fc.constant(0), fc.constantFrom(-1, -0.25, 0.25, 1)),
  seed: fc.constant(0)
})

/** flat, peaked, with ties, wide, all equal, far apart, like a language model's */
const logitsArbitrary: fc.Arbitrary<Float32Array> = fc.oneof(
  fc.tuple(fc.array(fc.double({ min: -1, max: 1, noNaN: true }), { minLength: 1, maxLength: 300 }), fc.constantFrom(0.01, 1, 8, 40, 200))
    .map(([values, scale]) => Float32Array.from(values, value => value * scale)),
  fc.array(fc.integer({ min: -4, max: 4 }), { minLength: 1, maxLength: 300 }).map(values => Float32Array.from(values, value => value / 2)),
  fc.tuple(fc.integer(), fc.integer({ min: 1, max: 300 }), fc.constantFrom(0, 3, 10, 30))
    .map(([seed, size, scale]) => hashLogits([seed], size, scale)))

const contextArbitrary = fc.array(fc.tuple(fc.nat(299), fc.integer({ min: 1, max: 4 })), { maxLength: 40 })

/** anywhere in [0, 1), or beside a boundary between two tokens */
const uniformArbitrary: fc.Arbitrary<(boundaries: number[]) => number> = fc.oneof(
  fc.constantFrom(0, 0.5, 1 - 2 ** -53).map(value => () => value),
  fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }).map(value => () => value),
  fc.tuple(fc.nat(299), fc.constantFrom(0, -(2 ** -53), 2 ** -53, -1e-6, 1e-6, -1e-3, 1e-3)).map(([index, step]) => (boundaries: number[]) =>
    Math.min(Math.max(boundaries[index % boundaries.length] + step, 0), 1 - 2 ** -53)))

function countsOf (context: Array<[number, number]>, size: number, s: SamplingSettings): Map<number, number> {
  const active = s.repetitionPenalty !== 1 || s.presencePenalty !== 0 || s.frequencyPenalty !== 0
  return new Map(active ? context.filter(([id]) => id < size) : [])
}

describe('sampler', function () {
  it('draws from a part of the logits what all logits draw, or asks for more', function () {
    let decided = 0
    let partial = 0
    fc.assert(fc.property(logitsArbitrary, optionsArbitrary, contextArbitrary, uniformArbitrary, fc.double({ min: 0, max: 1, noNaN: true }),
      (logits, options, context, uniformBeside, share) => {
        const settings = resolveSampling(options)
        const counts = countsOf(context, logits.length, settings)
        const uniform = uniformBeside(distribute(logits, counts, settings).boundaries)
        const wanted = sampleNaively(logits, counts, settings, uniform)
        expect(sampleToken(sortLogits(logits), counts, settings, uniform)).to.equal(wanted)
        expect(sampleToken(best(logits, logits.length), counts, settings, uniform)).to.equal(wanted)
        const count = 1 + Math.floor(share * (logits.length - 1))
        const got = sampleToken(best(logits, count), counts, settings, uniform)
        if (count < logits.length) {
          partial++
          if (got !== undefined) decided++
        }
        if (got !== undefined) expect(got).to.equal(wanted)
      }), { numRuns: 10000, seed: 7 })
    // bounds that never decide would pass what is above
    expect(decided / partial).to.be.above(0.5)
  })

  it('allows for the rounding of exponents in the log-sum-exp', function () {
    const logits = new Float32Array(120000).fill(-16.65)
    logits[0] = 0
    let total = 1
    for (let i = 1; i < logits.length; i++) total += exp64(logits[i])
    const candidates = best(logits, 50)
    const settings = resolveSampling({ temperature: 1 })
    for (const error of [-(2 ** -18), 0, 2 ** -18]) {
      let undecided = 0
      for (let i = -1000; i <= 1000; i++) {
        const uniform = (1 + i * 1e-6) / total
        const got = sampleToken({ ...candidates, logSumExp: candidates.logSumExp! + error }, new Map(), settings, uniform)
        if (got === undefined) undecided++
        else expect(got === 0).to.equal(uniform * total < 1)
      }
      // what is beyond the first token is unseen: a thousand of these can never be decided
      expect(undecided).to.be.within(1001, 1050)
    }
    for (const temperature of [0.8, 1, 1.25]) {
      expect(sampleToken(candidates, new Map(), resolveSampling({ temperature }), 0.05)).to.equal(0)
    }
  })

  it('decides at once where the part suffices', function () {
    const logits = hashLogits([1, 2, 3], 5000, 30)
    const cases: Array<[SamplingOptions, number, number]> = [
      [{ temperature: 0 }, 1, 0],
      [{ temperature: 0.8, topK: 40 }, 40, 0.999],
      [{ temperature: 1.5, topK: 1 }, 1, 0.9],
      [{ temperature: 1, topP: 0.9 }, 256, 0.97],
      [{ temperature: 1, minP: 0.05 }, 256, 0.999],
      [{ temperature: 0.7 }, 256, 0.9],
      [{ temperature: 1 }, 256, 0.5],
      [{ temperature: 0, repetitionPenalty: 1.2 }, 17, 0]
    ]
    for (const [options, count, uniform] of cases) {
      const settings = resolveSampling(options)
      const counts = countsOf([[3, 1], [order(logits)[0], 2]], logits.length, settings)
      const message = JSON.stringify(options)
      expect(sampleToken(best(logits, count), counts, settings, uniform), message)
        .to.be.a('number').and.equal(sampleNaively(logits, counts, settings, uniform))
    }
  })

  it('asks again rather than miss an unseen token that a negative penalty raises', function () {
    const logits = Float32Array.from([5, 4.5, 4, 3, 3, 3])
    const settings = resolveSampling({ temperature: 0, presencePenalty: -3 })
    const counts = new Map([[5, 1]])
    expect(sampleToken(best(logits, 2), counts, settings, 0)).to.equal(undefined)
    expect(sampleToken(best(logits, 6), counts, settings, 0)).to.equal(5)
    // too little to reach the best
    expect(sampleToken(best(logits, 2), counts, resolveSampling({ temperature: 0, presencePenalty: -0.25 }), 0)).to.equal(0)
  })

  it('asks again where an unseen token may equal the best and has a lower id', function () {
    // −1e-45 + 100 rounds to 100
    const logits = Float32Array.from([-5, -1e-45, -5, 100, 0, -5, -5, -5])
    const settings = resolveSampling({ temperature: 0, presencePenalty: -100 })
    const counts = new Map([[7, 1], [1, 1]])
    expect(sampleToken(sortLogits(logits), counts, settings, 0)).to.equal(1)
    expect(sampleToken(best(logits, 2), counts, settings, 0)).to.equal(undefined)
  })

  it('does not count what a penalty takes from an unseen token', function () {
    // id 2 holds a third of the probability and loses it unseen
    const logits = new Float32Array(103).fill(-5)
    logits.set([0, -0.1, -0.1])
    const settings = resolveSampling({ temperature: 1, presencePenalty: 50 })
    for (let i = 0; i < 200; i++) {
      const got = sampleToken(best(logits, 2), new Map([[2, 1]]), settings, i / 200)
      if (got !== undefined) expect(got).to.equal(sampleNaively(logits, new Map([[2, 1]]), settings, i / 200))
    }
  })

  it('gives equal logits to the lowest id, also after penalties and with minus zero', function () {
    const greedy = resolveSampling({ temperature: 0 })
    expect(sampleToken(sortLogits(Float32Array.from([-0, 0, -0])), new Map(), greedy, 0)).to.equal(0)
    expect(sampleToken(sortLogits(Float32Array.from([1, 3, 3, 2])), new Map(), greedy, 0)).to.equal(1)
    const presence = resolveSampling({ temperature: 0, presencePenalty: 1 })
    expect(sampleToken(sortLogits(Float32Array.from([2, 3, 1, 2])), new Map([[1, 1]]), presence, 0)).to.equal(0)
    expect(sampleToken(best(Float32Array.from([2, 3, 1, 2]), 2), new Map([[1, 1]]), presence, 0)).to.equal(0)
    // ids 1, 2, 5 end up equal; 2 is unseen and comes before 5
    const second = resolveSampling({ temperature: 1, topK: 2, presencePenalty: 1 })
    const logits = Float32Array.from([0, 2, 2, 0, 0, 3])
    expect(sampleToken(sortLogits(logits), new Map([[5, 1]]), second, 0.9)).to.equal(2)
    expect(sampleToken(best(logits, 2), new Map([[5, 1]]), second, 0.9)).to.equal(undefined)
  })

  it('asks for more a few times only', function () {
    for (const size of [1, 2, 1000, 4096, 4097, 49152, 2 ** 21]) {
      for (const first of [1, 17, 40, 256]) {
        let asked = 0
        for (let count = first; count < size; count = nextCount(count, size)) asked++
        expect(asked).to.be.at.most(5)
      }
    }
  })

  it('follows the distribution', function () {
    const logits = Float32Array.from([2, 1, 0, -1, -2, -3])
    const settings = resolveSampling({ temperature: 1 })
    const total = logits.reduce((sum, logit) => sum + Math.exp(logit), 0)
    const drawn = new Array<number>(6).fill(0)
    const n = 10000
    for (let i = 0; i < n; i++) drawn[sampleToken(sortLogits(logits), new Map(), settings, (i + 0.5) / n) ?? -1]++
    drawn.forEach((count, id) => expect(count / n).to.be.closeTo(Math.exp(logits[id]) / total, 2 / n))
  })
})
