/** One named class for each failure. `retryable` says whether the same request may succeed later or elsewhere. */
import type { UnitRange } from '../model/index.ts'

export class PeerError extends Error {
  readonly code: string
  readonly retryable: boolean

  constructor (name: string, code: string, message: string, options: { retryable?: boolean, cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.name = name
    this.code = code
    this.retryable = options.retryable ?? false
  }
}

export class NotStartedError extends PeerError {
  constructor () {
    super('NotStartedError', 'ERR_NOT_STARTED', 'the node is not started')
  }
}

export class KeyFileError extends PeerError {
  constructor (path: string, problem: string, cause?: unknown) {
    super('KeyFileError', 'ERR_KEY_FILE', `${path}: ${problem}`, { cause })
  }
}

export class InvalidAddressError extends PeerError {
  constructor (address: string, problem: string, cause?: unknown) {
    super('InvalidAddressError', 'ERR_INVALID_ADDRESS', `${address}: ${problem}`, { cause })
  }
}

export class PeerUnreachableError extends PeerError {
  readonly peer: string

  constructor (peer: string, cause?: unknown) {
    super('PeerUnreachableError', 'ERR_PEER_UNREACHABLE', `peer ${peer} cannot be reached${reason(cause)}`, { retryable: true, cause })
    this.peer = peer
  }
}

/** There is a way to the peer, but only for small things. */
export class RelayedOnlyError extends PeerError {
  readonly hint = 'let its port be forwarded, or let one of you run a peer with --relay'

  constructor (peer: string) {
    super('RelayedOnlyError', 'ERR_RELAYED_ONLY', `peer ${peer} can be reached only through a relay of others, which carries no activations`, { retryable: true })
  }
}

/** The rules for connections on a client's behalf forbid this one. */
export class DialRefusedError extends PeerError {
  constructor (peer: string, problem: string) {
    super('DialRefusedError', 'ERR_DIAL_REFUSED', `no connection to peer ${peer}: ${problem}`)
  }
}

export class IncompatibleVersionError extends PeerError {
  constructor (peer: string, protocol: string, cause?: unknown) {
    super('IncompatibleVersionError', 'ERR_INCOMPATIBLE_VERSION', `peer ${peer} does not speak ${protocol}: it runs another version, or is no peer of this software`, { cause })
  }
}

export class DeadlineError extends PeerError {
  constructor (what: string, milliseconds: number) {
    super('DeadlineError', 'ERR_DEADLINE', `${what}: no answer within ${Math.round(milliseconds)} ms`, { retryable: true })
  }
}

/** Bytes from a peer that break the protocol. */
export class FrameError extends PeerError {
  readonly field: string

  constructor (field: string, problem: string) {
    super('FrameError', 'ERR_FRAME', `frame: ${field} ${problem}`)
    this.field = field
  }
}

/** A peer that speaks another version of the frame format. */
export class FrameVersionError extends FrameError {
  constructor (version: number) {
    super('version', `is ${version}, this software speaks 1`)
    this.name = 'FrameVersionError'
  }
}

export class NothingHostedError extends PeerError {
  constructor (peer: string) {
    super('NothingHostedError', 'ERR_NOTHING_HOSTED', `peer ${peer} hosts no part of a model`)
  }
}

export class OtherModelError extends PeerError {
  constructor (peer: string, expected: string, actual: string) {
    super('OtherModelError', 'ERR_OTHER_MODEL', `peer ${peer} hosts model ${actual.slice(0, 12)}…, not ${expected.slice(0, 12)}…: another file, conversion or numerics profile; mixing them would give wrong text`)
  }
}

export class RangeGapError extends PeerError {
  /** unit numbers that nobody hosts */
  readonly missing: number[]

  constructor (missing: number[], names: string, cause?: unknown) {
    super('RangeGapError', 'ERR_RANGE_GAP', `no peer hosts ${names}`, { retryable: true, cause })
    this.missing = missing
  }
}

/**
 * A session has lost stages and nobody has gone on with them in time. It holds
 * what it held: its next step looks for a route again.
 */
export class RouteLostError extends PeerError {
  /** unit numbers that nobody hosts; empty where there were peers, and all of them failed */
  readonly missing: number[]

  constructor (milliseconds: number, missing: number[], names: string, cause?: Error) {
    const problem = missing.length > 0 ? `nobody hosts ${names}` : 'every other route failed too'
    super('RouteLostError', 'ERR_ROUTE_LOST', `the session has lost its route, and ${problem}, ${(milliseconds / 1000).toFixed(1)} s after it began to look${reason(cause)}`, { retryable: true, cause })
    this.missing = missing
  }
}

/** Arguments of `step`, `truncate` or of an init object that cannot be right. */
export class InvalidRequestError extends PeerError {
  constructor (message: string) {
    super('InvalidRequestError', 'ERR_INVALID_REQUEST', message)
  }
}

export class CapacityError extends PeerError {
  constructor (positions: number, capacity: number) {
    super('CapacityError', 'ERR_CAPACITY', `the session would need ${positions} positions, it has ${capacity}`)
  }
}

export class SessionClosedError extends PeerError {
  constructor (cause?: unknown) {
    super('SessionClosedError', 'ERR_SESSION_CLOSED', `the session is closed${reason(cause)}`, { cause })
  }
}

export interface StagePlace {
  /** from 1, over the whole route */
  stage: number
  /** undefined for a stage of this machine */
  peerId?: string
  range: UnitRange
}

/** Something went wrong at one stage of a route; the message names stage, peer and units. */
export class StageError extends PeerError implements StagePlace {
  readonly stage: number
  readonly peerId: string | undefined
  readonly range: UnitRange
  /** the stage holds nothing of the session any more */
  readonly sessionLost: boolean
  /** PeerId of the neighbour that says so, or that the stage cannot work with; undefined where this client has seen it, or the stage speaks of itself */
  readonly neighbour: string | undefined

  constructor (name: string, code: string, place: StagePlace, problem: string, options: { retryable: boolean, sessionLost: boolean, neighbour?: string, cause?: unknown }) {
    super(name, code, `stage ${place.stage} (${place.peerId === undefined ? 'local' : `peer ${place.peerId}`}, units ${place.range.from}:${place.range.to}) ${problem}`, options)
    this.stage = place.stage
    this.peerId = place.peerId
    this.range = place.range
    this.sessionLost = options.sessionLost
    this.neighbour = options.neighbour
  }
}

/** The stage does not take the session: full, other model, other range, not confirmed. */
export class StageRefusedError extends StageError {
  constructor (place: StagePlace, problem: string, options: { retryable: boolean, neighbour?: string }) {
    super('StageRefusedError', 'ERR_STAGE_REFUSED', place, `refuses the session: ${problem}`, { sessionLost: true, ...options })
  }
}

/** The stage, or the way to it, is gone. */
export class StageLostError extends StageError {
  constructor (place: StagePlace, problem: string, options: { neighbour?: string, cause?: unknown } = {}) {
    super('StageLostError', 'ERR_STAGE_LOST', place, `is lost: ${problem}`, { retryable: true, sessionLost: true, ...options })
  }
}

/** The stage lives, but did not finish in time. */
export class StageStalledError extends StageError {
  constructor (place: StagePlace, problem: string) {
    super('StageStalledError', 'ERR_STAGE_STALLED', place, `has stalled: ${problem}`, { retryable: true, sessionLost: true })
  }
}

/** The stage has ended the session, which was idle, because others wanted its KV cache. */
export class SessionEvictedError extends StageError {
  readonly hint = 'it was idle for too long: start it again; what it held has to be computed anew'

  constructor (place: StagePlace, problem: string) {
    super('SessionEvictedError', 'ERR_SESSION_EVICTED', place, `has ended the session: ${problem}`, { retryable: true, sessionLost: true })
  }
}

/** The stage could not run a step. */
export class StageFailedError extends StageError {
  constructor (place: StagePlace, problem: string, options: { retryable?: boolean, sessionLost?: boolean, cause?: unknown } = {}) {
    super('StageFailedError', 'ERR_STAGE_FAILED', place, `failed: ${problem}`, { retryable: options.retryable ?? false, sessionLost: options.sessionLost ?? false, cause: options.cause })
  }
}

/** The stage no longer has outputs that it was to replay; it still holds the session. */
export class HistoryLostError extends StageError {
  constructor (place: StagePlace, problem: string) {
    super('HistoryLostError', 'ERR_HISTORY_LOST', place, `cannot replay: ${problem}`, { retryable: true, sessionLost: false })
  }
}

function reason (cause: unknown): string {
  return cause instanceof Error && cause.message !== '' ? `: ${cause.message}` : ''
}
