import { claimTime } from './claims.ts'
import { act, arrive, change, draw, enter, giveUp, hostedState, jitter, others, throughputOf, wake } from './context.ts'
import { isConfirmed, isRivalled, supporters, unitsLost, whomToAsk } from './support.ts'
import { addThroughput, rangeWork } from './throughput.ts'
import type { Context } from './context.ts'
import type { Leaver } from './support.ts'

/** Has the new range: withdraws the old one as soon as it may, and ends its sessions as soon as others have said that they stay. */
export function leave (context: Context): void {
  const { state, timing, now } = context
  const leaver = leaverOf(context)
  if (leaver.lost.length === 0) return drain(context)
  if (state.withdrawnAt === undefined) {
    if (!state.beside && now >= claimTime(state.claim!.id)! + timing.claimLife) return giveUp(context, timing.pause)
    if (now < state.pauseUntil) return wake(context, state.pauseUntil)
    if (!isSpared(context, leaver)) return
    act(context, { type: 'withdraw', range: state.range! })
    change(context, { withdrawnAt: now, askedAt: -Infinity })
    return seekLeave(context, leaver)
  }
  if (isConfirmed(context.view, leaver, confirmedSince(context))) return drain(context)
  seekLeave(context, leaver)
}

/** Ends the sessions of the old range, and drops it when others have said once more that they stay. */
export function drainOld (context: Context): void {
  const { state } = context
  const leaver = leaverOf(context)
  const hosted = hostedState(context, { range: state.range! })
  const ended = hosted === undefined || hosted === 'drained'
  if (leaver.lost.some(unit => supporters(context.view, leaver, unit).length === 0)) return comeBack(context)
  if (!ended) return
  if (!isConfirmed(context.view, leaver, confirmedSince(context))) return askOthers(context, leaver)
  act(context, { type: 'drop', range: state.range! })
  if (state.beside) return arrive(context)
  act(context, { type: 'load', range: state.claim!.range, into: 'memory' })
  enter(context, 'reloading', { range: undefined, withdrawnAt: undefined })
}

function leaverOf ({ own, state: { range, claim } }: Context): Leaver {
  return { peerId: own.peerId, claim: claim!, lost: unitsLost(range!, claim!.range) }
}

function confirmedSince ({ state: { withdrawnAt }, now, timing }: Context): number {
  return Math.max(withdrawnAt ?? now, now - timing.confirmLife)
}

/** Whether others serve the units that are left, and no worse than the weakest unit of the swarm is served now. */
function isSpared (context: Context, leaver: Leaver): boolean {
  const { own, state: { range, claim, beside }, view } = context
  if (leaver.lost.some(unit => supporters(view, leaver, unit).length === 0)) return false
  const theirs = throughputOf(context, others(context))
  const all = theirs.slice()
  const ranges = beside ? [range!, claim!.range] : [range!]
  const share = own.speed / ranges.reduce((sum, range) => sum + rangeWork(own.unitWork, range), 0)
  for (const range of ranges) addThroughput(all, range, share)
  const least = all.reduce((a, b) => Math.min(a, b), Infinity)
  return leaver.lost.every(unit => theirs[unit] > 0 && theirs[unit] >= least)
}

function drain (context: Context): void {
  act(context, { type: 'drain', range: context.state.range! })
  enter(context, 'draining', { withdrawnAt: context.state.withdrawnAt ?? context.now, askedAt: -Infinity })
}

function seekLeave (context: Context, leaver: Leaver): void {
  const { view, now, timing, state: { withdrawnAt } } = context
  const alone = leaver.lost.filter(unit => supporters(view, leaver, unit).length === 0)
  const hopeless = alone.some(unit => !isRivalled(view, leaver, unit))
  if (hopeless || now >= withdrawnAt! + timing.retry) return comeBack(context)
  wake(context, withdrawnAt! + timing.retry)
  askOthers(context, leaver)
}

function askOthers (context: Context, leaver: Leaver): void {
  const { view, now, timing, state: { askedAt } } = context
  if (now < askedAt + timing.ask) return wake(context, askedAt + timing.ask)
  const peers = whomToAsk(view, leaver, confirmedSince(context), draw(context))
  change(context, { askedAt: now })
  if (peers.length > 0) act(context, { type: 'confirm', peers })
  wake(context, now + timing.ask)
}

/** Serves the old range again, beside the new one where both have room, and tries later. */
function comeBack (context: Context): void {
  const { state: { range }, now, timing } = context
  act(context, { type: 'resume', range: range! })
  const pauseUntil = now + jitter(context, timing.retry)
  enter(context, 'leaving', { withdrawnAt: undefined, pauseUntil })
  wake(context, pauseUntil)
}
