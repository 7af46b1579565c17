import { DIAL_BACKOFF_MILLISECONDS, MAXIMUM_DIAL_BACKOFF_MILLISECONDS } from './constants.ts'

/** A peer that could be dialled. */
export interface DialCandidate {
  peerId: string
  addresses: string[]
}

/** How attempts to reach a peer went. */
export interface DialHistory {
  failures: number
  /** of the last failure, on the clock of `now` */
  at: number
}

export interface DialChoice {
  /** in groups, the best first; within a group the order is drawn */
  groups: ReadonlyArray<readonly DialCandidate[]>
  /** peers that are connected, being dialled, or ourselves */
  taken: ReadonlySet<string>
  history: (peerId: string) => DialHistory | undefined
  /** how many more are wanted */
  wanted: number
  now: number
  /** 0 ≤ x < 1 */
  random: () => number
}

/**
 * Which peers to dial now. A random choice, so that a swarm whose members all
 * come from one address spreads its connections evenly; peers that failed are
 * left alone for a while that doubles.
 */
export function chooseDials ({ groups, taken, history, wanted, now, random }: DialChoice): DialCandidate[] {
  const chosen = new Map<string, DialCandidate>()
  for (const group of groups) {
    const ready = group.filter(({ peerId, addresses }) => addresses.length > 0 && !taken.has(peerId) && !chosen.has(peerId) && now >= nextDial(history(peerId)))
    for (const candidate of shuffled(ready, random)) {
      if (chosen.size >= wanted) return [...chosen.values()]
      chosen.set(candidate.peerId, candidate)
    }
  }
  return [...chosen.values()]
}

/** When a peer may be tried again. */
export function nextDial (history: DialHistory | undefined): number {
  if (history === undefined || history.failures === 0) return -Infinity
  return history.at + Math.min(MAXIMUM_DIAL_BACKOFF_MILLISECONDS, DIAL_BACKOFF_MILLISECONDS * 2 ** (history.failures - 1))
}

function shuffled<Value> (values: readonly Value[], random: () => number): Value[] {
  const order = [...values]
  for (let last = order.length - 1; last > 0; last--) {
    const other = Math.floor(random() * (last + 1))
    ;[order[last], order[other]] = [order[other], order[last]]
  }
  return order
}
