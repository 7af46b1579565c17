import { expect } from 'chai'
import { KeyValueBudgetError } from '../../../src/engine/index.ts'
import { PREFIX_STRIDE } from '../../../src/peer/constants.ts'
import { prefixCache } from '../../../src/peer/prefix-cache.ts'
import type { UnitRange } from '../../../src/model/index.ts'
import type { NamedSession, PrefixCache } from '../../../src/peer/prefix-cache.ts'
import { createStubEngine } from '../../support/stub-engine.ts'
import type { StubEngine } from '../../support/stub-engine.ts'

describe('peer: prefix cache', () => {
  let engine: StubEngine
  let cache: PrefixCache
  beforeEach(() => {
    engine = createStubEngine({ from: 0, to: 6 }, { positions: 1000 })
    cache = prefixCache(engine)
  })
  afterEach(() => cache.clear())

  /** A session that holds a stride for each letter, and `more` positions that have no name. */
  async function session (letters: string, { owner = 'A', more = 0, ...options }: { owner?: string, more?: number, capacity?: number, range?: UnitRange } = {}): Promise<NamedSession> {
    const engineSession = engine.openSession(options)
    const rows = letters.length * PREFIX_STRIDE + more
    if (rows > 0) await engine.run([{ session: engineSession, position: 0, tokens: new Uint32Array(rows) }])
    return { owner, engineSession, names: letters.split('').map((_, index) => letters.slice(0, index + 1)) }
  }

  const names = (letters: string): string[] => letters.split('').map((_, index) => letters.slice(0, index + 1))

  it('finds nothing of another owner, or with other names, or that is not held any more', async () => {
    const one = await session('abc')
    cache.add(one)
    expect(cache.find('B', names('abc'))).to.equal(undefined)
    expect(cache.find('A', names('xbc'))).to.equal(undefined)
    expect(cache.find('A', [])).to.equal(undefined)
    engine.truncate(one.engineSession, 70)
    expect(cache.find('A', names('abc'))).to.deep.equal({ session: one.engineSession, length: 64 })
    cache.remove(one)
    expect(cache.find('A', names('abc'))).to.equal(undefined)
  })

  it('finds the longest beginning, whether open or kept', async () => {
    const [one, two] = [await session('ab'), await session('abcd')]
    cache.add(one)
    cache.keep(two, 8)
    expect(cache.find('A', names('abx'))?.length).to.equal(64)
    expect(cache.find('A', names('abcx'))).to.deep.equal({ session: two.engineSession, length: 96 })
  })

  it('finds, and takes for the same, only sessions that run the same units', async () => {
    const [part, shorter] = [{ from: 0, to: 4 }, { from: 0, to: 2 }]
    const [one, two] = [await session('abc'), await session('abcd', { range: part })]
    cache.add(one)
    cache.add(two)
    expect(cache.find('A', names('abcd'))).to.deep.equal({ session: one.engineSession, length: 96 })
    expect(cache.find('A', names('abcd'), part)).to.deep.equal({ session: two.engineSession, length: 128 })
    expect(cache.find('A', names('abcd'), shorter)).to.equal(undefined)
    expect(cache.find('A', names('abcd'), { from: 0, to: 6 })?.length).to.equal(96)
    for (const each of [one, two]) cache.remove(each)
    cache.keep(two, 8)
    cache.keep(one, 8)
    cache.keep(await session('ab', { range: shorter }), 8)
    expect(engine.openSessions, 'none stands for another').to.equal(3)
    expect([undefined, part, shorter].map(range => cache.find('A', names('abcd'), range)?.length)).to.deep.equal([96, 128, 64])
    cache.keep(await session('abc', { range: shorter }), 3)
    expect(engine.openSessions, 'longer').to.equal(3)
    cache.keep(await session('x'), 3)
    expect(engine.openSessions, 'the limit is for all ranges').to.equal(3)
  })

  it('keeps only what has a name, promised to nobody', async () => {
    const free = engine.freePositions
    cache.keep(await session('ab', { more: 20, capacity: 500 }), 8)
    expect(free - engine.freePositions).to.equal(64)
    cache.keep(await session('', { more: 20 }), 8)
    expect([engine.openSessions, free - engine.freePositions]).to.deep.equal([1, 64])
  })

  it('keeps none twice, and no more for an owner than it is told', async () => {
    cache.keep(await session('ab'), 2)
    cache.keep(await session('a'), 2)
    expect(engine.openSessions, 'shorter than one that is there').to.equal(1)
    cache.keep(await session('abc'), 2)
    expect(engine.openSessions, 'longer').to.equal(1)
    cache.keep(await session('x', { owner: 'B' }), 2)
    cache.keep(await session('y'), 2)
    expect(engine.openSessions).to.equal(3)
    // used, so that y is the one that goes
    cache.find('A', names('a'))
    cache.keep(await session('z'), 2)
    expect(engine.openSessions).to.equal(3)
    expect(cache.find('A', names('y'))).to.equal(undefined)
    expect(cache.find('A', names('abc'))?.length).to.equal(96)
    cache.keep(await session('v'), 0)
    expect(cache.find('A', names('v'))).to.equal(undefined)
    cache.drop('A')
    expect([engine.openSessions, cache.find('B', names('x'))?.length]).to.deep.equal([1, 32])
    cache.clear()
    expect([engine.openSessions, engine.freePositions]).to.deep.equal([0, 1000])
  })

  it('closes what it keeps, the least recently used first, as far as room is wanted; then it asks', async () => {
    for (const letters of ['aaaaa', 'bbbbb', 'ccccc']) cache.keep(await session(letters), 8)
    cache.find('A', names('a'))
    const session1 = cache.withRoom(() => engine.openSession({ capacity: 600 }), () => { throw new Error('not asked') })
    expect(cache.find('A', names('b'))).to.equal(undefined)
    expect(cache.find('A', names('a'))?.length).to.equal(32)
    const asked: number[] = []
    const session2 = cache.withRoom(() => engine.openSession({ capacity: 700 }), error => {
      asked.push(error.needed - error.free)
      engine.closeSession(session1)
      return true
    })
    expect(asked).to.deep.equal([300])
    expect(() => cache.withRoom(() => engine.openSession({ capacity: 700 }))).to.throw(KeyValueBudgetError)
    expect(() => cache.withRoom(() => { throw new Error('something else') })).to.throw('something else')
    engine.closeSession(session2)
    expect([engine.openSessions, engine.freePositions]).to.deep.equal([0, 1000])
  })
})
