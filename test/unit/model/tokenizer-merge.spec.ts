import { expect } from 'chai'
import fc from 'fast-check'
import { mergePairs, type PairRules } from '../../../src/model/tokenizer/pair-merge.ts'
import { createPairTable } from '../../../src/model/tokenizer/pair-table.ts'

/** Scans for the best pair again after every join. */
function mergeNaively (symbols: readonly number[], rules: PairRules): number[] {
  const list = [...symbols]
  for (;;) {
    let best = -1
    let bestRule = -1
    for (let i = 0; i + 1 < list.length; i++) {
      const rule = rules.find(list[i], list[i + 1])
      if (rule >= 0 && (best < 0 || rules.priority(rule) < rules.priority(bestRule))) [best, bestRule] = [i, rule]
    }
    if (best < 0) return list
    list.splice(best, 2, rules.result(bestRule))
  }
}

/** Rule i joins a pair of earlier symbols into symbol `alphabet + i`, as training a BPE does. */
const randomRules = (alphabet: number, priorityOf: (rule: number) => number): fc.Arbitrary<PairRules> =>
  fc.array(fc.tuple(fc.nat(1000), fc.nat(1000)), { maxLength: 40 }).map(seeds => {
    const rules = new Map<string, number>()
    seeds.forEach(([a, b], i) => {
      const pair = `${a % (alphabet + i)},${b % (alphabet + i)}`
      if (!rules.has(pair)) rules.set(pair, i)
    })
    return { find: (left, right) => rules.get(`${left},${right}`) ?? -1, priority: priorityOf, result: rule => alphabet + rule }
  })

const text = fc.array(fc.nat(3), { maxLength: 60 })

describe('tokenizer: joining of pairs', () => {
  it('equals a naive scan where every rule has its own priority', () => {
    fc.assert(fc.property(randomRules(4, rule => rule), text, (rules, symbols) => {
      expect(mergePairs([...symbols], rules)).to.deep.equal(mergeNaively(symbols, rules))
    }), { seed: 1, numRuns: 2000 })
  })

  it('equals a naive scan where rules share priorities and later rules go first', () => {
    fc.assert(fc.property(randomRules(4, rule => 20 - (rule >> 1)), text, (rules, symbols) => {
      expect(mergePairs([...symbols], rules)).to.deep.equal(mergeNaively(symbols, rules))
    }), { seed: 2, numRuns: 2000 })
  })

  it('joins the leftmost of equal pairs', () => {
    const rules: PairRules = { find: (left, right) => left === 0 && right === 0 ? 0 : -1, priority: () => 0, result: () => 1 }
    expect(mergePairs([0, 0, 0, 0, 0], rules)).to.deep.equal([1, 1, 0])
  })
})

describe('tokenizer: table of pairs', () => {
  it('finds what is in it and nothing else, the first of equal pairs', () => {
    const id = fc.nat(40)
    fc.assert(fc.property(fc.array(fc.tuple(id, id), { maxLength: 200 }), fc.array(fc.tuple(id, id)), (pairs, probes) => {
      const table = createPairTable(pairs.flat())
      for (const [left, right] of [...pairs, ...probes]) {
        expect(table.find(left, right)).to.equal(pairs.findIndex(([a, b]) => a === left && b === right))
      }
    }), { seed: 3 })
  })
})
