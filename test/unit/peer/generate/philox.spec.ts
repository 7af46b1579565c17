import { expect } from 'chai'
import { philox4x32, uniformAt } from '../../../../src/peer/generate/philox.ts'

describe('philox', function () {
  // known answers published with Random123
  const vectors: Array<[number[], number[], number[]]> = [
    [[0, 0, 0, 0], [0, 0], [0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8]],
    [[0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff], [0xffffffff, 0xffffffff], [0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd]],
    [[0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344], [0xa4093822, 0x299f31d0], [0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1]]
  ]
  for (const [counter, key, wanted] of vectors) {
    it(`gives the known answer for counter ${counter.map(word => word.toString(16)).join(' ')}`, function () {
      expect(philox4x32(counter, key)).to.deep.equal(wanted)
    })
  }

  it('depends on every bit of seed and position', function () {
    const seen = new Set<number>()
    for (let bit = 0; bit < 53; bit++) {
      seen.add(uniformAt(2 ** bit, 0))
      seen.add(uniformAt(0, 2 ** bit))
    }
    expect(seen.size).to.equal(106)
  })

  it('is uniform in [0, 1)', function () {
    const buckets = new Array<number>(16).fill(0)
    for (let position = 0; position < 16000; position++) {
      const u = uniformAt(Number.MAX_SAFE_INTEGER, position)
      expect(u >= 0 && u < 1).to.equal(true)
      buckets[Math.floor(u * 16)]++
    }
    // chi-squared, 15 degrees of freedom; the numbers are fixed
    expect(buckets.reduce((sum, count) => sum + (count - 1000) ** 2 / 1000, 0)).to.be.below(30)
  })
})
