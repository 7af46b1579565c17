import type { UnitRange } from '../../model/index.ts'
import { median } from '../median.ts'
import { countedClaim, isBefore } from './claims.ts'
import type { OwnPlace, PlacementRecord, PlacementState, PlacementTiming, PlacementView } from './types.ts'

/** A peer as it is counted. */
export interface PlacedPeer {
  peer: string
  /** what it serves, or will when claims that count are served */
  ranges: readonly UnitRange[]
  /** work per second */
  speed: number
  /** somebody has measured that */
  measured: boolean
  /** serves one range and has no claim: may be the one to move */
  free: boolean
}

/**
 * Work per second as it counts: measured, or, where nobody has, no more than the
 * median of those that were and of the own. Never more than a peer says of itself.
 */
export function effectiveSpeeds (records: readonly PlacementRecord[], speeds: PlacementView['speeds'], ownSpeed: number): number[] {
  const known = [ownSpeed, ...[...speeds.values()].filter(speed => speed > 0)]
  const usual = median(known)!
  return records.map(({ peerId, speed }) => Math.min(speeds.get(peerId) ?? usual, speed > 0 ? speed : Infinity))
}

/**
 * The other peers, as if claims were served already: all of them, or those that
 * were made before the own claim where there is one. A draining range counts as
 * gone.
 */
export function placeOthers (view: PlacementView, own: OwnPlace, state: PlacementState, now: number, timing: PlacementTiming): PlacedPeer[] {
  const records = view.records.filter(({ peerId }) => peerId !== own.peerId)
  const speeds = effectiveSpeeds(records, view.speeds, own.speed)
  return records.map((record, index): PlacedPeer => {
    const { peerId, ranges } = record
    const claim = countedClaim(record, state, now, timing)
    const counts = claim !== undefined && (state.claim === undefined || isBefore({ peerId, claim }, { peerId: own.peerId, claim: state.claim }))
    const kept: UnitRange[] = counts ? [claim.range] : []
    if (!counts) {
      for (const { range, state } of ranges) {
        if (state === 'serving' || (state === 'joining' && !(claim !== undefined && isSame(range, claim.range)))) kept.push(range)
      }
    }
    return { peer: peerId, ranges: kept, speed: speeds[index], measured: view.speeds.has(peerId), free: claim === undefined && kept.length === 1 }
  })
}

/** Tokens per second of each unit: a peer divides its speed among all that it serves. */
export function unitThroughput (peers: ReadonlyArray<Pick<PlacedPeer, 'ranges' | 'speed'>>, unitWork: readonly number[]): Float64Array {
  const throughput = new Float64Array(unitWork.length)
  for (const { ranges, speed } of peers) {
    let work = 0
    for (const range of ranges) work += rangeWork(unitWork, range)
    for (const range of ranges) addThroughput(throughput, range, speed / work)
  }
  return throughput
}

/** Adds tokens per second to the units of a range, or takes them away. */
export function addThroughput (throughput: Float64Array, { from, to }: UnitRange, share: number): void {
  for (let unit = from; unit < to; unit++) throughput[unit] += share
}

export function rangeWork (unitWork: readonly number[], { from, to }: UnitRange): number {
  let work = 0
  for (let unit = from; unit < to; unit++) work += unitWork[unit]
  return work
}

/** The least of the units of a range. */
export function weakest (throughput: Float64Array, { from, to }: UnitRange): number {
  let least = Infinity
  for (let unit = from; unit < to; unit++) least = Math.min(least, throughput[unit])
  return least
}

export function isSame (a: UnitRange, b: UnitRange): boolean {
  return a.from === b.from && a.to === b.to
}
