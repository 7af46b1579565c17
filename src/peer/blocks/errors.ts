import { PeerError } from '../errors.ts'

/** No peer that was named has, or will give, what is needed. What has come is kept for another try. */
export class BlocksUnavailableError extends PeerError {
  constructor (what: string, reasons: readonly string[]) {
    super('BlocksUnavailableError', 'ERR_BLOCKS_UNAVAILABLE', `no peer gives ${what}${reasons.length > 0 ? `: ${reasons.join('; ')}` : ''}`, { retryable: true })
  }
}

/** A peer sent bytes that do not have the hash they were asked for by. It is not asked again. */
export class WrongBytesError extends PeerError {
  readonly peer: string

  constructor (peer: string, what: string) {
    super('WrongBytesError', 'ERR_WRONG_BYTES', `peer ${peer} sent wrong bytes for ${what}`)
    this.peer = peer
  }
}
