import type { EngineJob } from '../engine-queue.ts'
import type { Link } from '../link.ts'
import type { Subscription } from '../link-pool.ts'

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
  readonly engineSession: number
  readonly capacity: number
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
  lastActivity: number
  closed: boolean
}

export function takesFrom (session: StageSession | undefined, link: Link): session is StageSession {
  return session !== undefined && session.upstreamLink === link
}

export function controlledBy (session: StageSession | undefined, link: Link): session is StageSession {
  return session !== undefined && session.clientLink === link
}
