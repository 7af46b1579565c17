import { expect } from 'chai'
import { decimal, duration, idList, integer, list, repeated, size, time } from '../../../src/cli/parse.ts'

const invalid = 'commander.invalidArgument'

describe('cli/parse', () => {
  for (const text of ['', ' 1', '1 ', '-1', '+1', '1.5', '1e3', '0x10', 'NaN', 'Infinity', '٣', '9'.repeat(17)]) {
    it(`refuses ${JSON.stringify(text)} as a whole number`, () => {
      expect(() => integer(0)(text)).to.throw().with.property('code', invalid)
    })
  }

  it('keeps whole numbers within bounds', () => {
    expect(integer(1, 4)('4')).to.equal(4)
    expect(() => integer(1, 4)('0')).to.throw(/from 1 to 4/)
    expect(() => integer(1, 4)('5')).to.throw(/from 1 to 4/)
    expect(integer(0)('9007199254740991')).to.equal(Number.MAX_SAFE_INTEGER)
    expect(() => integer(0)('9007199254740992')).to.throw()
  })

  for (const text of ['', '.', '-', '1,5', '0x1', 'NaN', 'Infinity', '1e9', '-0.1', '1 ']) {
    it(`refuses ${JSON.stringify(text)} as a number from 0 to 100`, () => {
      expect(() => decimal(0, 100)(text)).to.throw().with.property('code', invalid)
    })
  }

  it('reads numbers', () => {
    expect(decimal(0, 100)('0.7')).to.equal(0.7)
    expect(decimal(0, 100)('.5')).to.equal(0.5)
    expect(decimal(0, 100)('1e-3')).to.equal(0.001)
    expect(decimal(-100, 100)('-2')).to.equal(-2)
  })

  for (const text of ['', '0', '0GB', '-1GB', '1 XB', 'much', '1e9']) {
    it(`refuses ${JSON.stringify(text)} as a size`, () => {
      expect(() => size(text)).to.throw().with.property('code', invalid)
    })
  }

  it('reads sizes', () => {
    expect([size('900000'), size('8GB'), size('1.5 GiB')]).to.deep.equal([900_000, 8e9, 1.5 * 2 ** 30])
  })

  for (const text of ['', '0', '0s', 's', '-1s', '1h', '10 s', '999999999m']) {
    it(`refuses ${JSON.stringify(text)} as a time`, () => {
      expect(() => duration(text)).to.throw().with.property('code', invalid)
    })
  }

  it('reads times', () => {
    expect(duration('10')).to.equal(10_000)
    expect(duration('1.5s')).to.equal(1500)
    expect(duration('250ms')).to.equal(250)
    expect(duration('2m')).to.equal(120_000)
    expect([time('0'), time('0s'), time('2m')]).to.deep.equal([0, 0, 120_000])
    expect(() => time('-1')).to.throw().with.property('code', invalid)
  })

  it('collects lists', () => {
    expect(list('c, d,', list('a,b', undefined))).to.deep.equal(['a', 'b', 'c', 'd'])
    expect(repeated(', ', repeated('a', undefined))).to.deep.equal(['a', ', '])
    expect(() => repeated('', undefined)).to.throw().with.property('code', invalid)
  })

  for (const text of ['', '1,', '1,,2', '1,-2', '1 2', '1.0', '12345678901']) {
    it(`refuses ${JSON.stringify(text)} as ids`, () => {
      expect(() => idList(text)).to.throw().with.property('code', invalid)
    })
  }

  it('reads ids', () => {
    expect(idList('1, 2,30')).to.deep.equal([1, 2, 30])
  })
})
