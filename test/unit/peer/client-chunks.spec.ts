import { expect } from 'chai'
import fc from 'fast-check'
import type { RowOutput } from '../../../src/engine/index.ts'
import { cutChunks } from '../../../src/peer/client/cut-chunks.ts'
import { answerByteLength, outputsByteLength } from '../../../src/peer/wire/index.ts'

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
