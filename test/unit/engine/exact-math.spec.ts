import { createHash } from 'node:crypto'
import { expect } from 'chai'
import fc from 'fast-check'
import { cos64, exp64, log64, pow64, sin64 } from '../../../src/engine/exact-math.ts'

// An independent yardstick: fixed point with 260 binary digits, by Taylor series on BigInt.
const DIGITS = 260n
const ONE = 1n << DIGITS
const times = (a: bigint, b: bigint) => (a * b) >> DIGITS

function toFixed (x: number): bigint {
  const view = new DataView(new ArrayBuffer(8))
  view.setFloat64(0, x)
  const raw = view.getBigUint64(0)
  const exponent = Number((raw >> 52n) & 0x7ffn)
  const mantissa = (raw & 0xfffffffffffffn) | (exponent === 0 ? 0n : 1n << 52n)
  const shift = BigInt(Math.max(exponent, 1) - 1075) + DIGITS
  const size = shift >= 0n ? mantissa << shift : mantissa >> -shift
  return raw >> 63n === 0n ? size : -size
}

function expSeries (x: bigint): bigint {
  // halve 16 times, Taylor, square 16 times
  const small = x >> 16n
  let term = ONE
  let sum = ONE
  for (let k = 1n; term !== 0n && k < 60n; k++) {
    term = times(term, small) / k
    sum += term
  }
  for (let k = 0; k < 16; k++) sum = times(sum, sum)
  return sum
}

function atanInverse (n: bigint): bigint {
  let term = ONE / n
  let sum = term
  for (let k = 1n; term !== 0n; k++) {
    term /= -(n * n)
    sum += term / (2n * k + 1n)
  }
  return sum
}
const PI = 4n * (4n * atanInverse(5n) - atanInverse(239n))

function sinCosSeries (x: bigint): { sin: bigint, cos: bigint } {
  const turn = 2n * PI
  let r = x % turn
  if (r < 0n) r += turn
  let term = ONE
  let sin = 0n
  let cos = 0n
  for (let k = 0n; term !== 0n || k < 8n; k++) {
    const sign = (k >> 1n) % 2n === 0n ? term : -term
    if (k % 2n === 0n) cos += sign
    else sin += sign
    term = times(term, r) / (k + 1n)
  }
  return { sin, cos }
}

/** |value − exact| ÷ |exact| */
function relativeError (value: number, exact: bigint): number {
  const difference = toFixed(value) - exact
  if (exact === 0n) return value === 0 ? 0 : Infinity
  return Math.abs(Number((difference << 80n) / exact)) / 2 ** 80
}

const BOUND = 1.5e-16
const between = (min: number, max: number) => fc.double({ min, max, noNaN: true })

describe('exact-math', () => {
  it('the yardstick knows e and π', () => {
    expect(Number(expSeries(ONE) >> (DIGITS - 60n)) / 2 ** 60).to.equal(Math.E)
    expect(Number(PI >> (DIGITS - 60n)) / 2 ** 60).to.equal(Math.PI)
  })

  it('exp64 is within 1.5e-16 of the exact value', () => {
    fc.assert(fc.property(between(-60, 60), x => relativeError(exp64(x), expSeries(toFixed(x))) < BOUND), { numRuns: 2000, seed: 1 })
  })

  it('log64 inverts the exact exponential', () => {
    // log is right if |log64(x) − log x| is small, and log x − y = log(x ÷ e^y) ≈ (x − e^y) ÷ e^y
    fc.assert(fc.property(between(1e-20, 1e20), x => {
      const y = log64(x)
      const exact = expSeries(toFixed(y))
      const error = Number(((toFixed(x) - exact) << 100n) / exact) / 2 ** 100
      return Math.abs(error) <= BOUND * Math.abs(y)
    }), { numRuns: 1000, seed: 2 })
  })

  it('sin64 and cos64 are within 1.5e-16 of the exact values up to 2^20 · π/2', () => {
    fc.assert(fc.property(between(-1647099, 1647099).filter(x => Math.abs(x) > 2 ** -64), x => {
      const exact = sinCosSeries(toFixed(x))
      return relativeError(sin64(x), exact.sin) < BOUND && relativeError(cos64(x), exact.cos) < BOUND
    }), { numRuns: 1000, seed: 3 })
  })

  it('sin64 and cos64 stay exact beside multiples of π/2', () => {
    for (let n = 1; n <= 1048576; n = Math.ceil(n * 1.013)) {
      const x = n * (Math.PI / 2)
      const exact = sinCosSeries(toFixed(x))
      expect(relativeError(sin64(x), exact.sin), `sin ${n}`).below(BOUND)
      expect(relativeError(cos64(x), exact.cos), `cos ${n}`).below(BOUND)
    }
  })

  it('pow64 is within 1e-15 of the exact value', () => {
    // x^n by repeated exact multiplication
    fc.assert(fc.property(between(0.5, 2), fc.integer({ min: 1, max: 60 }), (x, n) => {
      let exact = ONE
      for (let i = 0; i < n; i++) exact = times(exact, toFixed(x))
      return relativeError(pow64(x, n), exact) < 1e-15 && relativeError(pow64(x, -n), ONE * ONE / exact) < 1e-15
    }), { numRuns: 1000, seed: 4 })
  })

  it('agrees with Math within two units in the last place over the whole range', () => {
    const close = (a: number, b: number) => a === b || (Number.isNaN(a) && Number.isNaN(b)) || Math.abs(a - b) <= 4.5e-16 * Math.abs(b) || Math.abs(a - b) <= 5e-324
    const any = fc.double()
    fc.assert(fc.property(any, x => close(exp64(x), Math.exp(x))), { numRuns: 5000, seed: 5 })
    fc.assert(fc.property(between(-750, 712), x => close(exp64(x), Math.exp(x))), { numRuns: 5000, seed: 6 })
    fc.assert(fc.property(any, x => close(log64(x), Math.log(x))), { numRuns: 5000, seed: 7 })
    fc.assert(fc.property(between(0, 1e7), x => close(sin64(x), Math.sin(x)) && close(cos64(x), Math.cos(x))), { numRuns: 5000, seed: 8 })
    fc.assert(fc.property(between(0, 1e6), between(-60, 60), (x, y) => {
      const expected = Math.pow(x, y)
      const got = pow64(x, y)
      return got === expected || Math.abs(got - expected) <= 2e-15 * expected || expected < 1e-300
    }), { numRuns: 5000, seed: 9 })
    fc.assert(fc.property(between(0.9, 1.1), between(-7000, 7000), (x, y) => {
      const expected = Math.pow(x, y)
      const got = pow64(x, y)
      return got === expected || Math.abs(got - expected) <= 2e-15 * expected || expected < 1e-300
    }), { numRuns: 5000, seed: 10 })
  })

  it('answers the special cases as Math does', () => {
    const specials = [0, -0, 1, -1, 2, -2, 0.5, -0.5, 3, -3, 1.5, -1.5, Infinity, -Infinity, NaN, 5e-324, -5e-324, 1.7976931348623157e308, 2 ** 53 + 1, 1e300, -1e300]
    for (const x of specials) {
      expect(exp64(x), `exp ${x}`).to.satisfy((v: number) => Object.is(v, Math.exp(x)) || Math.abs(v - Math.exp(x)) < 1e-15 * v)
      expect(log64(x), `log ${x}`).to.satisfy((v: number) => Object.is(v, Math.log(x)) || Math.abs(v - Math.log(x)) < 1e-15 * Math.abs(v))
      for (const y of specials) {
        const expected = Math.pow(x, y)
        expect(pow64(x, y), `pow ${x} ${y}`).to.satisfy((v: number) => Object.is(v, expected) || Math.abs(v - expected) < 1e-15 * Math.abs(expected))
      }
    }
    expect(Object.is(sin64(-0), -0)).to.equal(true)
    expect(cos64(0)).to.equal(1)
    for (const x of [NaN, Infinity, -Infinity, 2 ** 31, -(2 ** 31)]) {
      expect(sin64(x)).to.satisfy(Number.isNaN)
      expect(cos64(x)).to.satisfy(Number.isNaN)
    }
    expect(exp64(-745.1332191019411)).to.equal(5e-324)
    expect(exp64(709.782712893384)).to.equal(1.7976931348622732e308)
    expect(exp64(709.7827128933841)).to.equal(Infinity)
  })

  it('gives the bits of the profile', () => {
    // binary64 results, little-endian, of arguments that are exact everywhere
    const hash = createHash('sha256')
    const add = (value: number) => {
      const view = new DataView(new ArrayBuffer(8))
      view.setFloat64(0, value, true)
      hash.update(new Uint8Array(view.buffer))
    }
    for (let i = -3000; i <= 3000; i++) {
      add(exp64(i / 4))
      add(exp64(i / 1024))
      add(sin64(i * 547.125))
      add(cos64(i * 547.125))
      add(sin64(i / 512))
      add(cos64(i / 512))
      add(pow64(1 + i / 4096, 12.75))
      add(pow64(1 + i / 4096, -731))
      add(log64(i + 3001))
      add(log64((i + 3001) / 4096))
    }
    expect(hash.digest('hex')).to.equal('bddd0c08a79d5e476bccf4833467182d54c8c3e576d0776909e0d43f95582d96')
  })
})
