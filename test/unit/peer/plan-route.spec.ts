import { expect } from 'chai'
import fc from 'fast-check'
import type { RowOutput } from '../../../src/engine/index.ts'
import { cutChunks } from '../../../src/peer/client/cut-chunks.ts'
import { planRoute, RangeGapError, RangeOverlapError } from '../../../src/peer/index.ts'
import { answerByteLength, outputsByteLength } from '../../../src/peer/wire/index.ts'

const range = (from: number, to: number, local = false) => ({ range: { from, to }, local })

describe('peer/client: route planning', () => {
  it('names what is missing', () => {
    const error = (() => {
      try {
        return planRoute([range(1, 3), range(4, 5)], 8)
      } catch (error) {
        return error as RangeGapError
      }
    })()
    expect(error).to.be.instanceOf(RangeGapError)
    expect((error as RangeGapError).missing).to.deep.equal([0, 3, 5, 6, 7])
    expect((error as RangeGapError).message).to.equal('no peer hosts embed, layer 2, layer 4 to head')
    expect(() => planRoute([], 3)).to.throw(RangeGapError, 'embed to head')
    expect(() => planRoute([range(0, 2), range(1, 3)], 3)).to.throw(RangeOverlapError, '0:2, 1:3')
    expect(() => planRoute([range(0, 9)], 3)).to.throw(RangeOverlapError)
  })

  it('finds the subset that fits', () => {
    const all = [range(0, 4), range(2, 5), range(0, 2), range(5, 8), range(4, 8)]
    expect(planRoute(all, 8)).to.deep.equal([all[0], all[4]])
    expect(planRoute(all.slice(0, 4), 8)).to.deep.equal([all[2], all[1], all[3]])
  })

  it('prefers local stages, then few, then the first named', () => {
    const local = range(0, 1, true)
    const all = [range(0, 1), range(0, 4), local, range(1, 2), range(2, 4), range(1, 4), range(1, 4)]
    expect(planRoute(all, 4)).to.deep.equal([local, all[5]])
    expect(planRoute(all, 4)[1]).to.equal(all[5])
    expect(planRoute(all.filter(candidate => candidate !== local), 4)).to.deep.equal([all[1]])
    const twins = [range(0, 2), range(0, 2), range(2, 4)]
    expect(planRoute(twins, 4)[0]).to.equal(twins[0])
  })

  it('covers every unit exactly once, and misses no route that exists', () => {
    fc.assert(fc.property(fc.integer({ min: 1, max: 7 }), fc.array(fc.tuple(fc.nat(7), fc.nat(7), fc.boolean()), { maxLength: 9 }), (units, list) => {
      const candidates = list.map(([from, length, local]) => range(from, from + length, local))
      const reachable = new Set([0])
      for (let boundary = 0; boundary < units; boundary++) {
        if (!reachable.has(boundary)) continue
        for (const { range } of candidates) if (range.from === boundary && range.to > range.from) reachable.add(range.to)
      }
      if (!reachable.has(units)) {
        expect(() => planRoute(candidates, units)).to.throw()
        return
      }
      let next = 0
      for (const { range } of planRoute(candidates, units)) {
        expect(range.from).to.equal(next)
        next = range.to
      }
      expect(next).to.equal(units)
    }), { seed: 5, numRuns: 1000 })
  })
})

describe('peer/client: chunks', () => {
  it('covers all rows in order, keeps every output, within the limits', () => {
    const output = fc.constantFrom<RowOutput>({ kind: 'top', count: 3 }, { kind: 'logits' }, { kind: 'score', ids: [1, 2] })
    fc.assert(fc.property(fc.integer({ min: 1, max: 60 }), fc.array(fc.option(output), { minLength: 60, maxLength: 60 }), fc.integer({ min: 1, max: 20 }), fc.integer({ min: 1, max: 2000 }), fc.integer({ min: 1, max: 200 }), (length, wanted, rows, answerBytes, outputBytes) => {
      const outputs = wanted.slice(0, length).flatMap((output, row) => output === null ? [] : [{ row, output }])
      const chunks = cutChunks(length, outputs, { rows, answerBytes, outputBytes, vocabularySize: 50 })
      let next = 0
      for (const chunk of chunks) {
        expect(chunk.start).to.equal(next)
        expect(chunk.rows).to.be.within(1, rows)
        if (chunk.outputs.length > 1) {
          expect(answerByteLength(chunk.outputs, 50)).to.be.at.most(answerBytes)
          expect(outputsByteLength(chunk.outputs)).to.be.at.most(outputBytes)
        }
        next += chunk.rows
      }
      expect(next).to.equal(length)
      expect(chunks.flatMap(chunk => chunk.outputs.map(({ row, output }) => ({ row: row + chunk.start, output })))).to.deep.equal(outputs)
    }), { seed: 6, numRuns: 500 })
  })

  it('cuts only where it must', () => {
    const outputs = [0, 5, 9].map(row => ({ row, output: { kind: 'top' as const, count: 1 } }))
    expect(cutChunks(10, outputs, { rows: 64, answerBytes: 1000, outputBytes: 1000, vocabularySize: 50 })).to.have.length(1)
    expect(cutChunks(10, outputs, { rows: 64, answerBytes: 64, outputBytes: 1000, vocabularySize: 50 }).map(({ rows }) => rows)).to.deep.equal([9, 1])
  })
})
