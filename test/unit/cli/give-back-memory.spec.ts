import { expect } from 'chai'
import { execFileSync } from 'node:child_process'

/** In a process of its own: what has survived there makes the young generation grow. */
const PROGRAM = `
import { getHeapSpaceStatistics } from 'node:v8'
import { giveBackMemory } from ${JSON.stringify(new URL('../../../src/cli/give-back-memory.ts', import.meta.url).href)}
const young = () => getHeapSpaceStatistics().find(({ space_name: name }) => name === 'new_space').physical_space_size
let kept
for (let round = 0; round < 40 && young() < 12e6; round++) kept = Array.from({ length: 200_000 }, (_, index) => ({ index }))
const before = young()
giveBackMemory()
console.log(JSON.stringify({ before, after: young(), kept: kept.length, exposed: 'gc' in globalThis }))
`

describe('cli: memory that starting took', () => {
  it('is given back, and the collector is not left for others to call', () => {
    const { before, after, kept, exposed } = JSON.parse(execFileSync(process.execPath, ['--input-type=module', '--eval', PROGRAM], { encoding: 'utf8' }))
    expect(before).to.be.above(12e6)
    expect(after).to.be.below(4e6)
    expect(kept).to.equal(200_000)
    expect(exposed).to.equal(false)
  })
})
