import type { UnitRange } from '../../model/index.ts'
import type { HostedRange, PlacementRecord } from '../../partition/index.ts'

/** Units that nobody serves: no session that needs others gets beyond them. */
export function unservedUnits (records: readonly PlacementRecord[], own: readonly HostedRange[], unitCount: number): number[] {
  const served = new Set<number>()
  for (const { ranges } of [...records, { ranges: own }]) {
    for (const { range: { from, to }, state } of ranges) if (state === 'serving') for (let unit = from; unit < to; unit++) served.add(unit)
  }
  return Array.from({ length: unitCount }, (_value, unit) => unit).filter(unit => !served.has(unit))
}

/** For each unit the longest part of its range that begins with it and has none of the others. */
export function cutBefore (capacity: readonly UnitRange[], avoided: ReadonlySet<number>): UnitRange[] {
  return capacity.map(({ from, to }) => {
    let end = from
    while (end < to && !avoided.has(end)) end++
    return { from, to: end }
  })
}
