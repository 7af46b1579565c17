import type { HostedRange, PlacementRecord } from '../../partition/index.ts'

/** Whether nobody serves some unit: then no session that needs others gets anywhere. */
export function isUnserved (records: readonly PlacementRecord[], own: readonly HostedRange[], unitCount: number): boolean {
  const served = new Set<number>()
  for (const { ranges } of [...records, { ranges: own }]) {
    for (const { range: { from, to }, state } of ranges) if (state === 'serving') for (let unit = from; unit < to; unit++) served.add(unit)
  }
  return served.size < unitCount
}
