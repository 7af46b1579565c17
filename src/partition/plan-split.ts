import { lowerBound } from './bounds.ts'
import { rangeBytes } from './capacity.ts'
import { BASE_BYTES, HOP_SECONDS } from './constants.ts'
import { NoPlanError, ZeroCapacityError } from './errors.ts'
import { createFreeSearch, isFreeSearchShort } from './free-search.ts'
import { createOrderSearch } from './order-search.ts'
import { createOrderedSearch } from './ordered-search.ts'
import { bytesBetween, createProblem } from './problem.ts'
import { leastLimit, mostSeconds } from './search.ts'
import type { Problem } from './problem.ts'
import type { Assignment, Search } from './search.ts'
import type { Machine, ModelCosts, PlannedStage, SplitOptions, SplitPlan } from './types.ts'

/**
 * Splits a model over machines: contiguous ranges, one a machine at most, none
 * beyond a machine's memory, machines left out where they do not help.
 *
 * Exact in a fixed order, and in a free one where the machines are few or much
 * alike (twelve that all differ, hundreds of a few kinds); otherwise the order
 * is searched for (order-search.ts), and `lowerBoundSeconds` says how much
 * better a plan could be at most. With an exact plan, more memory or speed
 * never makes the objective worse.
 *
 * @throws InvalidMachineError, InvalidPlanOptionError
 * @throws ZeroCapacityError where no machine holds a unit, NoPlanError where they do not hold all
 */
export function planSplit (costs: ModelCosts, machines: readonly Machine[], options: SplitOptions = {}): SplitPlan {
  const { objective = 'throughput', order = 'free', baseBytes = BASE_BYTES } = options
  const problem = createProblem(costs, machines, options)
  checkSomeCapacity(problem, machines, baseBytes)
  const exact = order === 'fixed' || isFreeSearchShort(problem)
  const bound = lowerBound(problem, objective)
  const search = order === 'fixed'
    ? createOrderedSearch(problem, machines.map((_, index) => index))
    : exact ? createFreeSearch(problem) : createOrderSearch(problem, objective, bound)
  const stages = findStages(problem, search, objective === 'latency' ? undefined : bound)
    .map((assignment): PlannedStage => describeStage(costs, machines, assignment, options))
  const slowestSeconds = Math.max(...stages.map(({ seconds }) => seconds))
  const latencySeconds = stages.reduce((sum, { seconds, hopSeconds }) => sum + seconds + hopSeconds, problem.returnSeconds)
  const achieved = objective === 'latency' ? latencySeconds : slowestSeconds
  return {
    objective,
    stages,
    unused: machines.flatMap((_, index) => stages.some(({ machine }) => machine === index) ? [] : [index]),
    slowestSeconds,
    latencySeconds,
    exact,
    // sums in another order differ in their last bits
    lowerBoundSeconds: exact ? achieved : Math.min(bound, achieved)
  }
}

/** `low` is a bound on the slowest stage where that is to be the least. */
function findStages (problem: Problem, search: Search, low: number | undefined): Assignment[] {
  const { unitCount } = problem
  const reached = search.furthest(Infinity)
  if (reached < unitCount) {
    throw new NoPlanError({
      missingBytes: bytesBetween(problem, reached, unitCount),
      firstUnit: reached,
      neededBytes: problem.bytes[unitCount],
      availableBytes: problem.groups.reduce((sum, { budget, members }) => sum + Math.max(budget, 0) * members.length, 0)
    })
  }
  const limit = low === undefined ? Infinity : leastLimit(search, unitCount, low, mostSeconds(problem))
  return search.cheapest(limit)!
}

function checkSomeCapacity (problem: Problem, machines: readonly Machine[], baseBytes: number): void {
  let smallest = Infinity
  for (let unit = 0; unit < problem.unitCount; unit++) smallest = Math.min(smallest, bytesBetween(problem, unit, unit + 1))
  if (problem.groups.every(({ budget }) => budget < smallest)) {
    throw new ZeroCapacityError(smallest + baseBytes, Math.max(...machines.map(({ memoryBytes }) => memoryBytes)))
  }
}

function describeStage (costs: ModelCosts, machines: readonly Machine[], { machine, from, to }: Assignment, options: SplitOptions): PlannedStage {
  const { positions = 0, baseBytes = BASE_BYTES, hopSeconds = HOP_SECONDS } = options
  const { name, speed, hopSeconds: ownHop } = machines[machine]
  const bytes = rangeBytes(costs, { from, to }, positions)
  const work = costs.units.slice(from, to).reduce((sum, unit) => sum + unit.work, 0)
  return {
    machine,
    name,
    range: { from, to },
    ...bytes,
    memoryBytes: bytes.weightBytes + bytes.keyValueBytes + baseBytes,
    seconds: work / speed,
    hopSeconds: ownHop ?? hopSeconds
  }
}
