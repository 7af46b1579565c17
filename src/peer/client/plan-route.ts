import { unitName } from '../../engine/index.ts'
import type { UnitRange } from '../../model/index.ts'
import { RangeGapError, RangeOverlapError } from '../errors.ts'

export interface RouteCandidate {
  range: UnitRange
  /** on this machine; preferred */
  local?: boolean
}

interface Path {
  candidates: RouteCandidate[]
  /** units on this machine: who asks for local stages wants them used */
  localUnits: number
  remoteStages: number
}

function better (one: Path, other: Path): boolean {
  return (one.localUnits - other.localUnits || other.remoteStages - one.remoteStages || other.candidates.length - one.candidates.length) > 0
}

/**
 * Chooses candidates that cover the units 0 … unitCount - 1 exactly once, in
 * order: with the most local units, then the fewest remote stages, then the
 * fewest stages, then the earliest candidates. Throws RangeGapError or RangeOverlapError.
 */
export function planRoute<T extends RouteCandidate> (candidates: readonly T[], unitCount: number): T[] {
  // ranges are edges between unit boundaries, all forwards: one pass finds the best path
  const best: Array<Path | undefined> = new Array(unitCount + 1)
  best[0] = { candidates: [], localUnits: 0, remoteStages: 0 }
  for (let boundary = 0; boundary < unitCount; boundary++) {
    const sofar = best[boundary]
    if (sofar === undefined) continue
    for (const candidate of candidates) {
      const { from, to } = candidate.range
      if (from !== boundary || to <= from || to > unitCount) continue
      const local = candidate.local === true
      const next = {
        candidates: [...sofar.candidates, candidate],
        localUnits: sofar.localUnits + (local ? to - from : 0),
        remoteStages: sofar.remoteStages + (local ? 0 : 1)
      }
      const known = best[to]
      if (known === undefined || better(next, known)) best[to] = next
    }
  }
  const route = best[unitCount]
  if (route !== undefined) return route.candidates as T[]
  const missing: number[] = []
  for (let unit = 0; unit < unitCount; unit++) {
    if (!candidates.some(({ range }) => range.from <= unit && unit < range.to)) missing.push(unit)
  }
  if (missing.length > 0) throw new RangeGapError(missing, unitNames(missing, unitCount))
  throw new RangeOverlapError(candidates.map(({ range }) => `${range.from}:${range.to}`).join(', '))
}

function unitNames (units: number[], unitCount: number): string {
  const parts: string[] = []
  const name = (i: number) => unitName(units[i], { layerCount: unitCount - 2 })
  for (let start = 0; start < units.length;) {
    let end = start
    while (end + 1 < units.length && units[end + 1] === units[end] + 1) end++
    parts.push(start === end ? name(start) : `${name(start)} to ${name(end)}`)
    start = end + 1
  }
  return parts.join(', ')
}
