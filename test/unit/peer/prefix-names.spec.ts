import { expect } from 'chai'
import fc from 'fast-check'
import { MAXIMUM_PREFIX_NAMES, PREFIX_STRIDE } from '../../../src/peer/constants.ts'
import { createPrefixNames, namedIds, prefixSeed } from '../../../src/peer/prefix-names.ts'

const secret = new Uint8Array(16)
const seed = prefixSeed(secret, 'ab'.repeat(32), [])

function namesOf (ids: ArrayLike<number>, from = seed): string[] {
  const prefix = createPrefixNames(from)
  prefix.extend(ids)
  return prefix.names
}

describe('peer: names of prefixes', () => {
  it('begin with another seed for another secret, model or way through the stages', () => {
    const passed = [{ peerId: 'A', range: { from: 0, to: 3 } }]
    const seeds = [
      seed,
      prefixSeed(new Uint8Array(16).fill(1), 'ab'.repeat(32), []),
      prefixSeed(secret, 'cd'.repeat(32), []),
      prefixSeed(secret, 'ab'.repeat(32), passed),
      prefixSeed(secret, 'ab'.repeat(32), [{ range: { from: 0, to: 3 } }]),
      prefixSeed(secret, 'ab'.repeat(32), [{ peerId: 'A', range: { from: 0, to: 2 } }]),
      prefixSeed(secret, 'ab'.repeat(32), [{ peerId: 'B', range: { from: 0, to: 3 } }]),
      prefixSeed(secret, 'ab'.repeat(32), [...passed, { peerId: 'B', range: { from: 3, to: 4 } }])
    ]
    expect(new Set(seeds.map(bytes => Buffer.from(bytes).toString('hex'))).size).to.equal(seeds.length)
  })

  it('are those of docs/protocol.md', () => {
    // computed with another program (Python's hashlib)
    expect(namesOf(Array.from({ length: 70 }, (_, i) => i))).to.deep.equal(['218496dce79882dd6168d7c1ca6323a3', '6599d6ce56520f01afba6a469cf4c163'])
  })

  it('stand for a stride and all before it, and for whole strides only', () => {
    fc.assert(fc.property(fc.array(fc.nat(3), { maxLength: 100, size: 'max' }), fc.nat(100), fc.nat(100), (ids, cut, changed) => {
      const names = namesOf(ids)
      expect(names).to.have.length(Math.floor(ids.length / PREFIX_STRIDE))
      expect(namesOf(ids.slice(0, cut))).to.deep.equal(names.slice(0, Math.floor(Math.min(cut, ids.length) / PREFIX_STRIDE)))
      // in pieces, with a part replaced on the way
      const prefix = createPrefixNames(seed)
      prefix.extend(ids.map((id, index) => index < cut ? id : 9))
      prefix.cut(Math.min(cut, changed))
      prefix.extend(ids)
      expect(prefix.names).to.deep.equal(names)
      if (changed < names.length * PREFIX_STRIDE) {
        const other = namesOf(ids.map((id, index) => index === changed ? id + 1 : id))
        const same = Math.floor(changed / PREFIX_STRIDE)
        expect(other.slice(0, same)).to.deep.equal(names.slice(0, same))
        for (let index = same; index < names.length; index++) expect(other[index]).to.not.equal(names[index])
      }
    }), { seed: 5, numRuns: 300 })
  })

  it('are no more than a stage takes, and leave out the last id of a prompt', () => {
    expect(namesOf(new Uint32Array((MAXIMUM_PREFIX_NAMES + 1) * PREFIX_STRIDE))).to.have.length(MAXIMUM_PREFIX_NAMES)
    expect([...namedIds([5, 6, 7])]).to.deep.equal([5, 6])
    expect(namedIds([])).to.have.length(0)
  })
})
