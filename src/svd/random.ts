import { log64 } from '../engine/index.ts'

/** Evenly spread numbers in (-1, 1), the same on every machine: Marsaglia's xorshift32 (J. Stat. Softw. 8(14), 2003) after a scrambled seed. */
export function uniformSource (seed: number): () => number {
  // a multiplication by an odd number scatters seeds that differ in a few low bits; 0 is the one state that never leaves
  let state = (Math.imul(seed ^ 0x9e3779b9, 0x85ebca6b) ^ (seed >>> 15)) | 0
  if (state === 0) state = 1
  const next = () => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return state
  }
  for (let i = 0; i < 16; i++) next()
  return () => (next() + 0.5) / 0x80000000
}

/** Standard normal numbers by the polar method (Marsaglia and Bray, 1964), with logarithms that are the same on every machine. */
export function gaussianSource (seed: number): () => number {
  const uniform = uniformSource(seed)
  let spare: number | undefined
  return () => {
    if (spare !== undefined) {
      const value = spare
      spare = undefined
      return value
    }
    for (;;) {
      const x = uniform()
      const y = uniform()
      const square = x * x + y * y
      if (square >= 1 || square === 0) continue
      const factor = Math.sqrt(-2 * log64(square) / square)
      spare = y * factor
      return x * factor
    }
  }
}
