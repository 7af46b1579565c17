import { HistoryLostError, SessionEvictedError, StageError, StageFailedError, StageLostError, StageRefusedError, StageStalledError } from '../errors.ts'
import type { StagePlace } from '../errors.ts'
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

/** What a stage says, as an error of this client. `places`: the stages of its chain; `opening`: the session has not run yet on this route. */
export function stageError (record: ErrorRecord, sender: StagePlace, places: readonly StagePlace[], opening: boolean): StageError {
  const { code, message, retryable, sessionLost } = record
  const place = accusedStage(record, sender, places)
  const neighbour = place === sender ? undefined : sender.peerId
  switch (code) {
    case ErrorCode.peerLost:
    case ErrorCode.stopping:
      return new StageLostError(place, message, { neighbour })
    case ErrorCode.stalled:
      return new StageStalledError(place, message)
    case ErrorCode.evicted:
    case ErrorCode.expired:
      return new SessionEvictedError(place, message)
    case ErrorCode.historyLost:
      return new HistoryLostError(place, message)
    case ErrorCode.dial:
    case ErrorCode.confirmation:
      // it is the hop that cannot be, and it takes two
      return new StageRefusedError(place, message, { retryable, neighbour: places.find(({ stage }) => stage === sender.stage + 1)?.peerId })
    default:
      return opening
        ? new StageRefusedError(place, message, { retryable })
        : new StageFailedError(place, message, { retryable, sessionLost })
  }
}

/** Whatever was thrown while a stage was spoken with, as its failure. */
export function asStageError (error: Error, place: StagePlace): StageError {
  return error instanceof StageError ? error : new StageFailedError(place, error.message, { sessionLost: true, cause: error })
}
