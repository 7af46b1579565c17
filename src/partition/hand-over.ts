import { InvalidPlanOptionError } from './errors.ts'

export interface HandOverInit {
  /** that the session has computed */
  positions: number
  /** of the range, in the KV cache */
  keyValueBytesPerPosition: number
  /** of the hidden state that goes into the range */
  hiddenBytesPerPosition: number
  /** of the link over which both come */
  bytesPerSecond: number
  /** of the peer that takes over, for the range */
  prefillPositionsPerSecond: number
  /** positions after which recomputing can begin: what one step carries; default all of them, as in KVPR */
  chunkPositions?: number
}

export interface HandOver {
  /** `replay`: hidden state of all positions is sent and computed again; `transfer`: the KV cache is sent; `split`: both */
  method: 'replay' | 'transfer' | 'split'
  /** positions [0, split) are replayed, the others transferred */
  split: number
  predictedSeconds: number
  predictions: { replay: number, transfer: number, split: number }
}

/**
 * How a session's KV cache gets to another peer in the shortest time: the model
 * of KVPR (arXiv 2411.17089), with hidden state of the first l positions sent
 * first, and computed again while the KV cache of the others still arrives:
 *
 *   t(l) = max(l·H/B + l/P, l·H/B + (s − l)·K/B)
 *
 * Where H ≥ K, hidden state costs the link no less than the KV cache would, and
 * all is transferred. Otherwise the first term rises and the second falls, and
 * they meet at l* = s·K·P / (B + K·P).
 *
 * Where hidden state comes in steps of c positions, and l > c, computing goes
 * on while it arrives: the first term is then max(c·H/B + l/P, l·H/B + c/P),
 * and they meet at the lesser of (s·K − c·H)·P / (B + (K − H)·P) and
 * s − c·B / (K·P).
 *
 * @throws InvalidPlanOptionError
 */
export function chooseHandOver (init: HandOverInit): HandOver {
  check(init)
  const { positions } = init
  const meeting = meetingPosition(init)
  const around = [Math.floor(meeting), Math.ceil(meeting)].map(split => Math.min(positions, Math.max(0, split)))
  const [low, high] = around.map(split => handOverSeconds(init, split))
  const split = high < low ? around[1] : around[0]
  const [replay, transfer, best] = [positions, 0, split].map(l => handOverSeconds(init, l))
  return {
    method: split === 0 ? 'transfer' : split === positions ? 'replay' : 'split',
    split,
    predictedSeconds: best,
    predictions: { replay, transfer, split: best }
  }
}

/** Seconds of a hand-over that replays the first `split` positions and transfers the others. */
export function handOverSeconds (init: HandOverInit, split: number): number {
  const { positions, keyValueBytesPerPosition, hiddenBytesPerPosition, bytesPerSecond, prefillPositionsPerSecond, chunkPositions = positions } = init
  const arrived = (count: number) => count * hiddenBytesPerPosition / bytesPerSecond
  const computed = (count: number) => count / prefillPositionsPerSecond
  const chunk = Math.min(chunkPositions, split)
  return Math.max(
    arrived(chunk) + computed(split),
    arrived(split) + computed(chunk),
    arrived(split) + (positions - split) * keyValueBytesPerPosition / bytesPerSecond
  )
}

/** Where what rises with l meets what falls with it; 0 where nothing falls. */
function meetingPosition (init: HandOverInit): number {
  const { positions: s, keyValueBytesPerPosition: K, hiddenBytesPerPosition: H, bytesPerSecond: B, prefillPositionsPerSecond: P, chunkPositions: c = s } = init
  if (H >= K) return 0
  const inFirst = s * K * P / (B + K * P)
  if (inFirst <= c) return inFirst
  return Math.min((s * K - c * H) * P / (B + (K - H) * P), s - c * B / (K * P))
}

function check (init: HandOverInit): void {
  const { positions, chunkPositions = 1 } = init
  const invalid = (field: string, reason: string) => { throw new InvalidPlanOptionError(field, reason) }
  if (!(Number.isSafeInteger(positions) && positions >= 0)) invalid('positions', `${positions} is no whole number from 0 up`)
  if (!(Number.isSafeInteger(chunkPositions) && chunkPositions > 0)) invalid('chunkPositions', `${chunkPositions} is no whole number from 1 up`)
  for (const field of ['keyValueBytesPerPosition', 'hiddenBytesPerPosition', 'bytesPerSecond', 'prefillPositionsPerSecond'] as const) {
    if (!(init[field] > 0 && init[field] < Infinity)) invalid(field, `${init[field]} is no number above 0`)
  }
}
