/**
 * Best-first joining of neighbours, the core of both byte-pair encoding and
 * SentencePiece BPE. O(n log n) for n symbols: a binary heap of candidate
 * pairs and a linked list of symbols.
 */

/** Which neighbours may be joined. */
export interface PairRules {
  /** rule that joins two symbols, or -1 */
  find (left: number, right: number): number
  /** order of a rule, an integer in [0, 2^21): lower goes first */
  priority (rule: number): number
  /** symbol that a rule makes */
  result (rule: number): number
}

/** Positions are below 2^31, so priority * POSITIONS + position is exact in a double. */
const POSITIONS = 2 ** 31

/**
 * Joins neighbours until no rule applies, lowest priority first and leftmost
 * among equals. `symbols` is overwritten.
 */
export function mergePairs (symbols: number[], rules: PairRules): number[] {
  const length = symbols.length
  if (length < 2) return symbols
  const next = new Int32Array(length)
  const previous = new Int32Array(length)
  const heap: number[] = []
  const offer = (left: number, right: number): void => {
    const rule = rules.find(symbols[left], symbols[right])
    if (rule >= 0) push(heap, rules.priority(rule) * POSITIONS + left)
  }

  for (let i = 0; i < length; i++) {
    previous[i] = i - 1
    next[i] = i + 1 < length ? i + 1 : -1
  }
  for (let i = 0; i + 1 < length; i++) offer(i, i + 1)

  const gone = -1
  while (heap.length > 0) {
    const key = pop(heap)
    const left = key % POSITIONS
    const right = next[left]
    if (symbols[left] === gone || right < 0) continue
    // The pair may have changed since it was offered. If a rule of the same
    // priority applies to it now, it is still the best one there is.
    const rule = rules.find(symbols[left], symbols[right])
    if (rule < 0 || rules.priority(rule) !== (key - left) / POSITIONS) continue
    symbols[left] = rules.result(rule)
    symbols[right] = gone
    const after = next[right]
    next[left] = after
    if (after >= 0) {
      previous[after] = left
      offer(left, after)
    }
    if (previous[left] >= 0) offer(previous[left], left)
  }

  let count = 0
  for (let i = 0; i >= 0; i = next[i]) symbols[count++] = symbols[i]
  symbols.length = count
  return symbols
}

function push (heap: number[], key: number): void {
  let at = heap.length
  heap.push(key)
  while (at > 0) {
    const parent = (at - 1) >> 1
    if (heap[parent] <= key) break
    heap[at] = heap[parent]
    at = parent
  }
  heap[at] = key
}

function pop (heap: number[]): number {
  const top = heap[0]
  const last = heap.pop() as number
  const length = heap.length
  if (length === 0) return top
  let at = 0
  for (;;) {
    let child = 2 * at + 1
    if (child >= length) break
    if (child + 1 < length && heap[child + 1] < heap[child]) child++
    if (heap[child] >= last) break
    heap[at] = heap[child]
    at = child
  }
  heap[at] = last
  return top
}
