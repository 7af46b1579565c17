import { furthestEnds } from './reach.ts'
import type { Problem } from './problem.ts'
import type { Objective } from './types.ts'

interface Share {
  machines: number
  speed: number
  hopSeconds: number
  /** most work that a range has which fits into the memory of one of them */
  most: number
}

/**
 * Seconds below which no plan comes, whatever the order: units may be cut at
 * will and lie anywhere, but a machine gets no more work than the best range
 * that its memory holds, and a unit is not shared.
 */
export function lowerBound (problem: Problem, objective: Objective): number {
  const shares = problem.groups.map(({ members, speed, hopSeconds }, i): Share => ({
    machines: members.length, speed, hopSeconds, most: mostWork(problem, i)
  }))
  return objective === 'latency' ? latencyBound(problem, shares) : stageBound(problem, shares)
}

function mostWork (problem: Problem, group: number): number {
  const { work, groups } = problem
  return furthestEnds(problem, groups[group], Infinity).reduce((most, to, from) => Math.max(most, work[to] - work[from]), 0)
}

function stageBound ({ work, unitCount }: Problem, shares: readonly Share[]): number {
  const total = work[unitCount]
  const done = (seconds: number) => shares.reduce((sum, { machines, speed, most }) => sum + machines * Math.min(seconds * speed, most), 0)
  let low = 0
  let high = Math.max(...shares.map(({ speed, most }) => most / speed))
  for (let i = 0; i < 100; i++) {
    const middle = (low + high) / 2
    if (done(middle) >= total) high = middle
    else low = middle
  }
  const largest = work.reduce((most, sum, i) => i === 0 ? 0 : Math.max(most, sum - work[i - 1]), 0)
  return Math.max(low, largest / Math.max(...shares.map(({ speed }) => speed)))
}

function latencyBound ({ work, unitCount, returnSeconds }: Problem, shares: readonly Share[]): number {
  let left = work[unitCount]
  let seconds = 0
  for (const { machines, speed, most } of shares.toSorted((a, b) => b.speed - a.speed)) {
    const part = Math.min(left, machines * most)
    seconds += part / speed
    left -= part
  }
  // as few stages as the memory allows, each as near as the nearest
  let stages = 0
  let uncovered = work[unitCount]
  for (const { machines, most } of shares.toSorted((a, b) => b.most - a.most)) {
    if (most === 0) break
    const needed = Math.min(machines, Math.ceil(uncovered / most))
    stages += needed
    uncovered -= needed * most
    if (uncovered <= 0) break
  }
  return seconds + Math.max(stages, 1) * Math.min(...shares.map(({ hopSeconds }) => hopSeconds)) + returnSeconds
}
