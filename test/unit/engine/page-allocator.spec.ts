import { expect } from 'chai'
import fc from 'fast-check'
import { InvalidPrefixError, InvalidRangeError, KeyValueBudgetError, SessionLimitError, UnknownSessionError } from '../../../src/engine/errors.ts'
import { PageAllocator } from '../../../src/engine/page-allocator.ts'

const PAGE = 4
const PAGES = 12
const CONTEXT = 24

function create (pages = PAGES, sessions = 5): PageAllocator {
  return new PageAllocator({ range: { from: 1, to: 5 }, pages, pagePositions: PAGE, sessions, contextLength: CONTEXT })
}

/** A session that holds `length` positions. */
function filled (allocator: PageAllocator, length: number): number {
  const session = allocator.open()
  allocator.write([{ session, from: 0, to: length }])
  allocator.commit(session, length)
  return session
}

/** An allocator with memory behind it, and beside each session what it ought to hold. */
function createModel (counts: { copies: number, refusals: number }) {
  const memory = Array.from({ length: PAGES }, (): number[] => Array(PAGE).fill(0))
  const tables: number[][] = []
  const allocator = new PageAllocator({
    range: { from: 0, to: 1 },
    pages: PAGES,
    pagePositions: PAGE,
    sessions: 5,
    contextLength: CONTEXT,
    onAssign ({ table, index, page, copyOf }) {
      if (copyOf !== undefined) {
        memory[page] = [...memory[copyOf]]
        counts.copies++
      }
      const pages = tables[table] ??= []
      pages[index] = page
    }
  })
  /** `grows` says that the session was only ever extended: then its promise has to hold */
  const sessions: Array<{ id: number, values: number[], capacity: number, grows: boolean }> = []
  let stamp = 0

  /** Whether it was done; a refusal must not change anything. */
  function attempt (run: () => void): boolean {
    const before = [allocator.freePositions, ...sessions.map(({ id }) => allocator.length(id))]
    try {
      run()
      return true
    } catch (error) {
      expect(error).to.satisfy((e: unknown) => e instanceof KeyValueBudgetError || e instanceof SessionLimitError)
      expect([allocator.freePositions, ...sessions.map(({ id }) => allocator.length(id))]).to.deep.equal(before)
      counts.refusals++
      return false
    }
  }

  return {
    allocator,
    sessions,
    open (capacity: number, source: number, share: number) {
      const from = sessions[source % (sessions.length + 1)]
      const length = Math.floor((from?.values.length ?? 0) * share)
      let id = 0
      if (!attempt(() => { id = allocator.open({ capacity, ...(from === undefined ? {} : { prefix: { session: from.id, length } }) }) })) return
      sessions.push({ id, values: from?.values.slice(0, length) ?? [], capacity, grows: true })
    },
    write (batch: Array<[session: number, back: number, rows: number]>, reserveFirst: boolean) {
      if (sessions.length === 0) return
      const chosen = new Map(batch.map(([index, back, rows]) => {
        const session = sessions[index % sessions.length]
        const from = Math.max(0, session.values.length - back)
        return [session, { session: session.id, from, to: Math.min(CONTEXT, from + rows) }]
      }))
      const ranges = [...chosen.values()].filter(({ from, to }) => to > from)
      const reserved = reserveFirst && ranges.every(range => attempt(() => allocator.reserve(range)))
      if (!attempt(() => allocator.write(ranges))) {
        expect(reserved, 'what was reserved can be written').to.equal(false)
        const promised = [...chosen].every(([{ grows, values, capacity }, { from, to }]) => grows && from === values.length && to <= capacity)
        expect(promised && ranges.length > 0, 'what was promised can be written').to.equal(false)
        return
      }
      for (const [session, { from, to }] of chosen) {
        if (from < session.values.length) session.grows = false
        if (to <= from) continue
        session.values.length = from
        for (let position = from; position < to; position++) {
          memory[tables[allocator.table(session.id)][Math.floor(position / PAGE)]][position % PAGE] = session.values[position] = ++stamp
        }
        allocator.commit(session.id, to)
      }
    },
    truncate (index: number, back: number) {
      const session = sessions[index % (sessions.length || 1)]
      if (session === undefined) return
      const length = Math.max(0, session.values.length - back)
      allocator.truncate(session.id, length)
      session.values.length = length
      if (back > 0) session.grows = false
    },
    close (index: number) {
      if (sessions.length === 0) return
      const [session] = sessions.splice(index % sessions.length, 1)
      allocator.close(session.id)
    },
    check () {
      const held = new Set<number>()
      for (const { id, values } of sessions) {
        expect(allocator.length(id)).to.equal(values.length)
        const pages = tables[allocator.table(id)] ?? []
        expect(values.map((_, position) => memory[pages[Math.floor(position / PAGE)]][position % PAGE])).to.deep.equal(values)
        for (let index = 0; index * PAGE < values.length; index++) held.add(pages[index])
      }
      expect(allocator.freePositions).to.be.within(0, (PAGES - held.size) * PAGE)
    }
  }
}

describe('engine: page allocator', () => {
  it('refuses what does not fit, and says how much is free', () => {
    const allocator = create(3)
    filled(allocator, 5)
    expect(() => allocator.open({ capacity: 5 })).to.throw(KeyValueBudgetError, '8 positions of KV cache are needed, 4 are free')
    const session = allocator.open()
    expect(() => allocator.write([{ session, from: 0, to: 5 }])).to.throw(KeyValueBudgetError)
    expect(() => allocator.reserve({ session, from: 0, to: 5 })).to.throw(KeyValueBudgetError)
    expect(() => allocator.open({ prefix: { session, length: 1 } })).to.throw(InvalidPrefixError)
    expect(allocator.freePositions).to.equal(4)
  })

  it('has a table for as many sessions as it was told', () => {
    const allocator = create(PAGES, 2)
    const tables = [allocator.open(), allocator.open()].map(session => allocator.table(session))
    expect(tables).to.deep.equal([0, 1])
    expect(() => allocator.open()).to.throw(SessionLimitError)
    allocator.close(1)
    expect(allocator.table(allocator.open())).to.equal(0)
  })

  it('shares whole pages, and copies the last one', () => {
    const allocator = create()
    const source = filled(allocator, 10)
    expect(allocator.freePositions).to.equal(9 * PAGE)
    const one = allocator.open({ prefix: { session: source, length: 10 } })
    expect(allocator.freePositions).to.equal(8 * PAGE)
    const two = allocator.open({ prefix: { session: source, length: 8 }, capacity: 12 })
    expect(allocator.freePositions).to.equal(7 * PAGE)
    allocator.close(source)
    expect(allocator.freePositions).to.equal(8 * PAGE)
    for (const session of [one, two]) allocator.close(session)
    expect(allocator.freePositions).to.equal(PAGES * PAGE)
  })

  it('gives a session all units or a part of them, and a prefix only of one with the same', () => {
    const allocator = create()
    for (const range of [{ from: 0, to: 2 }, { from: 2, to: 6 }, { from: 3, to: 3 }, { from: 4, to: 2 }, { from: 1.5, to: 3 }, { from: 1, to: NaN }, { from: -Infinity, to: 5 }]) {
      expect(() => allocator.open({ range }), `${range.from}:${range.to}`).to.throw(InvalidRangeError)
    }
    expect(() => allocator.range(1)).to.throw(UnknownSessionError)
    const range = { from: 2, to: 4 }
    const part = allocator.open({ range })
    range.to = 3
    expect(allocator.range(part)).to.deep.equal({ from: 2, to: 4 })
    const whole = filled(allocator, 10)
    expect(allocator.range(whole)).to.deep.equal({ from: 1, to: 5 })
    const free = allocator.freePositions
    expect(() => allocator.open({ range: { from: 1, to: 4 }, prefix: { session: whole, length: 4 } })).to.throw(InvalidPrefixError, 'a prefix of 4 positions, the session runs units 1:5, not 1:4')
    expect(() => allocator.open({ prefix: { session: part, length: 0 } })).to.throw(InvalidPrefixError)
    expect(allocator.freePositions).to.equal(free)
    const next = allocator.open({ range: { from: 2, to: 4 }, prefix: { session: part, length: 0 } })
    expect(allocator.range(next)).to.deep.equal({ from: 2, to: 4 })
    allocator.open({ range: { from: 1, to: 5 }, prefix: { session: whole, length: 8 } })
    expect(allocator.freePositions).to.equal(free)
  })

  it('keeps a promise beside others that take all they can', () => {
    const allocator = create()
    const promised = allocator.open({ capacity: 24 })
    const greedy = filled(allocator, 24)
    const other = allocator.open()
    expect(allocator.freePositions).to.equal(0)
    expect(() => allocator.write([{ session: other, from: 0, to: 1 }])).to.throw(KeyValueBudgetError)
    for (const to of [5, 24]) {
      allocator.write([{ session: promised, from: 0, to }])
      allocator.commit(promised, to)
    }
    allocator.truncate(promised, 0)
    expect(allocator.freePositions, 'given back, but promised still').to.equal(0)
    allocator.close(greedy)
    expect(allocator.freePositions).to.equal(24)
  })

  it('does not owe a page that another session goes on holding', () => {
    const allocator = create(4)
    const source = allocator.open({ capacity: 8 })
    allocator.write([{ session: source, from: 0, to: 8 }])
    allocator.commit(source, 8)
    const other = allocator.open({ prefix: { session: source, length: 8 } })
    allocator.truncate(source, 0)
    filled(allocator, 8)
    expect(() => allocator.write([{ session: source, from: 0, to: 4 }])).to.throw(KeyValueBudgetError)
    allocator.close(other)
    allocator.write([{ session: source, from: 0, to: 4 }])
  })

  it('forgets what was only reserved when a session is truncated', () => {
    const allocator = create()
    const session = allocator.open({ capacity: 4 })
    allocator.reserve({ session, from: 0, to: 20 })
    expect(allocator.freePositions).to.equal((PAGES - 5) * PAGE)
    allocator.truncate(session, 0)
    expect(allocator.freePositions).to.equal((PAGES - 1) * PAGE)
  })

  it('sets aside what a step needs that writes anew in several parts', () => {
    const allocator = create(3)
    const session = filled(allocator, 12)
    allocator.reserve({ session, from: 2, to: 12 })
    allocator.write([{ session, from: 2, to: 4 }])
    allocator.commit(session, 4)
    const other = allocator.open()
    expect(() => allocator.write([{ session: other, from: 0, to: 1 }])).to.throw(KeyValueBudgetError)
    allocator.write([{ session, from: 4, to: 12 }])
    allocator.commit(session, 12)
    // it is written: what is given back from now on is free
    allocator.commit(session, 4)
    allocator.write([{ session: other, from: 0, to: 8 }])
  })

  it('takes a promise back', () => {
    const allocator = create()
    const session = allocator.open({ capacity: 20 })
    allocator.write([{ session, from: 0, to: 5 }])
    allocator.commit(session, 5)
    allocator.release(session)
    expect(allocator.freePositions).to.equal((PAGES - 2) * PAGE)
    filled(allocator, 24)
    filled(allocator, 16)
    expect(allocator.length(session)).to.equal(5)
    expect(() => allocator.reserve({ session, from: 5, to: 9 })).to.throw(KeyValueBudgetError)
  })

  it('holds for every session what was written to it, whatever is opened, shared, written, truncated and closed, and loses no page', () => {
    const which = fc.integer({ min: 0, max: 59 })
    const operation = fc.oneof(
      { weight: 3, arbitrary: fc.tuple(fc.constant('open' as const), fc.constantFrom(0, 0, 0, 5, 8, CONTEXT), which, fc.constantFrom(0, 0.3, 0.5, 0.8, 1)) },
      { weight: 6, arbitrary: fc.tuple(fc.constant('write' as const), fc.array(fc.tuple(which, fc.constantFrom(0, 0, 0, 1, 5, 12), fc.integer({ min: 1, max: 9 })), { minLength: 1, maxLength: 3 }), fc.boolean()) },
      { weight: 1, arbitrary: fc.tuple(fc.constant('truncate' as const), which, fc.constantFrom(1, 4, 9, CONTEXT)) },
      { weight: 2, arbitrary: fc.tuple(fc.constant('close' as const), which) }
    )
    const counts = { copies: 0, refusals: 0 }
    fc.assert(fc.property(fc.array(operation, { minLength: 1, maxLength: 40, size: 'max' }), operations => {
      const model = createModel(counts)
      for (const operation of operations) {
        switch (operation[0]) {
          case 'open': model.open(operation[1], operation[2], operation[3]); break
          case 'write': model.write(operation[1], operation[2]); break
          case 'truncate': model.truncate(operation[1], operation[2]); break
          case 'close': model.close(operation[1])
        }
        model.check()
      }
      while (model.sessions.length > 0) model.close(0)
      expect(model.allocator.freePositions).to.equal(PAGES * PAGE)
    }), { seed: 7, numRuns: 2000 })
    expect(counts.copies, 'pages were copied').to.be.above(1000)
    expect(counts.refusals, 'the budget was in the way').to.be.above(1000)
  })
})
