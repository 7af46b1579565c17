/**
 * Elementary functions in binary64 whose bits are the same everywhere: only
 * `+ − × ÷ √`, comparisons and bit operations, in the order written here.
 * `Math.exp`, `Math.log`, `Math.sin`, `Math.cos` and `Math.pow` may differ
 * between engines and versions, so nothing that becomes a result may use them.
 *
 * The algorithms and coefficients are described in docs/numerics.md, section 9,
 * and are part of the numerics profile. Minimax coefficients: fdlibm (Sun
 * Microsystems, 1993); exact products: Dekker 1971; exact sums: Knuth.
 */

const float64 = new Float64Array(1)
const bits = new Uint32Array(float64.buffer)
// typed arrays use the byte order of the host
const highWord = (function () { float64[0] = 1; return bits[1] === 0x3ff00000 ? 1 : 0 })()
const lowWord = 1 - highWord

/** 1.5 · 2⁵²: adding and subtracting it rounds to an integer, ties to even, for |x| < 2⁵¹. */
const ROUND = 6755399441055744

// ln 2 = LN2_HIGH + LN2_LOW; the low 32 bits of LN2_HIGH are zero, so n · LN2_HIGH is exact for |n| < 2²⁰
const LN2_HIGH = 6.93147180369123816490e-1
const LN2_LOW = 1.90821492927058770002e-10
const INVERSE_LN2 = 1.44269504088896338700

// π/2 = PIO2_A + PIO2_B + PIO2_C; A and B have 33 bits, so n · A and n · B are exact for |n| < 2²⁰
const PIO2_A = 1.57079632673412561417
const PIO2_B = 6.07710050630396597660e-11
const PIO2_C = 2.02226624879595063154e-21
const TWO_OVER_PI = 6.36619772367581382433e-1

/** Angles from here on are refused (NaN); they are accurate up to 2²⁰ · π/2. */
const ANGLE_LIMIT = 2147483648

/** 2ⁿ for −1022 ≤ n ≤ 1023 */
function powerOfTwo (n: number): number {
  bits[highWord] = (n + 1023) << 20
  bits[lowWord] = 0
  return float64[0]
}

/** y × 2ⁿ for 0.5 ≤ y ≤ 2, rounded once */
function scale (y: number, n: number): number {
  if (n > 1023) return y * 2 * powerOfTwo(n - 1)
  // the first product is normal and exact, so only the second rounds
  if (n < -1021) return y * powerOfTwo(n + 1000) * powerOfTwo(-1000)
  return y * powerOfTwo(n)
}

/** e^x. Relative error below 1.5e-16. */
export function exp64 (x: number): number {
  if (x !== x) return NaN // eslint-disable-line no-self-compare
  if (x > 709.782712893384) return Infinity
  if (x < -745.1332191019412) return 0
  const n = (x * INVERSE_LN2 + ROUND) - ROUND
  const high = x - n * LN2_HIGH
  const low = n * LN2_LOW
  const r = high - low
  const t = r * r
  const c = r - t * (1.66666666666666019037e-1 + t * (-2.77777777770155933842e-3 + t * (6.61375632143793436117e-5 +
    t * (-1.65339022054652515390e-6 + t * 4.13813679705723846039e-8))))
  return scale(1 - ((low - (r * c) / (2 - c)) - high), n)
}

// x = 2^logExponent × (1 + logFraction), with √½ ≤ 1 + logFraction < √2; set by `split`
let logExponent = 0
let logFraction = 0

/** for finite x > 0 */
function split (x: number): void {
  let n = 0
  if (x < 2.2250738585072014e-308) {
    x *= 18014398509481984
    n = -54
  }
  float64[0] = x
  const high = bits[highWord]
  n += (high >>> 20) - 1023
  // mantissas from 0x6a09e (√2) upwards are halved
  const mantissa = high & 0xfffff
  const up = mantissa >= 0x6a09e ? 1 : 0
  bits[highWord] = mantissa | (up === 1 ? 0x3fe00000 : 0x3ff00000)
  logExponent = n + up
  logFraction = float64[0] - 1
}

/** Natural logarithm. Relative error below 1.5e-16. */
export function log64 (x: number): number {
  if (!(x > 0)) return x === 0 ? -Infinity : NaN
  if (x === Infinity) return Infinity
  split(x)
  const n = logExponent
  const f = logFraction
  const s = f / (2 + f)
  const z = s * s
  const w = z * z
  const even = w * (3.999999999940941908e-1 + w * (2.222219843214978396e-1 + w * 1.531383769920937332e-1))
  const odd = z * (6.666666666666735130e-1 + w * (2.857142874366239149e-1 + w * (1.818357216161805012e-1 +
    w * 1.479819860511658591e-1)))
  const half = (0.5 * f) * f
  return n * LN2_HIGH - ((half - (s * (half + (even + odd)) + n * LN2_LOW)) - f)
}

// x − quadrant · π/2 = remainderHigh + remainderLow, |remainderHigh| ≤ π/4; set by `reduce`
let quadrant = 0
let remainderHigh = 0
let remainderLow = 0

/** for |x| < ANGLE_LIMIT (Cody-Waite in three parts) */
function reduce (x: number): void {
  const n = (x * TWO_OVER_PI + ROUND) - ROUND
  const a = x - n * PIO2_A
  const b = n * PIO2_B
  const r = a - b
  // a − b − r, exactly (Knuth)
  const back = r - a
  const rest = (a - (r - back)) - (b + back)
  const tail = n * PIO2_C - rest
  remainderHigh = r - tail
  remainderLow = (r - remainderHigh) - tail
  quadrant = n & 3
}

function sinKernel (x: number, low: number): number {
  const z = x * x
  const v = z * x
  const r = 8.33333333332248946124e-3 + z * (-1.98412698298579493134e-4 + z * (2.75573137070700676789e-6 +
    z * (-2.50507602534068634195e-8 + z * 1.58969099521155010221e-10)))
  return x - ((z * (0.5 * low - v * r) - low) - v * -1.66666666666666324348e-1)
}

function cosKernel (x: number, low: number): number {
  const z = x * x
  const r = z * (4.16666666666666019037e-2 + z * (-1.38888888888741095749e-3 + z * (2.48015872894767294178e-5 +
    z * (-2.75573143513906633035e-7 + z * (2.08757232129817482790e-9 + z * -1.13596475577881948265e-11)))))
  const half = 0.5 * z
  const w = 1 - half
  return w + (((1 - w) - half) + (z * r - x * low))
}

/** Sine of x radians, |x| < 2³¹ (NaN beyond). Relative error below 1.5e-16 up to 2²⁰ · π/2. */
export function sin64 (x: number): number {
  if (!(x > -ANGLE_LIMIT && x < ANGLE_LIMIT)) return NaN
  if (x === 0) return x
  reduce(x)
  const value = (quadrant & 1) === 0 ? sinKernel(remainderHigh, remainderLow) : cosKernel(remainderHigh, remainderLow)
  return quadrant >= 2 ? -value : value
}

/** Cosine of x radians, |x| < 2³¹ (NaN beyond). Relative error below 1.5e-16 up to 2²⁰ · π/2. */
export function cos64 (x: number): number {
  if (!(x > -ANGLE_LIMIT && x < ANGLE_LIMIT)) return NaN
  reduce(x)
  const value = (quadrant & 1) === 0 ? cosKernel(remainderHigh, remainderLow) : sinKernel(remainderHigh, remainderLow)
  return quadrant === 1 || quadrant === 2 ? -value : value
}

/** 2²⁷ + 1: splits a binary64 into two halves of 26 bits (Dekker). */
const SPLITTER = 134217729

// the rounding error of the last `product`
let productLow = 0

/** a × b, leaving a × b − result, exact, in `productLow`; |a|, |b| < 2⁹⁹⁶ */
function product (a: number, b: number): number {
  const p = a * b
  const ta = SPLITTER * a
  const ah = ta - (ta - a)
  const al = a - ah
  const tb = SPLITTER * b
  const bh = tb - (tb - b)
  const bl = b - bh
  productLow = ((ah * bh - p) + ah * bl + al * bh) + al * bl
  return p
}

/** x^y for finite x > 0, x ≠ 1, and finite y ≠ 0: exp(y · log x) with the logarithm in two words */
function positivePower (x: number, y: number): number {
  // beyond this |y · log x| is above 745 for every x ≠ 1
  if (y > 1e19 || y < -1e19) return (x > 1) === (y > 0) ? Infinity : 0
  split(x)
  const n = logExponent
  const f = logFraction
  // s = f ÷ (2 + f) in two words: divisor d + dl exactly, quotient s, remainder by an exact product
  const d = 2 + f
  const dl = f - (d - 2)
  const s = f / d
  const sd = product(s, d)
  const sl = (((f - sd) - productLow) - s * dl) / d
  // log(1 + f) = 2s + 2s·z·(1/3 + z/5 + …), z = s²; the series needs no second word
  const z = s * s
  const series = 2 * s * z * (1 / 3 + z * (1 / 5 + z * (1 / 7 + z * (1 / 9 + z * (1 / 11 + z * (1 / 13 +
    z * (1 / 15 + z * (1 / 17 + z * (1 / 19 + z * (1 / 21))))))))))
  // n · LN2_HIGH is exact; it is 0 or larger than 2s
  const a = n * LN2_HIGH
  const b = 2 * s
  const sum = a + b
  const high0 = a === 0 ? 0 : b - (sum - a)
  const low0 = high0 + (2 * sl + n * LN2_LOW + series)
  const high = sum + low0
  const low = low0 - (high - sum)
  const p = product(y, high)
  const q = productLow + y * low
  if (p > 710) return Infinity
  if (p < -746) return 0
  const e = exp64(p + q)
  // what p + q lost: e^rest = 1 + rest, as rest is below 2⁻⁴⁰
  const rest = (p - (p + q)) + q
  return e === Infinity ? e : e + e * rest
}

/** x^y; special cases as `Math.pow`. Relative error below 1e-15 where the result is a normal number. */
export function pow64 (x: number, y: number): number {
  if (y === 0) return 1
  if (x !== x || y !== y) return NaN // eslint-disable-line no-self-compare
  const size = x < 0 ? -x : x
  if (y === Infinity || y === -Infinity) {
    if (size === 1) return NaN
    return (size > 1) === (y > 0) ? Infinity : 0
  }
  const whole = y % 1 === 0
  const odd = whole && y % 2 !== 0
  const negative = odd && (x < 0 || (x === 0 && 1 / x < 0))
  let value
  if (size === 0) value = y > 0 ? 0 : Infinity
  else if (size === Infinity) value = y > 0 ? Infinity : 0
  else if (x < 0 && !whole) return NaN
  else if (size === 1) value = 1
  else if (y === 1) value = size
  else value = positivePower(size, y)
  return negative ? -value : value
}
