/** Generator of integers 0…255 that is the same everywhere (linear congruential, top byte). */
export function byteGenerator (seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return state >>> 24
  }
}

export function randomBytes (length: number, seed: number): Uint8Array {
  return Uint8Array.from({ length }, byteGenerator(seed))
}

/** Generator of integers 0…below-1. */
export function integerGenerator (seed: number): (below: number) => number {
  const byte = byteGenerator(seed)
  return below => ((byte() << 24 | byte() << 16 | byte() << 8 | byte()) >>> 0) % below
}
