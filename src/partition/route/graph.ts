import { hashToShare } from '../hash.ts'
import { HOP_TABLE_HOLDERS, ROUTE_SPREAD } from './constants.ts'
import { holderSpeeds } from './holder-speeds.ts'
import type { RouteHolder, RouteRequest } from './types.ts'

/**
 * The holders that may be used, as columns, and what it costs to use them.
 * Units count from the beginning of the span. Costs are seconds times weight,
 * and where load is to be spread times a number of the holder's peer in
 * [1, 1 + factor) that a seed decides: no route costs less so, and none more
 * than 1 + factor times as much, so that the cheapest so is within that factor
 * of the cheapest.
 */
export interface Graph {
  unitCount: number
  /** work of each unit of the span */
  work: Float64Array
  /** in an order that depends on nothing but the holders */
  holders: readonly RouteHolder[]
  /** which holders are of the same peer; a local one is of no peer but itself */
  owner: Int32Array
  from: Int32Array
  to: Int32Array
  secondsPerWork: Float64Array
  /** cost of a unit of work, and of a turn in the queue */
  perWork: Float64Array
  perTurn: Float64Array
  /** no hop to it costs less */
  leastHop: Float64Array
  /** cost of the hop between two holders; START and END are the ends of the span */
  hop: (from: number, to: number) => number
  /** what was asked of `hop` before, by (to, from), UNASKED where nothing was; undefined for too many holders */
  hops: Float64Array | undefined
}

export const START = -1
export const END = -2

export const UNASKED = -1

export function createGraph (request: RouteRequest): Graph {
  const { span, unitWork, avoid } = request
  const refused = new Set([...avoid?.peers ?? [], ...[request.before, request.after].filter(peer => peer !== undefined)])
  const speeds = new Map(holderSpeeds(request.holders).map((seconds, index) => [request.holders[index], seconds]))
  const holders = request.holders
    .filter(({ peer, range, local }) => (local === true || !refused.has(peer)) && Math.max(range.from, span.from) < Math.min(range.to, span.to))
    .toSorted((a, b) => compare(a.peer, b.peer) || a.range.from - b.range.from || a.range.to - b.range.to)
  const secondsPerWork = Float64Array.from(holders, holder => speeds.get(holder)!)
  const factors = costFactors(request, holders)
  return {
    unitCount: span.to - span.from,
    work: Float64Array.from(unitWork.slice(span.from, span.to)),
    holders,
    owner: Int32Array.from(owners(holders)),
    from: Int32Array.from(holders, ({ range }) => Math.max(range.from, span.from) - span.from),
    to: Int32Array.from(holders, ({ range }) => Math.min(range.to, span.to) - span.from),
    secondsPerWork,
    perWork: factors.map((factor, index) => factor * secondsPerWork[index]),
    perTurn: factors.map((factor, index) => factor * (holders[index].queueSeconds ?? 0)),
    leastHop: factors.map((factor, index) => factor * (request.leastHopSeconds?.(place(holders[index])) ?? 0)),
    hop: hopCosts(request, holders, factors),
    // neighbours are looked at again at every unit, and in every search
    hops: holders.length > HOP_TABLE_HOLDERS ? undefined : new Float64Array(holders.length ** 2).fill(UNASKED)
  }
}

/** A local engine is where the client is. */
export function place ({ peer, local }: RouteHolder): string | undefined {
  return local === true ? undefined : peer
}

function compare (a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}

function costFactors ({ spread }: RouteRequest, holders: readonly RouteHolder[]): Float64Array {
  const { seed, factor = ROUTE_SPREAD } = spread ?? { seed: '', factor: 0 }
  return Float64Array.from(holders, ({ peer, weight = 1 }) => weight * (factor === 0 ? 1 : 1 + factor * hashToShare(`${seed} ${peer}`)))
}

function owners (holders: readonly RouteHolder[]): number[] {
  const numbers = new Map<string, number>()
  return holders.map(({ peer, local }, index) => {
    if (local === true) return holders.length + index
    const number = numbers.get(peer) ?? index
    numbers.set(peer, number)
    return number
  })
}

function hopCosts ({ before, after, hopSeconds, avoid }: RouteRequest, holders: readonly RouteHolder[], factors: Float64Array): Graph['hop'] {
  const apart = new Map<string, Set<string>>()
  for (const [one, other] of avoid?.pairs ?? []) {
    for (const [a, b] of [[one, other], [other, one]]) apart.set(a, (apart.get(a) ?? new Set()).add(b))
  }
  const none = apart.size === 0
  return (from, to) => {
    const a = from === START ? before : place(holders[from])
    const b = to === END ? after : place(holders[to])
    if (!none && a !== undefined && b !== undefined && apart.get(a)?.has(b) === true) return Infinity
    return hopSeconds(a, b) * (to === END ? 1 : factors[to])
  }
}
