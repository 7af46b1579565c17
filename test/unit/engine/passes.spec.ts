import { expect } from 'chai'
import fc from 'fast-check'
import { cutPasses } from '../../../src/engine/wasm/passes.ts'
import type { CheckedItem } from '../../../src/engine/batch.ts'

/** Sessions below 10 run all units; of others the tens say which is the last. */
function item (session: number, position: number, rows: number): CheckedItem {
  const range = { from: 0, to: session < 10 ? 99 : Math.floor(session / 10) }
  return { item: { session, position }, range, rows, before: position, end: position + rows }
}

const brief = (batch: CheckedItem[], maxRows: number) =>
  cutPasses(batch, maxRows).map(pass => pass.map(({ index, from, count }) => [index, from, count]))

describe('passes of a batch', function () {
  it('begin anew where a session goes back', function () {
    expect(brief([item(1, 0, 3), item(2, 9, 1), item(1, 2, 1)], 8)).to.deep.equal([[[0, 0, 3], [1, 0, 1]], [[2, 0, 1]]])
  })

  it('take rows of several sessions, and of one that goes on', function () {
    expect(brief([item(1, 0, 3), item(2, 9, 1), item(1, 3, 1)], 8)).to.deep.equal([[[0, 0, 3], [1, 0, 1], [2, 0, 1]]])
  })

  it('cut long items', function () {
    expect(brief([item(1, 0, 2), item(2, 0, 9)], 4)).to.deep.equal([[[0, 0, 2], [1, 0, 2]], [[1, 2, 4]], [[1, 6, 3]]])
  })

  it('are of sessions that run the same units, as few as there have to be', function () {
    expect(brief([item(1, 0, 1), item(21, 0, 2), item(2, 5, 1), item(11, 0, 3), item(21, 2, 1), item(22, 0, 1), item(3, 0, 1)], 4))
      .to.deep.equal([[[0, 0, 1], [2, 0, 1], [6, 0, 1]], [[1, 0, 2], [4, 0, 1], [5, 0, 1]], [[3, 0, 3]]])
    expect(brief([item(21, 0, 1), item(11, 0, 3), item(21, 0, 1), item(12, 0, 2)], 4)).to.deep.equal([[[0, 0, 1]], [[2, 0, 1]], [[1, 0, 3], [3, 0, 1]], [[3, 1, 1]]])
  })

  it('hold every row once, in the order of its session, never two rows of one position or of different units', function () {
    fc.assert(fc.property(
      fc.array(fc.record({ session: fc.constantFrom(1, 2, 3, 11, 12, 21), position: fc.integer({ min: 0, max: 9 }), rows: fc.integer({ min: 1, max: 20 }) }), { maxLength: 12 }),
      fc.integer({ min: 1, max: 16 }), (items, maxRows) => {
        const batch = items.map(({ session, position, rows }) => item(session, position, rows))
        const passes = cutPasses(batch, maxRows)
        for (const own of new Set(batch.map(({ range }) => range.to))) {
          const rows = passes.flat().filter(({ range }) => range.to === own).flatMap(({ index, from, count }) => Array.from({ length: count }, (_, i) => `${index}:${from + i}`))
          expect(rows).to.deep.equal(batch.flatMap(({ range, rows }, index) => range.to === own ? Array.from({ length: rows }, (_, i) => `${index}:${i}`) : []))
        }
        for (const pass of passes) {
          expect(pass.reduce((sum, { count }) => sum + count, 0)).to.be.within(1, maxRows)
          expect(new Set(pass.map(({ range }) => range.to)).size).to.equal(1)
          const written = pass.flatMap(({ item, from, count }) => Array.from({ length: count }, (_, i) => `${item.session}:${item.position + from + i}`))
          expect(new Set(written).size).to.equal(written.length)
        }
      }), { seed: 4, numRuns: 1000 })
  })
})
