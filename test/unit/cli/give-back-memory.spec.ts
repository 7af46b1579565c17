import { expect } from 'chai'
import { getHeapSpaceStatistics } from 'node:v8'
import { giveBackMemory } from '../../../src/cli/give-back-memory.ts'

const youngBytes = (): number => getHeapSpaceStatistics().find(({ space_name: name }) => name === 'new_space')!.physical_space_size

describe('cli: memory that starting took', function () {
  this.timeout(30_000)

  it('is given back, and the collector is not left for others to call', () => {
    // what survives makes the young generation grow
    let kept: object[] = []
    for (let round = 0; round < 40 && youngBytes() < 12e6; round++) {
      kept = Array.from({ length: 200_000 }, (_, index) => ({ index }))
    }
    expect(kept).to.have.length(200_000)
    expect(youngBytes()).to.be.above(12e6)
    giveBackMemory()
    expect(youngBytes()).to.be.below(4e6)
    expect(globalThis).to.not.have.property('gc')
  })
})
