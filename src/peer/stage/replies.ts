import type { Link } from '../link.ts'
import { encodeError, ErrorCode, Kind } from '../wire/index.ts'
import type { ErrorNumber, Frame, FrameInit } from '../wire/index.ts'

export interface Failure {
  code: ErrorNumber
  message: string
  retryable?: boolean
  sessionLost?: boolean
  /** the stage at fault and its PeerId, where known */
  stage?: number
  peer?: string
}

export function errorRecord (failure: Failure): Uint8Array {
  return encodeError({
    code: failure.code,
    message: failure.message,
    retryable: failure.retryable ?? false,
    sessionLost: failure.sessionLost ?? false,
    stage: failure.stage ?? 0,
    peer: failure.peer ?? ''
  })
}

/** Answers on the stream of the request, with its session, epoch and sequence number. */
export function reply (link: Link, request: Frame, answer: Omit<FrameInit, 'session' | 'epoch' | 'sequence'>): void {
  link.send({ ...answer, session: request.session, epoch: request.epoch, sequence: request.sequence })
}

export function refuse (link: Link, request: Frame, failure: Failure): void {
  reply(link, request, { kind: Kind.error, record: errorRecord(failure) })
}

/** The same words whether the session does not exist or is not the asker's. */
export function refuseStranger (link: Link, request: Frame, self: string): void {
  refuse(link, request, { code: ErrorCode.unknownSession, message: 'no such session', sessionLost: true, peer: self })
}
