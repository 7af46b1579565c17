/** Ids of the `count` largest logits, largest first; equal logits: the lowest id first. */
export function bestLogits (logits: Float32Array, count: number): Uint32Array {
  if (count === 1) {
    let best = 0
    for (let id = 1; id < logits.length; id++) {
      if (logits[id] > logits[best]) best = id
    }
    return Uint32Array.of(best)
  }
  const ids = Uint32Array.from(logits, (_, id) => id)
  ids.sort((a, b) => logits[b] - logits[a] || a - b)
  return ids.slice(0, count)
}
