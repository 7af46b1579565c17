import { hashToShare } from '../hash.ts'
import { placeOthers, unitThroughput } from './throughput.ts'
import type { PlacedPeer } from './throughput.ts'
import type { OwnPlace, PlacementAction, PlacementClaim, PlacementState, PlacementTiming, PlacementView } from './types.ts'

/** One call of the reducer: what it is told, and what comes of it so far. */
export interface Context {
  readonly view: PlacementView
  readonly own: OwnPlace
  readonly now: number
  readonly timing: PlacementTiming
  state: PlacementState
  readonly actions: PlacementAction[]
  wakeAt: number
}

export function change (context: Context, state: Partial<PlacementState>): void {
  context.state = { ...context.state, ...state }
}

/** Begins a phase. */
export function enter (context: Context, phase: PlacementState['phase'], state: Partial<PlacementState> = {}): void {
  change(context, { ...state, phase, since: context.now })
}

export function act (context: Context, ...actions: PlacementAction[]): void {
  context.actions.push(...actions)
}

/** Asks to be called again at a time, if not earlier. */
export function wake (context: Context, at: number): void {
  context.wakeAt = Math.min(context.wakeAt, Math.max(at, context.now))
}

/** A number in [0, 1), another one at every call, and the same in every run. */
export function draw (context: Context): number {
  const { state: { draws }, own: { peerId } } = context
  change(context, { draws: draws + 1 })
  return hashToShare(`${peerId} ${draws}`)
}

/** From half of a time to one and a half. */
export function jitter (context: Context, milliseconds: number): number {
  return milliseconds * (0.5 + draw(context))
}

export function others ({ view, own, state, now, timing }: Context): PlacedPeer[] {
  return placeOthers(view, own, state, now, timing)
}

export function throughputOf ({ own }: Context, peers: readonly PlacedPeer[]): Float64Array {
  return unitThroughput(peers, own.unitWork)
}

export function hostedState ({ own }: Context, { range }: Pick<PlacementClaim, 'range'>): OwnPlace['hosted'][number]['state'] | undefined {
  return own.hosted.find(hosted => hosted.range.from === range.from && hosted.range.to === range.to)?.state
}

/** Gives the claim up: what was loaded for it goes, and the word of a load that failed. */
export function giveUp (context: Context, pause: number): void {
  const { state: { claim, range }, now } = context
  act(context, { type: 'cancel', claim: claim! })
  if (hostedState(context, claim!) !== undefined) act(context, { type: 'drop', range: claim!.range })
  enter(context, range === undefined ? 'joining' : 'resting', { claim: undefined, withdrawnAt: undefined, need: undefined, pauseUntil: now + pause })
}

/** The claimed range is what the peer serves now. */
export function arrive (context: Context): void {
  const { state: { claim }, now, timing } = context
  enter(context, 'resting', {
    range: claim!.range, claim: undefined, withdrawnAt: undefined, need: undefined, restUntil: now + jitter(context, timing.rest), pauseUntil: now + timing.pause
  })
}
