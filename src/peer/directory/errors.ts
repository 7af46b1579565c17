/** Failures of finding and announcing. Forged or stale records are no errors: they are dropped, and counted. */
import { PeerError } from '../errors.ts'

export class InvalidInviteError extends PeerError {
  constructor (problem: string) {
    super('InvalidInviteError', 'ERR_INVALID_INVITE', `this is no invite: ${problem}`)
  }
}

export class NetworkKeyError extends PeerError {
  constructor (problem: string) {
    super('NetworkKeyError', 'ERR_NETWORK_KEY', `network key: ${problem}`)
  }
}

export class InvalidPeerIdError extends PeerError {
  constructor (text: string) {
    super('InvalidPeerIdError', 'ERR_INVALID_PEER_ID', `${text.slice(0, 80)}: is no peer id`)
  }
}

/** The peer has been asked too much, and answers later. */
export class DirectoryBusyError extends PeerError {
  constructor (peer: string) {
    super('DirectoryBusyError', 'ERR_DIRECTORY_BUSY', `peer ${peer} has been asked too often`, { retryable: true })
  }
}
