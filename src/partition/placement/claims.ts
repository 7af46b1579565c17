import { CLAIM_TIME_DIGITS, MAX_CLAIM_ID } from './constants.ts'
import type { Claimant, PlacementClaim, PlacementRecord, PlacementState, PlacementTiming } from './types.ts'

/** A claim's id: the time, in hexadecimal digits, so that ids sort by it. */
export function claimId (nowMilliseconds: number): string {
  return Math.max(0, Math.floor(nowMilliseconds)).toString(16).padStart(CLAIM_TIME_DIGITS, '0')
}

/** When a claim was made, in milliseconds; undefined for an id of another form. */
export function claimTime (id: string): number | undefined {
  if (id.length > MAX_CLAIM_ID || !/^[0-9a-f]{12}/.test(id)) return undefined
  return Number.parseInt(id.slice(0, CLAIM_TIME_DIGITS), 16)
}

/** The earlier claim goes first; of claims of one moment, that of the lesser peer id. */
export function isBefore (a: { peerId: string, claim: PlacementClaim }, b: { peerId: string, claim: PlacementClaim }): boolean {
  return a.claim.id === b.claim.id ? a.peerId < b.peerId : a.claim.id < b.claim.id
}

/**
 * The claim of a record, where it counts. A lease ends by itself: with the
 * record that has it (a dead peer's is gone in 15 s), some time after it was
 * made, and also where its owner makes new ones without ever serving.
 */
export function countedClaim ({ peerId, claim }: PlacementRecord, { claimants }: PlacementState, now: number, { claimLife, clockSkew }: PlacementTiming): PlacementClaim | undefined {
  const at = claim === undefined ? undefined : claimTime(claim.id)
  if (at === undefined || at > now + clockSkew || at < now - claimLife) return undefined
  const since = claimants[peerId]?.since ?? now
  return since < now - claimLife ? undefined : claim
}

/** Remembers since when peers have had claims that they do not serve yet; one that had none for a claim's life starts anew. */
export function noteClaimants (claimants: PlacementState['claimants'], records: readonly PlacementRecord[], now: number, { claimLife }: PlacementTiming): PlacementState['claimants'] {
  const noted: Record<string, Claimant> = {}
  let changed = false
  for (const [peer, claimant] of Object.entries(claimants)) {
    if (claimant.seen >= now - claimLife) noted[peer] = claimant
    else changed = true
  }
  for (const { peerId, ranges, claim } of records) {
    if (claim === undefined) continue
    const served = ranges.some(({ range, state }) => state === 'serving' && range.from === claim.range.from && range.to === claim.range.to)
    if (served) {
      if (peerId in noted) changed = true
      delete noted[peerId]
    } else {
      noted[peerId] = { since: noted[peerId]?.since ?? now, seen: now }
      changed = true
    }
  }
  return changed ? noted : claimants
}
