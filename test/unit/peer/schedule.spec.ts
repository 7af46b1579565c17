import { expect } from 'chai'
import fc from 'fast-check'
import { CLIENT_DECODE_ROWS, DECODE_ROWS, PASS_ROWS, PREFILL_ROWS_BESIDE_DECODING, TILE_ROWS } from '../../../src/peer/constants.ts'
import { choosePass, INITIAL_SCHEDULE } from '../../../src/peer/schedule.ts'
import type { ScheduleState, WaitingStep } from '../../../src/peer/schedule.ts'

const step = (session: number, rows: number, client = 'a'): WaitingStep => ({ session, client, rows, decodes: rows <= DECODE_ROWS })

/** The queue around the choice: sessions in line, those that got rows go to its end. */
function createLine () {
  let state: ScheduleState = INITIAL_SCHEDULE
  let line: WaitingStep[] = []
  return {
    get waiting () {
      return line
    },
    add: (...steps: WaitingStep[]): void => { line.push(...steps) },
    pass () {
      const chosen = choosePass(line, state)
      state = chosen.state
      const rows = new Map(chosen.grants.map(({ session, rows }) => [session, rows]))
      const served = line.filter(({ session }) => rows.has(session))
      line = [
        ...line.filter(({ session }) => !rows.has(session)),
        ...served.map(entry => ({ ...entry, rows: entry.rows - rows.get(entry.session)! })).filter(({ rows }) => rows > 0)
      ]
      return rows
    }
  }
}

/** Rows of each client over some passes in which all have enough to do. */
function shares (passes: number, steps: WaitingStep[]): Record<string, number> {
  const line = createLine()
  const got: Record<string, number> = {}
  for (let pass = 0; pass < passes; pass++) {
    line.add(...steps.filter(({ session }) => !line.waiting.some(entry => entry.session === session)))
    const clients = new Map(line.waiting.map(({ session, client }) => [session, client]))
    for (const [session, rows] of line.pass()) got[clients.get(session)!] = (got[clients.get(session)!] ?? 0) + rows
  }
  return got
}

describe('peer: schedule of an engine', () => {
  it('fills a pass with prefill where nobody decodes', () => {
    const line = createLine()
    line.add(step(1, 2000))
    expect([...line.pass()]).to.deep.equal([[1, PASS_ROWS]])
  })

  it('takes every decode step, and few prefill rows beside them and shortly after', () => {
    const line = createLine()
    line.add(step(1, 2000), step(2, 1), step(3, 4), step(4, 1))
    // with the six rows that decode it is whole tiles
    expect([...line.pass()].sort()).to.deep.equal([[1, PREFILL_ROWS_BESIDE_DECODING - 6], [2, 1], [3, 4], [4, 1]])
    const after = Array.from({ length: 6 }, () => line.pass().get(1))
    expect(after).to.deep.equal([16, 16, 16, 16, 64, 64])
  })

  it('gives clients equal shares, however many sessions they have', () => {
    const many = Array.from({ length: 20 }, (_, index) => step(index, 500, 'many'))
    const got = shares(200, [...many, step(100, 500, 'one')])
    expect(got.one / (got.one + got.many)).to.be.within(0.48, 0.52)
  })

  it('does not let the decoding of many sessions of a client hold up that of another', () => {
    const line = createLine()
    const many = Array.from({ length: 16 }, (_, index) => step(index, 1, 'many'))
    line.add(...many, step(100, 1, 'one'))
    const first = line.pass()
    expect([first.has(100), first.size]).to.deep.equal([true, 1 + CLIENT_DECODE_ROWS])
    expect(line.pass().size).to.equal(CLIENT_DECODE_ROWS)
    // alone there is nobody to hold up
    const alone = createLine()
    alone.add(...many)
    expect(alone.pass().size).to.equal(16)
  })

  it('does not hold it against a client that it used what nobody wanted, nor save up what it did not use', () => {
    const line = createLine()
    line.add(step(1, 6400, 'busy'))
    for (let pass = 0; pass < 90; pass++) line.pass()
    line.add(step(2, 6400, 'new'))
    const got = { busy: 0, new: 0 }
    for (let pass = 0; pass < 10; pass++) for (const [session, rows] of line.pass()) got[session === 1 ? 'busy' : 'new'] += rows
    expect(Math.abs(got.busy - got.new)).to.be.at.most(2 * PASS_ROWS)
  })

  it('lets nobody wait for ever, whatever the others do', () => {
    const arrivals = fc.array(fc.record({ client: fc.integer({ min: 0, max: 3 }), session: fc.integer({ min: 0, max: 3 }), rows: fc.oneof(fc.constant(1), fc.integer({ min: 1, max: 256 })) }), { maxLength: 6 })
    fc.assert(fc.property(fc.array(arrivals, { minLength: 1, maxLength: 80 }), fc.boolean(), (passes, newcomers) => {
      const line = createLine()
      const since = new Map<number, number>()
      let next = 1000
      // a session in turn with all of its client's, a client in turn with all that may be a pass ahead
      const bound = 4 * 4 * 2 + 2 * 5 * PASS_ROWS / (PREFILL_ROWS_BESIDE_DECODING - TILE_ROWS)
      for (let pass = 0; pass < passes.length + bound; pass++) {
        for (const { client, session, rows } of passes[pass] ?? []) {
          const id = client * 4 + session
          if (!line.waiting.some(entry => entry.session === id)) line.add(step(id, rows, `client ${client}`))
        }
        // another one every time, that never comes back
        if (newcomers && pass < passes.length) line.add(step(next, 16, `client ${next++}`))
        const before = line.waiting
        const rows = line.pass()
        expect([...rows.values()].reduce((sum, count) => sum + count, 0)).to.be.within(before.length === 0 ? 0 : 1, PASS_ROWS)
        for (const { session, decodes, rows: wanted } of before) {
          const got = rows.get(session) ?? 0
          expect(got).to.be.at.most(wanted)
          if (decodes && got > 0) expect(got, 'decode steps are not cut').to.equal(wanted)
          since.set(session, got > 0 ? 0 : (since.get(session) ?? 0) + 1)
          expect(since.get(session)!).to.be.below(bound)
        }
      }
    }), { seed: 4, numRuns: 150 })
  })

  it('is a function of its arguments', () => {
    const waiting = [step(1, 100), step(2, 1, 'b')]
    const first = choosePass(waiting, INITIAL_SCHEDULE)
    expect(choosePass(waiting, INITIAL_SCHEDULE)).to.deep.equal(first)
    expect(INITIAL_SCHEDULE.clocks.size).to.equal(0)
    expect(choosePass([], INITIAL_SCHEDULE).grants).to.deep.equal([])
  })
})
