import { FIRST_SOURCES } from './constants.ts'
import { END, START, UNASKED } from './graph.ts'
import type { Graph } from './graph.ts'

/** What a search may use: of each holder the units [from, to), and of each unit only its owner's holders where it has one. */
export interface Limits {
  from: Int32Array
  to: Int32Array
  /** one for each unit; NOBODY where anybody may run it */
  owner: Int32Array
}

export const NOBODY = -1

/** A holder, by its index, and the units [from, to) that it runs. */
export interface Leg {
  holder: number
  from: number
  to: number
}

export interface Path {
  cost: number
  legs: Leg[]
}

/** How far any path comes, where none reaches the end. */
export interface DeadEnd {
  reached: number
}

/**
 * The cheapest way through all units, in which a peer may come more than once
 * (but not twice in a row). Dynamic programming over (unit, holder): a holder
 * runs a unit either because it ran the one before, or because the activation
 * hops to it from the cheapest holder that did. Those are tried in the order of
 * their cost, so that few are; a first search that tries only FIRST_SOURCES of
 * them says what the cheapest way costs at most, and what cannot cost less,
 * whatever comes behind it, is then left out.
 */
export function cheapestPath (graph: Graph, limits: Limits): Path | DeadEnd {
  const runners = runnersOfUnits(graph, limits)
  const rest = leastRest(graph, runners)
  const first = searchPaths(graph, runners, rest, FIRST_SOURCES, Infinity)
  const bound = 'legs' in first ? first.cost : Infinity
  const path = searchPaths(graph, runners, rest, Infinity, bound)
  return 'legs' in path || bound === Infinity ? path : first
}

function searchPaths (graph: Graph, runners: readonly number[][], rest: Float64Array, most: number, bound: number): Path | DeadEnd {
  const { unitCount, work, perWork, perTurn, leastHop, hop, hops, owner: ownerOf } = graph
  const count = ownerOf.length
  // cost up to the present unit, for holders that ran the one before
  let cost = new Float64Array(count).fill(Infinity)
  let nextCost = new Float64Array(count).fill(Infinity)
  // holder that ran the unit before, by (unit, holder)
  const previous = new Int32Array(unitCount * count)
  let sources = new Int32Array()
  let sourceCosts = new Float64Array()
  let sourceOwners = new Int32Array()
  for (let unit = 0; unit < unitCount; unit++) {
    const reached: number[] = []
    for (const holder of runners[unit]) {
      const stay = cost[holder]
      const turn = perTurn[holder]
      const toEnd = rest[unit * count + holder]
      let entered = Infinity
      let from = START
      if (unit === 0) {
        entered = hop(START, holder) + turn
      } else {
        const entry = turn + leastHop[holder]
        const tried = Math.min(sources.length, most)
        const row = holder * count
        const owner = ownerOf[holder]
        // above which no source is of use
        let limit = Math.min(stay, bound - toEnd) - entry
        for (let i = 0; i < tried && sourceCosts[i] < limit; i++) {
          if (sourceOwners[i] === owner) continue
          const source = sources[i]
          let between = hops === undefined ? UNASKED : hops[row + source]
          if (between === UNASKED) {
            between = hop(source, holder)
            if (hops !== undefined) hops[row + source] = between
          }
          const total = sourceCosts[i] + turn + between
          if (total < entered) {
            entered = total
            from = source
            limit = Math.min(limit, entered - entry)
          }
        }
      }
      const best = stay <= entered ? stay : entered
      if (best === Infinity || best + toEnd >= bound) continue
      previous[unit * count + holder] = stay <= entered ? holder : from
      nextCost[holder] = best + perWork[holder] * work[unit]
      reached.push(holder)
    }
    if (reached.length === 0) return { reached: unit }
    for (const source of sources) cost[source] = Infinity
    const known = nextCost
    nextCost = cost
    cost = known
    sources = Int32Array.from(reached.sort((a, b) => known[a] - known[b] || a - b))
    sourceCosts = Float64Array.from(sources, source => known[source])
    sourceOwners = Int32Array.from(sources, source => ownerOf[source])
  }
  let last = START
  let least = Infinity
  for (const source of sources) {
    if (cost[source] >= least) break
    const total = cost[source] + hop(source, END)
    if (total < least) {
      least = total
      last = source
    }
  }
  return last === START ? { reached: unitCount - 1 } : { cost: least, legs: follow(previous, count, unitCount, last) }
}

/** By (unit, holder): no way to the end that begins with this unit at this holder costs less. */
function leastRest ({ unitCount, work, perWork, perTurn, leastHop, hop, owner: ownerOf }: Graph, runners: readonly number[][]): Float64Array {
  const count = ownerOf.length
  const rest = new Float64Array(unitCount * count).fill(Infinity)
  let change = Infinity
  for (let unit = unitCount - 1; unit >= 0; unit--) {
    let entered = Infinity
    for (const holder of runners[unit]) {
      const stay = unit + 1 === unitCount ? hop(holder, END) : rest[(unit + 1) * count + holder]
      const least = perWork[holder] * work[unit] + Math.min(stay, change)
      rest[unit * count + holder] = least
      entered = Math.min(entered, leastHop[holder] + perTurn[holder] + least)
    }
    change = entered
  }
  return rest
}

function runnersOfUnits ({ unitCount, owner: ownerOf }: Graph, { from, to, owner }: Limits): number[][] {
  const runners: number[][] = Array.from({ length: unitCount }, () => [])
  for (let holder = 0; holder < ownerOf.length; holder++) {
    for (let unit = from[holder]; unit < to[holder]; unit++) {
      if (owner[unit] === NOBODY || owner[unit] === ownerOf[holder]) runners[unit].push(holder)
    }
  }
  return runners
}

function follow (previous: Int32Array, count: number, unitCount: number, last: number): Leg[] {
  const legs: Leg[] = []
  let holder = last
  let to = unitCount
  for (let unit = unitCount - 1; unit >= 0; unit--) {
    const before = previous[unit * count + holder]
    if (before === holder) continue
    legs.unshift({ holder, from: unit, to })
    holder = before
    to = unit
  }
  return legs
}
