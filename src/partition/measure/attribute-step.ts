/** What one stage had to do with a step. */
export interface StepShare {
  /** of the units that it ran (`UnitCost.work`), for one row */
  work: number
  /** what it says that it computed for */
  claimedSeconds: number
  /** what it was expected to take, by what is known of it */
  expectedSeconds: number
  /** an engine of this machine: what it says is so */
  local?: boolean
}

export interface StepTimes {
  /** from the client's sending to the client's receiving */
  totalSeconds: number
  /** in the order of the route */
  stages: readonly StepShare[]
  /** the most that each hop takes, from client to first stage to … to client: one more than stages */
  hopSeconds: readonly number[]
}

export interface StepAttribution {
  /** seconds of each stage, and of each hop: together the whole time */
  stages: number[]
  hops: number[]
}

/**
 * Divides the time of a step among its stages and hops. A claim is believed as
 * far as it speaks against whoever makes it. What claims do not explain are
 * hops, up to what those take at most; the rest is computing that somebody has
 * not owned up to. It goes to the stages that claim less than is known of
 * them, by as much as they do, and beyond that to all in proportion to their
 * work.
 *
 * So a stage that claims next to nothing is soon known for what it takes, and
 * the others of its route are not blamed for it. One that knows what is
 * expected of it, and claims just that, is found out by the sum: the excess
 * stays until what is expected of it has risen to what it takes, for the others
 * show on other routes that it is not theirs.
 */
export function attributeStep ({ totalSeconds, stages, hopSeconds }: StepTimes): StepAttribution {
  const total = positive(totalSeconds)
  const claims = withinTotal(stages.map(({ claimedSeconds }) => Math.min(positive(claimedSeconds), total)), total)
  const hops = hopSeconds.map(positive)
  const left = Math.max(0, total - sum(claims))
  const known = sum(hops)
  const strangers = stages.filter(({ local }) => local !== true)
  if (left <= known || strangers.length === 0) {
    return { stages: claims, hops: known > 0 ? hops.map(hop => hop * left / known) : hops.map(() => left / hops.length) }
  }
  const excess = left - known
  const shortfalls = stages.map(({ expectedSeconds, local }, index) => local === true ? 0 : Math.max(0, positive(expectedSeconds) - claims[index]))
  const owed = sum(shortfalls)
  const toThose = Math.min(excess, owed)
  const toAll = excess - toThose
  const work = sum(strangers.map(stage => stage.work))
  return {
    stages: stages.map((stage, index) => {
      const byShortfall = owed > 0 ? toThose * shortfalls[index] / owed : 0
      const byWork = stage.local === true ? 0 : work > 0 ? toAll * stage.work / work : toAll / strangers.length
      return claims[index] + byShortfall + byWork
    }),
    hops
  }
}

/** No number, or one below 0, is 0: claims come from outside. */
function positive (value: number): number {
  return value > 0 && value < Infinity ? value : 0
}

function sum (values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0)
}

function withinTotal (claims: number[], total: number): number[] {
  const claimed = sum(claims)
  return claimed > total ? claims.map(claim => claim * total / claimed) : claims
}
