/** Solves (T - shift)·x = b again and again for one tridiagonal T. */
export interface TridiagonalSolver {
  /** Factorises T - shift. */
  shift (shift: number): void
  /** Replaces b by x. */
  solve (b: Float64Array): void
}

/**
 * Gaussian elimination with row exchanges. A pivot of zero becomes a rounding
 * error of T: for an eigenvalue as the shift that is what inverse iteration
 * wants.
 *
 * @param norm of T, for the size of a rounding error
 */
export function createTridiagonalSolver (diagonal: Float64Array, offDiagonal: Float64Array, norm: number): TridiagonalSolver {
  const size = diagonal.length
  const smallest = Number.EPSILON * (norm > 0 ? norm : 1)
  // row i of the upper factor: pivot, and the two elements after it
  const pivot = new Float64Array(size)
  const first = new Float64Array(size)
  const second = new Float64Array(size)
  const multiplier = new Float64Array(size)
  const exchanged = new Uint8Array(size)
  return {
    shift (shift) {
      let head = diagonal[0] - shift
      let next = size > 1 ? offDiagonal[1] : 0
      for (let i = 0; i + 1 < size; i++) {
        const below = offDiagonal[i + 1]
        const belowNext = diagonal[i + 1] - shift
        const belowSecond = i + 2 < size ? offDiagonal[i + 2] : 0
        if (Math.abs(below) > Math.abs(head)) {
          exchanged[i] = 1
          pivot[i] = below
          first[i] = belowNext
          second[i] = belowSecond
          multiplier[i] = head / below
          head = next - multiplier[i] * belowNext
          next = -multiplier[i] * belowSecond
        } else {
          exchanged[i] = 0
          pivot[i] = Math.abs(head) < smallest ? smallest : head
          first[i] = next
          second[i] = 0
          multiplier[i] = below / pivot[i]
          head = belowNext - multiplier[i] * next
          next = belowSecond
        }
      }
      pivot[size - 1] = Math.abs(head) < smallest ? smallest : head
      first[size - 1] = 0
      second[size - 1] = 0
    },

    solve (b) {
      for (let i = 0; i + 1 < size; i++) {
        if (exchanged[i] === 1) {
          const value = b[i]
          b[i] = b[i + 1]
          b[i + 1] = value - multiplier[i] * b[i]
        } else {
          b[i + 1] -= multiplier[i] * b[i]
        }
      }
      for (let i = size - 1; i >= 0; i--) {
        let value = b[i]
        if (i + 1 < size) value -= first[i] * b[i + 1]
        if (i + 2 < size) value -= second[i] * b[i + 2]
        b[i] = value / pivot[i]
      }
    }
  }
}
