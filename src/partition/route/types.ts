import type { UnitRange } from '../../model/index.ts'

/** A range that a peer serves, with what is known of the peer. A peer with several ranges is several holders. */
export interface RouteHolder {
  peer: string
  range: UnitRange
  /** seconds for one unit of work (`UnitCost.work`), as others measured it; without it the median of those that are known */
  secondsPerWork?: number
  /** work per second that the peer says it does: it is never taken to be faster, and never to be as fast for saying so */
  announcedSpeed?: number
  /** before a step gets its turn there; default 0 */
  queueSeconds?: number
  /** multiplies all time at this peer and the hop to it when routes are compared (reputation); default 1 */
  weight?: number
  /** an engine on the client's own machine: hops to it are those to the client, and it may come several times */
  local?: boolean
}

/** Seconds from the end of one stage to the beginning of the next; `undefined` is the client. */
export type HopSeconds = (from: string | undefined, to: string | undefined) => number

export interface RouteSpread {
  /** another seed may give another of the routes that are nearly the best; a session's id, so that sessions differ */
  seed: string
  /** how much worse than the best, as a share of it, a route may be; default ROUTE_SPREAD */
  factor?: number
}

export interface RouteRequest {
  /** units to cover: all of a model, or those of a stage that is lost */
  span: UnitRange
  holders: readonly RouteHolder[]
  /** work of each unit of the model (`UnitCost.work`) */
  unitWork: readonly number[]
  /** not negative */
  hopSeconds: HopSeconds
  /** no hop to a peer takes less: says nothing new, but where hops are long the search is faster for it; default 0 */
  leastHopSeconds?: (to: string | undefined) => number
  /** the stage before the span and the one behind it, where only a part of a route is sought; otherwise the client */
  before?: string
  after?: string
  avoid?: {
    peers?: Iterable<string>
    /** peers that must not be neighbours, in either order */
    pairs?: Iterable<readonly [string, string]>
  }
  spread?: RouteSpread
}

export interface RouteStage {
  peer: string
  /** a part of what the peer holds, or all */
  range: UnitRange
  local: boolean
}

export interface Route {
  /** in order: together they cover every unit of the span once, and no peer comes twice but a local one */
  stages: RouteStage[]
  /** expected for one token: hops, queues, computing */
  seconds: number
  /** what was compared: the same with weights */
  cost: number
}

export interface NoRoute {
  /**
   * units that no holder has which may be used; where each has one, but they
   * cannot be put in a row, the first unit beyond what can
   */
  missing: number[]
  /** every unit has a holder: what stands in the way is who may follow whom, or that a peer would have to come twice */
  blocked: boolean
}
