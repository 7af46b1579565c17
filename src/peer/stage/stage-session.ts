import { PREFIX_STRIDE } from '../constants.ts'
import type { EngineJob } from '../engine-queue.ts'
import type { UnitRange } from '../../model/index.ts'
import type { Link } from '../link.ts'
import type { Subscription } from '../link-pool.ts'
import type { NamedSession } from '../prefix-cache.ts'
import type { KeptHistory } from './history/kept-outputs.ts'
import type { Giving } from './giver.ts'
import type { Host } from './host.ts'
import type { Failure } from './replies.ts'
import type { Source, Taking } from './taker.ts'

/** A step that was accepted and is not passed on yet. */
export interface PendingStep {
  sequence: number
  position: number
  byteLength: number
  job: EngineJob
  timer?: NodeJS.Timeout
}

/** A replay that was asked for and is not sent yet. */
export interface PendingReplay {
  sequence: number
  position: number
  rows: number
  until: number
  deadline: number
  arrived: number
  timer?: NodeJS.Timeout
}

/** The place of a session in its route, from one `open` to the next one. */
export interface Binding {
  readonly epoch: number
  readonly stage: number
  readonly stages: number
  readonly upstream: string
  readonly downstream: string
  /** steps are taken from here only */
  upstreamLink?: Link
  /** results go here */
  downstreamLink?: Link
  /** where the downstream is another stage */
  subscription?: Subscription
  /** for the downstream's confirmation; gone once used */
  nonce?: Uint8Array
  /** the same, for a peer that gives keys and values; gone once used */
  takeNonce?: Uint8Array
  /** the peer that gives them */
  source?: Source
  /** why the session is suspended */
  lost?: Failure
  /** what has been begun for this binding ends with it */
  readonly over: AbortController
}

/** What a stage keeps about a session. Plain data; the stage server acts on it. */
export interface StageSession {
  readonly id: string
  /** PeerIds that noise authenticated, or that the client named */
  readonly client: string
  readonly clientLink: Link
  readonly host: Host
  /** units that it runs: all of the host's or some */
  readonly range: UnitRange
  readonly takesTokens: boolean
  readonly hostsHead: boolean
  /** the session of the engine, and the names that its client has given to its positions */
  readonly named: NamedSession
  /** outputs of its positions; nothing where it hosts the head */
  readonly history?: KeptHistory
  readonly capacity: number
  /** positions of the capacity that room is set aside for */
  readonly promised: number
  binding: Binding
  /** the upstream's stream of the binding before: what still comes from there is not worth a word */
  formerUpstreamLink?: Link
  /** it has been complete once, so that there is something to keep for a rebinding */
  established: boolean
  /** ends an opening that is not completed, or a suspension */
  timer?: NodeJS.Timeout
  pending: Map<number, PendingStep>
  /** in the order in which they are sent */
  replays: PendingReplay[]
  /** who may fetch its keys and values */
  giving?: Giving
  /** keys and values that are on their way to it */
  taking?: Taking
  /** positions once all accepted steps have run */
  expectedLength: number
  lastSequence: number
  finishedSequence: number
  /** steps below are dropped wherever they are */
  cancelledBelow: number
  /** the last step that replaced positions: names of what was there before it come too late */
  rewrittenAt: number
  lastActivity: number
  closed: boolean
}

/** Positions from `length` on are going to be others: their names no longer hold. */
export function cutNames ({ named: { names } }: StageSession, length: number): void {
  names.length = Math.min(names.length, Math.floor(length / PREFIX_STRIDE))
}

/** Whether steps of a link are taken, or fell behind and are not worth a word. Anybody else is a stranger. */
export function stepRole (session: StageSession | undefined, link: Link, epoch: number): 'upstream' | 'late' | 'stranger' {
  if (session === undefined) return 'stranger'
  const { binding, formerUpstreamLink } = session
  if (binding.upstreamLink === link) return epoch === binding.epoch && binding.lost === undefined ? 'upstream' : 'late'
  return formerUpstreamLink === link && epoch < binding.epoch ? 'late' : 'stranger'
}

export function controlledBy (session: StageSession | undefined, link: Link): session is StageSession {
  return session !== undefined && session.clientLink === link
}

/** Both neighbours are there. */
export function complete ({ upstreamLink, downstreamLink, lost }: Binding): boolean {
  return upstreamLink !== undefined && downstreamLink !== undefined && lost === undefined
}

/** The stage before, as the one at fault. */
export function upstreamOf ({ stage, upstream }: Binding): { stage: number, peer: string } {
  return { stage: stage - 1, peer: upstream }
}

export function downstreamOf ({ stage, downstream }: Binding): { stage: number, peer: string } {
  return { stage: stage + 1, peer: downstream }
}
