import { MAX_QL_STEPS } from '../constants.ts'
import { DecompositionError } from '../errors.ts'

/**
 * All eigenvalues of a symmetric tridiagonal matrix, falling, each within some
 * rounding errors of the largest. Implicit QL with Wilkinson's shift (Bowdler,
 * Martin, Reinsch, Wilkinson, Numer. Math. 11, 1968).
 *
 * @param offDiagonal element i couples i - 1 and i
 * @throws DecompositionError where it does not converge, which values that are not finite bring about
 */
export function tridiagonalValues (diagonal: Float64Array, offDiagonal: Float64Array): Float64Array {
  const size = diagonal.length
  const d = diagonal.slice()
  const e = new Float64Array(size)
  e.set(offDiagonal.subarray(1))
  const negligible = Number.EPSILON * tridiagonalNorm(diagonal, offDiagonal)
  for (let low = 0; low < size; low++) {
    for (let step = 0; ; step++) {
      let high = low
      while (high < size - 1 && !(Math.abs(e[high]) <= negligible)) high++
      if (high === low) break
      if (step === MAX_QL_STEPS) throw new DecompositionError(`eigenvalue ${low} of ${size} did not converge`)
      sweep(d, e, low, high)
    }
  }
  return d.sort().reverse()
}

/** One step of QL on rows low … high; drives e[low] towards zero. */
function sweep (d: Float64Array, e: Float64Array, low: number, high: number): void {
  const slope = (d[low + 1] - d[low]) / (2 * e[low])
  const root = Math.sqrt(slope * slope + 1)
  let bulge = d[high] - d[low] + e[low] / (slope + (slope < 0 ? -root : root))
  let sine = 1
  let cosine = 1
  let moved = 0
  for (let i = high - 1; i >= low; i--) {
    const f = sine * e[i]
    const b = cosine * e[i]
    const radius = Math.sqrt(f * f + bulge * bulge)
    e[i + 1] = radius
    if (radius === 0) {
      // the matrix falls apart here
      d[i + 1] -= moved
      e[high] = 0
      return
    }
    sine = f / radius
    cosine = bulge / radius
    const g = d[i + 1] - moved
    const r = (d[i] - g) * sine + 2 * cosine * b
    moved = sine * r
    d[i + 1] = g + moved
    bulge = cosine * r - b
  }
  d[low] -= moved
  e[low] = bulge
  e[high] = 0
}

/** The largest sum of sizes in a row: a bound of the size of every eigenvalue. */
export function tridiagonalNorm (diagonal: Float64Array, offDiagonal: Float64Array): number {
  let norm = 0
  for (let i = 0; i < diagonal.length; i++) {
    const next = i + 1 < diagonal.length ? Math.abs(offDiagonal[i + 1]) : 0
    const sum = Math.abs(diagonal[i]) + Math.abs(offDiagonal[i]) + next
    if (!(sum <= norm)) norm = sum
  }
  return norm
}
