import type { Connection } from '@libp2p/interface'
import { STAGE_PROTOCOL, STAGE_SHARE_OF_DEADLINE } from '../constants.ts'
import { StageLostError } from '../errors.ts'
import type { StageError } from '../errors.ts'
import type { LinkPool, Subscription } from '../link-pool.ts'
import type { StageDescription } from '../types.ts'
import { Kind } from '../wire/index.ts'
import type { Frame, FrameInit, KindNumber } from '../wire/index.ts'

/** Who is told what a stage sends, and what becomes of it. */
export interface StageListener {
  /** what is no reply to a request */
  onFrame (frame: Frame): void
  /** an error in reply to a request, in the client's words */
  explain (frame: Frame): StageError
  /** the stream has ended */
  onLost (error: StageError): void
}

/** A peer as one stage of one session, for as long as the session uses it: its stream, and requests on it. */
export interface RemoteStage {
  readonly peerId: string
  /** in the route of the present epoch */
  readonly place: StageDescription & { peerId: string }
  /** it speaks a version of the protocol in which keys and values can be moved */
  readonly movesKeyValues: boolean
  /** set once the stream has ended */
  readonly lost: StageError | undefined
  /** Begins an epoch: frames of the ones before are dropped, and requests that are under way fail. */
  enter (epoch: number, place: StageDescription, listener: StageListener): void
  /** Opens the stream, or joins the one that is there. Throws StageLostError, IncompatibleVersionError. */
  subscribe (signal: AbortSignal): Promise<void>
  send (frame: Omit<FrameInit, 'session' | 'epoch'>): void
  /** Sends and waits for the reply; an error in reply is thrown, and so is StageLostError after so many milliseconds. */
  request (frame: Omit<FrameInit, 'session' | 'epoch' | 'sequence'>, expected: KindNumber, milliseconds: number, sequence?: number): Promise<Frame>
  /** requests under way fail */
  fail (error: Error): void
  /** Idempotent; the stage is told that the session ends there. `silent`: it does not answer, so the stream is given up, and with it those of other sessions */
  release (options?: { silent?: boolean }): void
}

export interface RemoteStageInit {
  session: string
  peerId: string
  links: LinkPool
  connect: (signal: AbortSignal) => Promise<Connection>
  /** gives up all connections to a peer that does not answer on an open one */
  disconnect: () => void
}

/** Requests have numbers of their own, far from those of steps. */
const FIRST_CONTROL_NUMBER = 0x80000000

interface PendingReply {
  expected: KindNumber
  resolve: (frame: Frame) => void
  reject: (error: Error) => void
}

export function createRemoteStage ({ session, peerId, links, connect, disconnect }: RemoteStageInit): RemoteStage {
  const replies = new Map<number, PendingReply>()
  let place: RemoteStage['place']
  let listener: StageListener
  let epoch = 0
  /** the one that the stage has heard of */
  let openedEpoch = 0
  let number = FIRST_CONTROL_NUMBER
  let subscription: Subscription | undefined
  let lost: StageError | undefined
  let released = false

  function onFrame (frame: Frame): void {
    if (frame.epoch !== epoch || released) return
    const pending = replies.get(frame.sequence)
    if (pending === undefined) return listener.onFrame(frame)
    if (frame.kind === Kind.error) pending.reject(listener.explain(frame))
    else if (frame.kind === pending.expected) pending.resolve(frame)
    else listener.onFrame(frame)
  }

  function onClose (error: Error | undefined): void {
    if (released) return
    lost = new StageLostError(place, error === undefined ? 'it closed the connection' : `the connection broke (${error.message})`, { cause: error })
    stage.fail(lost)
    listener.onLost(lost)
  }

  const stage: RemoteStage = {
    peerId,
    get place () {
      return place
    },
    get movesKeyValues () {
      return subscription?.link.protocol === STAGE_PROTOCOL
    },
    get lost () {
      return lost
    },
    enter (newEpoch, newPlace, newListener) {
      stage.fail(new StageLostError(newPlace, 'the route has changed'))
      epoch = newEpoch
      place = { ...newPlace, peerId }
      listener = newListener
    },
    async subscribe (signal) {
      if (subscription !== undefined) return
      try {
        const made = await links.subscribe(peerId, session, { onFrame, onClose }, connect, signal)
        if (released) made.release()
        else subscription = made
      } catch (error) {
        if ((error as { code?: string }).code === 'ERR_INCOMPATIBLE_VERSION') throw error
        throw new StageLostError(place, (error as Error).message, { cause: error })
      }
    },
    send (frame) {
      if (frame.kind === Kind.open) openedEpoch = epoch
      subscription?.link.send({ ...frame, session, epoch })
    },
    async request (frame, expected, milliseconds, sequence = ++number) {
      if (lost !== undefined) throw lost
      const { promise, resolve, reject } = Promise.withResolvers<Frame>()
      const pending = { expected, resolve, reject }
      replies.set(sequence, pending)
      const timer = setTimeout(() => reject(new StageLostError(place, `no reply within ${Math.round(milliseconds)} ms`)), milliseconds)
      try {
        stage.send({ ...frame, sequence, deadline: frame.deadline ?? Math.max(1, Math.floor(milliseconds * STAGE_SHARE_OF_DEADLINE)) })
        return await promise
      } finally {
        clearTimeout(timer)
        if (replies.get(sequence) === pending) replies.delete(sequence)
      }
    },
    fail (error) {
      for (const { reject } of replies.values()) reject(error)
      replies.clear()
    },
    release ({ silent = false } = {}) {
      if (released) return
      // an attempt may have ended before the stage was told of it
      if (openedEpoch > 0) subscription?.link.send({ kind: Kind.close, session, epoch: openedEpoch, sequence: 0 })
      released = true
      subscription?.release()
      if (silent && lost === undefined && subscription !== undefined) {
        subscription.link.abort(new StageLostError(place, 'it gives no sign of life'))
        disconnect()
      }
      stage.fail(new StageLostError(place, 'the session no longer uses it'))
    }
  }
  return stage
}
