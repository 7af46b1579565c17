import type { UnitRange } from '../../model/index.ts'
import type { PlacementRecord } from '../../partition/index.ts'
import type { PeerRecord } from '../directory/index.ts'

/** Records as the planner can work with them: an announcement may speak of units that the model does not have. */
export function soundRecords (records: readonly PeerRecord[], unitCount: number): PlacementRecord[] {
  const isSound = ({ from, to }: UnitRange): boolean => from < to && to <= unitCount
  return records.map(({ peerId, ranges, claim, speed }) => ({
    peerId,
    speed,
    ranges: ranges.filter(({ range }) => isSound(range)),
    claim: claim !== undefined && isSound(claim.range) ? claim : undefined
  }))
}
