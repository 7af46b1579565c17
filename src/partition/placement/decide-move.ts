import { join, load, reload, settle } from './arriving.ts'
import { noteClaimants } from './claims.ts'
import { PLACEMENT_TIMING } from './constants.ts'
import { jitter } from './context.ts'
import { drainOld, leave } from './leaving.ts'
import { rest } from './resting.ts'
import type { Context } from './context.ts'
import type { OwnPlace, PlacementAction, PlacementPhase, PlacementRange, PlacementState, PlacementStep, PlacementTiming, PlacementView } from './types.ts'

const phases: Record<PlacementPhase, (context: Context) => void> = {
  joining: join,
  resting: rest,
  claiming: settle,
  loading: load,
  leaving: leave,
  draining: drainOld,
  reloading: reload
}

const changesHosted = new Set<PlacementAction['type']>(['load', 'drain', 'resume', 'drop'])

/** The state of a peer that serves a range, or nothing yet. */
export function createPlacementState (range?: PlacementState['range']): PlacementState {
  return {
    phase: range === undefined ? 'joining' : 'resting',
    since: 0,
    range,
    beside: false,
    restUntil: 0,
    pauseUntil: 0,
    askedAt: -Infinity,
    claimants: {},
    draws: 0
  }
}

/**
 * What a peer does about its place in the swarm: a reducer, called at `wakeAt`
 * and whenever records, measurements, confirmations or its own ranges have
 * changed. The caller does the actions, announces what is to be announced, and
 * calls again. docs/placement.md has the rules.
 *
 * A call goes through several phases where nothing is to be waited for; after an
 * action that changes what is hosted it waits for that.
 */
export function decideMove (state: PlacementState, view: PlacementView, own: OwnPlace, now: number, timing: PlacementTiming = PLACEMENT_TIMING): PlacementStep {
  const noted = { ...state, claimants: noteClaimants(state.claimants, view.records, now, timing) }
  const context: Context = { view, own, now, timing, state: noted, actions: [], wakeAt: Infinity }
  let phase: PlacementPhase
  do {
    phase = context.state.phase
    phases[phase](context)
  } while (context.state.phase !== phase && !context.actions.some(({ type }) => changesHosted.has(type)))
  const wakeAt = Math.min(context.wakeAt, now + jitter(context, timing.check))
  return { state: context.state, actions: context.actions, announcement: announcementOf(context.state), wakeAt }
}

function announcementOf ({ phase, range, claim, beside, withdrawnAt }: PlacementState): PlacementStep['announcement'] {
  const old: PlacementRange[] = range === undefined ? [] : [{ range, state: withdrawnAt === undefined ? 'serving' : 'draining' }]
  if (claim === undefined) return { ranges: old }
  if (phase === 'joining' || phase === 'claiming') return { ranges: old, claim }
  const loaded = beside && (phase === 'leaving' || phase === 'draining')
  const ranges: PlacementRange[] = [...old, { range: claim.range, state: loaded ? 'serving' : 'joining' }]
  // who serves both, and leaves neither, claims nothing
  return loaded && withdrawnAt === undefined ? { ranges } : { ranges, claim }
}
