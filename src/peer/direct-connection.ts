import type { Connection, Libp2p } from '@libp2p/interface'
import { HOLE_PUNCH_MILLISECONDS } from './constants.ts'
import { RelayedOnlyError } from './errors.ts'

/**
 * A connection that activations may take. One through a relay of strangers is
 * for control alone; but while it lasts, the other side tries to make a direct
 * one of it. Throws RelayedOnlyError, or the signal's reason.
 */
export async function untilDirect (libp2p: Libp2p, connection: Connection, signal: AbortSignal): Promise<Connection> {
  const { remotePeer } = connection
  // through a relay without limits, which only our own have, everything may go
  const direct = (): Connection | undefined => [connection, ...libp2p.getConnections(remotePeer)].find(({ status, limits }) => status === 'open' && limits === undefined)
  const present = direct()
  if (present !== undefined) return present
  const deadline = AbortSignal.any([signal, AbortSignal.timeout(HOLE_PUNCH_MILLISECONDS)])
  await new Promise<void>(resolve => {
    const done = (): void => {
      libp2p.removeEventListener('connection:open', check)
      deadline.removeEventListener('abort', done)
      resolve()
    }
    const check = (): void => { if (direct() !== undefined) done() }
    libp2p.addEventListener('connection:open', check)
    deadline.addEventListener('abort', done)
    if (deadline.aborted) done()
  })
  signal.throwIfAborted()
  const upgraded = direct()
  if (upgraded === undefined) throw new RelayedOnlyError(remotePeer.toString())
  return upgraded
}
