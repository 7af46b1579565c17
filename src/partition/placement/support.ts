import type { UnitRange } from '../../model/index.ts'
import { hashToShare } from '../hash.ts'
import { claimTime, isBefore } from './claims.ts'
import type { PlacementClaim, PlacementRecord, PlacementView } from './types.ts'

export interface Leaver {
  peerId: string
  claim: PlacementClaim
  /** units that it is about to give up */
  lost: readonly number[]
}

/** Units of a range that another one does not have. */
export function unitsLost (old: UnitRange, next: UnitRange): number[] {
  return Array.from({ length: old.to - old.from }, (_, index) => old.from + index).filter(unit => unit < next.from || unit >= next.to)
}

/**
 * Peers that serve a unit and stay: none that is leaving it, and none that has
 * claimed another place before; whoever claimed first goes first.
 */
export function supporters (view: PlacementView, { peerId, claim }: Pick<Leaver, 'peerId' | 'claim'>, unit: number): PlacementRecord[] {
  return view.records.filter(record => {
    if (record.peerId === peerId || !hasUnit(record, unit, 'serving')) return false
    const theirs = record.claim
    if (theirs === undefined || claimTime(theirs.id) === undefined) return true
    return (theirs.range.from <= unit && unit < theirs.range.to) || !isBefore({ peerId: record.peerId, claim: theirs }, { peerId, claim })
  })
}

/** A peer that is leaving a unit too, but claimed its new place later: it is to come back, and needs a moment to notice. */
export function isRivalled (view: PlacementView, { peerId, claim }: Pick<Leaver, 'peerId' | 'claim'>, unit: number): boolean {
  return view.records.some(record => record.peerId !== peerId && record.claim !== undefined && hasUnit(record, unit, 'draining') &&
    isBefore({ peerId, claim }, { peerId: record.peerId, claim: record.claim }))
}

/**
 * Whether every unit has a supporter that has said so since the units were
 * withdrawn. Then one of the holders stays, whatever all of them do at once:
 * of those that leave, each has heard from another one that was not leaving
 * yet, so that one of them would have begun to leave after all others and after
 * itself. It takes no common clock: the exchange began after the own withdrawal,
 * hence the answer was given after it.
 */
export function isConfirmed (view: PlacementView, leaver: Leaver, sinceMilliseconds: number): boolean {
  return leaver.lost.every(unit => supporters(view, leaver, unit).some(({ peerId }) => (view.confirmed.get(peerId) ?? -Infinity) >= sinceMilliseconds))
}

/** Whom to ask: for every unit that is not confirmed two of its supporters, other ones with every `draw`. */
export function whomToAsk (view: PlacementView, leaver: Leaver, sinceMilliseconds: number, draw: number): string[] {
  const asked = new Set<string>()
  for (const unit of leaver.lost) {
    const able = supporters(view, leaver, unit).map(({ peerId }) => peerId)
    if (able.some(peer => (view.confirmed.get(peer) ?? -Infinity) >= sinceMilliseconds)) continue
    const missing = 2 - able.filter(peer => asked.has(peer)).length
    for (const peer of shuffled(able.filter(peer => !asked.has(peer)), `${leaver.peerId} ${draw}`).slice(0, Math.max(0, missing))) asked.add(peer)
  }
  return [...asked]
}

/** In an order that a seed decides. */
export function shuffled (peers: readonly string[], seed: string): string[] {
  return peers.map(peer => ({ peer, key: hashToShare(`${seed} ${peer}`) })).sort((a, b) => a.key - b.key).map(({ peer }) => peer)
}

function hasUnit ({ ranges }: PlacementRecord, unit: number, wanted: 'serving' | 'draining'): boolean {
  return ranges.some(({ range, state }) => state === wanted && range.from <= unit && unit < range.to)
}
