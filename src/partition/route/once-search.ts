import { cheapestPath, NOBODY } from './cheapest-path.ts'
import { ROUTE_STEPS } from './constants.ts'
import type { DeadEnd, Limits, Path } from './cheapest-path.ts'
import type { Graph } from './graph.ts'

interface Node {
  limits: Limits
  path: Path
}

/**
 * The cheapest path in which no peer comes twice: branch and bound. The
 * cheapest of all paths is that, nearly always. Where a peer comes twice in it,
 * first up to unit a and again from unit b on, whoever ran it once would stop
 * before b, or begin after a, or run all from a to b: each of the three is
 * searched, and the cheapest that is left over decides. Beyond ROUTE_STEPS the
 * search goes on from the most promising node only, and is then no longer
 * certain to find the best.
 */
export function cheapestRoute (graph: Graph): Path | DeadEnd {
  const stepsOfSearch = Math.max(1, graph.unitCount * graph.owner.length)
  let steps = 0
  let furthest = 0
  let open: Node[] = []
  const search = (limits: Limits) => {
    steps += stepsOfSearch
    const path = cheapestPath(graph, limits)
    if ('legs' in path) open.push({ limits, path })
    else furthest = Math.max(furthest, path.reached)
  }
  search({ from: graph.from, to: graph.to, owner: new Int32Array(graph.unitCount).fill(NOBODY) })
  for (;;) {
    if (open.length === 0) return { reached: furthest }
    const best = open.reduce((a, b) => b.path.cost < a.path.cost ? b : a)
    const repeat = findRepeat(graph, best.path)
    if (repeat === undefined) return best.path
    furthest = Math.max(furthest, repeat.again)
    const rest = open.filter(node => node !== best)
    open = []
    for (const limits of branches(graph, best.limits, repeat)) search(limits)
    if (steps < ROUTE_STEPS || open.length === 0) open.push(...rest)
  }
}

interface Repeat {
  owner: number
  /** last unit of its first part, first of the next */
  until: number
  again: number
}

function findRepeat ({ owner }: Graph, { legs }: Path): Repeat | undefined {
  const ends = new Map<number, number>()
  for (const { holder, from, to } of legs) {
    const end = ends.get(owner[holder])
    if (end !== undefined) return { owner: owner[holder], until: end - 1, again: from }
    ends.set(owner[holder], to)
  }
  return undefined
}

function branches ({ owner: ownerOf }: Graph, { from, to, owner }: Limits, { owner: repeated, until, again }: Repeat): Limits[] {
  const theirs = (values: Int32Array, change: (value: number) => number) => values.map((value, holder) => ownerOf[holder] === repeated ? change(value) : value)
  return [
    { from, to: theirs(to, value => Math.min(value, again)), owner },
    { from: theirs(from, value => Math.max(value, until + 1)), to, owner },
    { from, to, owner: owner.map((value, unit) => until <= unit && unit <= again ? repeated : value) }
  ]
}
