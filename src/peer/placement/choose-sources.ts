import type { UnitRange } from '../../model/index.ts'
import type { PeerRecord } from '../directory/index.ts'
import { HOLDERS_PER_UNIT, OTHER_SOURCES } from './constants.ts'

/**
 * Addresses of peers to fetch a range from: for each unit some of those who
 * serve it, for their files must be there. Where nobody does, others are asked
 * too, since whoever has served a unit once keeps its file for a while. `random`
 * draws from [0, 1): peers that are alike are to be asked alike.
 */
export function chooseSources (records: readonly PeerRecord[], { from, to }: UnitRange, random: () => number = Math.random): string[] {
  const reachable = records.filter(({ addresses }) => addresses.length > 0)
    .map(record => ({ record, key: random() })).sort((a, b) => a.key - b.key).map(({ record }) => record)
  const chosen = new Set<PeerRecord>()
  let unserved = false
  for (let unit = from; unit < to; unit++) {
    const holders = reachable.filter(({ ranges }) => ranges.some(({ range, state }) => state !== 'joining' && range.from <= unit && unit < range.to))
    if (holders.length === 0) unserved = true
    const lacking = HOLDERS_PER_UNIT - holders.filter(holder => chosen.has(holder)).length
    for (const holder of holders.filter(holder => !chosen.has(holder)).slice(0, Math.max(0, lacking))) chosen.add(holder)
  }
  if (unserved) for (const other of reachable.filter(record => !chosen.has(record)).slice(0, OTHER_SOURCES)) chosen.add(other)
  return [...chosen].map(({ addresses }) => addresses[0])
}
