import { SessionEvictedError, StageFailedError, StageLostError, StageRefusedError, StageStalledError } from '../errors.ts'
import type { StageError, StagePlace } from '../errors.ts'
import { ErrorCode } from '../wire/index.ts'
import type { ErrorRecord } from '../wire/index.ts'

/**
 * The stage at fault: a stage may name itself or one of its neighbours, nobody
 * else; both name and PeerId must be those of the route.
 */
export function accusedStage (record: ErrorRecord, sender: StagePlace, places: readonly StagePlace[]): StagePlace {
  const accused = places.find(place => place.stage === record.stage && place.peerId === record.peer)
  return accused !== undefined && Math.abs(accused.stage - sender.stage) <= 1 ? accused : sender
}

export function stageError (record: ErrorRecord, place: StagePlace, opening: boolean): StageError {
  const { code, message, retryable, sessionLost } = record
  switch (code) {
    case ErrorCode.peerLost:
    case ErrorCode.stopping:
      return new StageLostError(place, message)
    case ErrorCode.stalled:
      return new StageStalledError(place, message)
    case ErrorCode.evicted:
      return new SessionEvictedError(place, message)
    default:
      return opening
        ? new StageRefusedError(place, message, retryable)
        : new StageFailedError(place, message, { retryable, sessionLost })
  }
}
