/**
 * Hash table from a pair of ids to its place in a list of pairs. Open
 * addressing over typed arrays: a Map with the pair packed into a double takes
 * three times as long to fill, and vocabularies have up to half a million pairs.
 */

export interface PairTable {
  /** place of the pair, or -1 */
  find (left: number, right: number): number
}

/** @param pairs left and right of pair i at 2i and 2i + 1; the first of equal pairs counts */
export function createPairTable (pairs: readonly number[]): PairTable {
  const count = pairs.length / 2
  // At most half full, so that a probe ends soon.
  let bits = 4
  while (2 ** bits < 2 * count) bits++
  const size = 2 ** bits
  const mask = size - 1
  // Multiply-shift hashing (Dietzfelbinger et al. 1997). Multipliers are drawn
  // anew for each table, so that no file can be made whose pairs all collide.
  const leftFactor = randomOdd()
  const rightFactor = randomOdd()
  const places = new Int32Array(size).fill(EMPTY)

  const slotOf = (left: number, right: number): number => {
    let slot = (Math.imul(left, leftFactor) + Math.imul(right, rightFactor)) >>> (32 - bits)
    for (;;) {
      const place = places[slot]
      if (place === EMPTY || (pairs[2 * place] === left && pairs[2 * place + 1] === right)) return slot
      slot = (slot + 1) & mask
    }
  }

  for (let place = 0; place < count; place++) {
    const slot = slotOf(pairs[2 * place], pairs[2 * place + 1])
    if (places[slot] === EMPTY) places[slot] = place
  }
  return { find: (left, right) => places[slotOf(left, right)] }
}

const EMPTY = -1

function randomOdd (): number {
  return Math.floor(Math.random() * 2 ** 31) * 2 + 1
}
