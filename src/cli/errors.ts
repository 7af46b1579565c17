import { constants } from 'node:os'

/** What was typed cannot be meant. Exit code 2. */
export class UsageError extends Error {
  override name = 'UsageError'
  readonly code = 'ERR_USAGE'
  readonly retryable = false
  readonly hint: string | undefined

  constructor (message: string, hint?: string) {
    super(message)
    this.hint = hint
  }
}

/** The user asked to stop: by Ctrl-C, exit code 130, or by SIGTERM, exit code 143. */
export class InterruptedError extends Error {
  override name = 'InterruptedError'
  readonly code = 'ERR_INTERRUPTED'
  readonly retryable = true
  readonly signal: NodeJS.Signals
  /** 128 + number of the signal, as shells have it */
  readonly exitCode: number

  constructor (signal: NodeJS.Signals) {
    super('interrupted')
    this.signal = signal
    this.exitCode = 128 + constants.signals[signal]
  }
}

/** A peer process of a swarm ended before it was asked to. Says which, how, and its last words. */
export class PeerProcessError extends Error {
  override name = 'PeerProcessError'
  readonly code = 'ERR_PEER_PROCESS'
  readonly retryable = true
  /** number of the peer, from 1 */
  readonly peer: number

  constructor (peer: number, peers: number, reason: string, options?: { cause?: unknown }) {
    super(`peer ${peer} of ${peers} ${reason}`, options)
    this.peer = peer
  }
}

/** All peer processes of a swarm have ended, one after the other. */
export class SwarmEndedError extends Error {
  override name = 'SwarmEndedError'
  readonly code = 'ERR_SWARM_ENDED'
  readonly retryable = true

  constructor (peers: number) {
    super(peers === 1 ? 'the peer has ended' : `all ${peers} peers have ended`)
  }
}

/** Another running process uses the data directory: two peers with one key would be taken for one peer. */
export class DataDirectoryInUseError extends Error {
  override name = 'DataDirectoryInUseError'
  readonly code = 'ERR_DATA_DIRECTORY_IN_USE'
  readonly retryable = false
  readonly hint: string

  constructor (directory: string, pid: number) {
    super(`${directory}: in use by another peer (process ${pid})`)
    this.hint = 'give this peer its own directory with --data-dir, or an identity that is not kept with --ephemeral'
  }
}
