import { chooseRange } from './choose-range.ts'
import { claimId, claimTime } from './claims.ts'
import { act, arrive, change, enter, giveUp, hostedState, others, throughputOf, wake } from './context.ts'
import { findMove } from './find-move.ts'
import { isSame } from './throughput.ts'
import type { Context } from './context.ts'

/** Seeks a place: claims it, and takes another one where others claimed it first. */
export function join (context: Context): void {
  const { own, now, timing, state } = context
  if (now < state.pauseUntil) return wake(context, state.pauseUntil)
  const throughput = throughputOf(context, others(context))
  const range = chooseRange({ unitWork: own.unitWork, throughput, capacity: own.capacity, speed: own.speed })
  if (range === undefined) {
    if (state.claim !== undefined) giveUp(context, timing.check)
    return
  }
  const last = state.claim === undefined ? Infinity : claimTime(state.claim.id)! + timing.joinPatience
  if (state.claim === undefined || (!isSame(state.claim.range, range) && now < last)) {
    // the place in the order of claims is kept
    const claim = { range, id: state.claim?.id ?? claimId(now) }
    change(context, { claim, since: now })
    act(context, { type: 'claim', claim })
  }
  // who has room for everything has nothing to choose, whatever others claim
  const isAll = range.to - range.from === own.unitWork.length
  const settled = isAll ? now : Math.min(context.state.since + timing.joinSettle, last)
  if (now < settled) return wake(context, settled)
  act(context, { type: 'load', range: context.state.claim!.range, into: 'memory' })
  enter(context, 'loading', { beside: true })
}

/** Has announced where it wants to go: goes if that is still right when those who claimed first have gone. */
export function settle (context: Context): void {
  const { state: { claim, range, since, beside }, own, timing, now } = context
  const move = findMove({ unitWork: own.unitWork, others: others(context), own: { peer: own.peerId, range: range!, speed: own.speed, capacity: own.capacity } })
  if (move === undefined || !isSame(move.range, claim!.range)) return giveUp(context, timing.turn)
  if (now < since + timing.settle) return wake(context, since + timing.settle)
  act(context, { type: 'load', range: claim!.range, into: beside ? 'memory' : 'disk' })
  enter(context, 'loading')
}

/** Waits for the new range, for as long as somebody who claimed first has not made it needless. */
export function load (context: Context): void {
  const { state: { claim, range, beside }, own, timing, now } = context
  const hosted = hostedState(context, claim!)
  const end = claimTime(claim!.id)! + timing.claimLife
  if (hosted === (beside ? 'serving' : 'stored')) return range === undefined ? arrive(context) : enter(context, 'leaving', { withdrawnAt: undefined })
  if (hosted === 'failed' || now >= end) return giveUp(context, timing.pause)
  if (range === undefined) return wake(context, end)
  const move = findMove({
    unitWork: own.unitWork, others: others(context), own: { peer: own.peerId, range, speed: own.speed, capacity: [claim!.range] }, gain: 1
  })
  if (move === undefined) return giveUp(context, timing.pause)
  wake(context, end)
}

/** The old range is gone: waits for the new one, whose files are there. */
export function reload (context: Context): void {
  const hosted = hostedState(context, context.state.claim!)
  if (hosted === 'serving') return arrive(context)
  if (hosted === 'failed') giveUp(context, context.timing.pause)
}
