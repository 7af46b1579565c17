import { PREFIX_STRIDE } from '../constants.ts'
import type { EngineJob } from '../engine-queue.ts'
import type { Link } from '../link.ts'
import type { Subscription } from '../link-pool.ts'
import type { NamedSession } from '../prefix-cache.ts'

/** A step that was accepted and is not passed on yet. */
export interface PendingStep {
  sequence: number
  byteLength: number
  job: EngineJob
  timer?: NodeJS.Timeout
}

/** What a stage keeps about a session. Plain data; the stage server acts on it. */
export interface StageSession {
  readonly id: string
  /** PeerIds that noise authenticated, or that the client named */
  readonly client: string
  readonly clientLink: Link
  /** the session of the engine, and the names that its client has given to its positions */
  readonly named: NamedSession
  readonly capacity: number
  /** positions of the capacity that room is set aside for */
  readonly promised: number
  epoch: number
  stage: number
  stages: number
  upstream: string
  downstream: string
  /** steps are taken from here only */
  upstreamLink?: Link
  /** results go here */
  downstreamLink?: Link
  /** where the downstream is another stage */
  subscription?: Subscription
  /** for the downstream's confirmation; gone once used */
  nonce?: Uint8Array
  openTimer?: NodeJS.Timeout
  pending: Map<number, PendingStep>
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

export function takesFrom (session: StageSession | undefined, link: Link): session is StageSession {
  return session !== undefined && session.upstreamLink === link
}

export function controlledBy (session: StageSession | undefined, link: Link): session is StageSession {
  return session !== undefined && session.clientLink === link
}
