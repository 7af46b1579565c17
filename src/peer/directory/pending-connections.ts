import { hostOf } from './host-of.ts'

/** What is needed of a libp2p `MultiaddrConnection`. */
export interface PendingConnection {
  remoteAddr: { toString (): string }
  addEventListener (type: 'close', listener: () => void): void
  abort (error: Error): void
}

/** Connections whose other side has not proved yet who it is. */
export interface PendingConnections {
  readonly size: number
  /**
   * One has come. Where there are too many, the host that has most of them
   * loses the one that it has longest: who only connects and says nothing
   * cannot keep others out, not even from the same host.
   */
  add (connection: PendingConnection): void
  /** it has proved who it is, or is gone */
  remove (connection: PendingConnection): void
}

export function createPendingConnections (maximum: number): PendingConnections {
  const hosts = new Map<string, Set<PendingConnection>>()
  let size = 0

  function remove (connection: PendingConnection): void {
    const host = hostOf(connection.remoteAddr.toString())
    const own = hosts.get(host)
    if (own?.delete(connection) !== true) return
    size--
    if (own.size === 0) hosts.delete(host)
  }

  return {
    get size () {
      return size
    },
    add (connection) {
      const host = hostOf(connection.remoteAddr.toString())
      const own = hosts.get(host) ?? new Set()
      hosts.set(host, own.add(connection))
      size++
      connection.addEventListener('close', () => remove(connection))
      if (size <= maximum) return
      const [oldest] = [...hosts.values()].reduce((most, one) => one.size > most.size ? one : most)
      remove(oldest)
      oldest.abort(new Error('it did not say who it is, and others want to connect'))
    },
    remove
  }
}
