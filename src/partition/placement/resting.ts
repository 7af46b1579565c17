import { claimId } from './claims.ts'
import { ASKED_AT_ONCE } from './constants.ts'
import { act, change, draw, enter, others, throughputOf, wake } from './context.ts'
import { findMove } from './find-move.ts'
import { shuffled, unitsLost } from './support.ts'
import type { Context } from './context.ts'
import type { Move } from './find-move.ts'
import type { PlacedPeer } from './throughput.ts'
import type { PlacementClaim } from './types.ts'

/** Serves, and looks whether it is of more use elsewhere. */
export function rest (context: Context): void {
  const { state: { range, need }, own, timing, now } = context
  const peers = others(context)
  const move = findMove({ unitWork: own.unitWork, others: peers, own: { peer: own.peerId, range: range!, speed: own.speed, capacity: own.capacity } })
  if (move === undefined) {
    if (need !== undefined) change(context, { need: undefined })
    return probeOne(context, peers)
  }
  if (need?.gap !== move.gap) change(context, { need: { gap: move.gap, since: now } })
  const at = timeOfMove(context, move)
  if (now < at) {
    wake(context, at)
    return probeOne(context, peers)
  }
  if (!isProved(context, peers, move)) return probe(context, peers, move)
  const claim: PlacementClaim = { range: move.range, id: claimId(now) }
  const beside = (own.capacityBeside?.[move.range.from]?.to ?? 0) >= move.range.to
  act(context, { type: 'claim', claim })
  enter(context, 'claiming', { claim, beside, need: undefined })
  wake(context, now + timing.settle)
}

/**
 * When it is the peer's turn: the need must have lasted, and peers that can be
 * spared more easily go first; as it is not known which of them will (their
 * owners may have said which layers they host), twice as many may with every
 * turn, and claims decide among them.
 */
function timeOfMove ({ state: { need, restUntil, pauseUntil }, timing }: Context, { gap, rank }: Move): number {
  const turns = Math.ceil(Math.log2(rank + 1))
  const due = need!.since + (gap ? timing.gapPatience : timing.movePatience) + turns * timing.turn
  return Math.max(due, pauseUntil, gap ? 0 : restUntil)
}

/** Whether peers whose speed somebody has measured are enough for the units that are left: nobody makes room for one who only says that it is fast. */
function isProved (context: Context, peers: readonly PlacedPeer[], { range, floor, gap }: Move): boolean {
  const measured = throughputOf(context, peers.filter(({ measured }) => measured))
  return unitsLost(context.state.range!, range).every(unit => gap ? measured[unit] > 0 : measured[unit] >= floor)
}

function probe (context: Context, peers: readonly PlacedPeer[], { range }: Move): void {
  const { state: { askedAt, range: old }, now, timing } = context
  if (now < askedAt + timing.ask) return wake(context, askedAt + timing.ask)
  const lost = unitsLost(old!, range)
  ask(context, peers.filter(peer => !peer.measured && lost.some(unit => hasUnit(peer, unit))), ASKED_AT_ONCE)
  wake(context, now + timing.ask)
}

/** Now and then measures a peer where the least is known of who holds a unit: so those who serve less than they say are found out where it matters. */
function probeOne (context: Context, peers: readonly PlacedPeer[]): void {
  const { state: { askedAt }, now, timing } = context
  if (now < askedAt + timing.check) return
  const measured = throughputOf(context, peers.filter(({ measured }) => measured))
  const unknown = peers.filter(peer => !peer.measured)
  const claimed = throughputOf(context, unknown)
  let least = -1
  for (let unit = 0; unit < measured.length; unit++) {
    if (claimed[unit] > 0 && (least === -1 || measured[unit] < measured[least])) least = unit
  }
  ask(context, unknown.filter(peer => hasUnit(peer, least)), 1)
}

function ask (context: Context, peers: readonly PlacedPeer[], most: number): void {
  change(context, { askedAt: context.now })
  const chosen = shuffled(peers.map(({ peer }) => peer), String(draw(context))).slice(0, most)
  if (chosen.length > 0) act(context, { type: 'probe', peers: chosen })
}

function hasUnit ({ ranges }: PlacedPeer, unit: number): boolean {
  return ranges.some(({ from, to }) => from <= unit && unit < to)
}
