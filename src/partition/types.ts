import type { UnitRange } from '../model/index.ts'

/** What hosting one unit costs. */
export interface UnitCost {
  /** weights in the memory of an engine */
  memoryBytes: number
  /** weights as they are stored and sent */
  storedBytes: number
  /** KV cache for one position; 0 for `embed` and `head` */
  keyValueBytes: number
  /** work of one token: bytes of weights in memory that it reads (of an embedding, one row) */
  work: number
}

/** What hosting a model costs, unit by unit. Plain data. */
export interface ModelCosts {
  units: UnitCost[]
  /** what a machine with all units saves: `embed` and `head` of a tied embedding are one matrix */
  tied: { memoryBytes: number, storedBytes: number }
  /** positions of KV cache that a session takes at a time */
  pagePositions: number
}

/** A computer that may host a range of units. */
export interface Machine {
  /** unique in its list */
  name: string
  /** bytes that a peer may take there, all in all */
  memoryBytes: number
  /** work per second, in the unit of UnitCost.work: bytes of weights */
  speed: number
  /** seconds for an activation to come here from the stage before; default: that of the plan */
  hopSeconds?: number
}

/**
 * `throughput`: the slowest stage is as fast as can be, hence the most tokens
 * per second over many sessions; of such plans, the one of least latency.
 * `latency`: the sum of all stages and hops is the least, hence one session is
 * the fastest.
 */
export type Objective = 'throughput' | 'latency'

export interface SplitOptions {
  /** default: throughput */
  objective?: Objective
  /** `fixed`: stages come in the order of the list; machines may still be left out. Default: free */
  order?: 'free' | 'fixed'
  /** positions of KV cache that every stage has room for; default 0 */
  positions?: number
  /** seconds for an activation to reach a machine that does not say, and for the result to come back; default HOP_SECONDS */
  hopSeconds?: number
  /** bytes that a peer takes beside weights and KV cache; default BASE_BYTES */
  baseBytes?: number
}

/** Bytes of a range of units. */
export interface RangeBytes {
  weightBytes: number
  keyValueBytes: number
  storedBytes: number
}

/** One stage of a plan. */
export interface PlannedStage extends RangeBytes {
  /** index into the list of machines */
  machine: number
  name: string
  range: UnitRange
  /** weights, KV cache and what a peer takes besides */
  memoryBytes: number
  /** computing one token */
  seconds: number
  /** for an activation to come here */
  hopSeconds: number
}

export interface SplitPlan {
  objective: Objective
  /** in order: together they cover every unit once */
  stages: PlannedStage[]
  /** machines that are not needed, by index */
  unused: number[]
  /** of the slowest stage, computing alone: a hop delays an activation, but the machine works for other sessions meanwhile */
  slowestSeconds: number
  /** one token of one session: all stages, the hops to them, and one back */
  latencySeconds: number
  /** nothing better exists */
  exact: boolean
  /** no plan is better than this in its objective; what the objective came to where `exact` */
  lowerBoundSeconds: number
}
