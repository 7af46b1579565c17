import type { Connection, Logger } from '@libp2p/interface'
import { LINK_LINGER_MILLISECONDS, MAXIMUM_FRAME_BYTES, STAGE_PROTOCOL, STAGE_PROTOCOLS } from './constants.ts'
import { IncompatibleVersionError, PeerUnreachableError, SessionClosedError } from './errors.ts'
import { createLink } from './link.ts'
import type { Link } from './link.ts'
import type { Frame } from './wire/index.ts'

export interface Subscriber {
  onFrame: (frame: Frame) => void
  onClose: (error: Error | undefined) => void
}

/** A session's share of the stream to a peer. */
export interface Subscription {
  readonly link: Link
  release (): void
}

/** The streams this node has opened: one for each peer, shared by all sessions, kept a while without any. */
export interface LinkPool {
  /** aborted when the pool stops: nothing can be opened any more */
  readonly stopped: AbortSignal
  /** `connect` is called only where there is no stream yet */
  subscribe (peer: string, session: string, subscriber: Subscriber, connect: (signal: AbortSignal) => Promise<Connection>, signal: AbortSignal): Promise<Subscription>
  stop (): Promise<void>
}

interface Entry {
  link: Link
  subscribers: Map<string, Subscriber>
  linger?: NodeJS.Timeout
}

export function createLinkPool (log: Logger): LinkPool {
  const opening = new Map<string, Promise<Entry>>()
  const entries = new Map<string, Entry>()
  const stopping = new AbortController()

  async function open (peer: string, connect: (signal: AbortSignal) => Promise<Connection>, signal: AbortSignal): Promise<Entry> {
    let connection
    try {
      connection = await connect(signal)
      const stream = await connection.newStream(STAGE_PROTOCOLS, { signal })
      const subscribers = new Map<string, Subscriber>()
      const link = createLink({
        stream,
        peer,
        remoteAddress: connection.remoteAddr.toString(),
        cap: MAXIMUM_FRAME_BYTES,
        log,
        handlers: {
          onFrame: frame => subscribers.get(frame.session)?.onFrame(frame),
          onClose: (_link, error) => {
            clearTimeout(entry.linger)
            if (entries.get(peer) === entry) entries.delete(peer)
            const lost = [...subscribers.values()]
            subscribers.clear()
            for (const subscriber of lost) subscriber.onClose(error)
          }
        }
      })
      const entry: Entry = { link, subscribers }
      if (stopping.signal.aborted) {
        link.abort(new SessionClosedError())
        throw new SessionClosedError()
      }
      entries.set(peer, entry)
      return entry
    } catch (error) {
      if ((error as Error).name === 'UnsupportedProtocolError') throw new IncompatibleVersionError(peer, STAGE_PROTOCOL, error)
      if (['DialRefusedError', 'RelayedOnlyError'].includes((error as Error).name)) throw error
      throw new PeerUnreachableError(peer, error)
    }
  }

  async function entryFor (peer: string, connect: (signal: AbortSignal) => Promise<Connection>, signal: AbortSignal): Promise<Entry> {
    const present = entries.get(peer)
    if (present !== undefined) return present
    const other = opening.get(peer)
    if (other !== undefined) {
      try {
        return await other
      } catch {
        // that attempt had its own deadline and its own permission to dial
      }
    }
    const again = entries.get(peer)
    if (again !== undefined) return again
    const promise = open(peer, connect, signal)
    opening.set(peer, promise)
    try {
      return await promise
    } finally {
      if (opening.get(peer) === promise) opening.delete(peer)
    }
  }

  return {
    stopped: stopping.signal,
    async subscribe (peer, session, subscriber, connect, signal) {
      const entry = await entryFor(peer, connect, signal)
      if (entry.link.closed) throw new PeerUnreachableError(peer)
      if (entry.subscribers.has(session)) throw new SessionClosedError(new Error('the session id is in use'))
      clearTimeout(entry.linger)
      entry.subscribers.set(session, subscriber)
      let released = false
      return {
        link: entry.link,
        release () {
          if (released) return
          released = true
          if (entry.subscribers.get(session) === subscriber) entry.subscribers.delete(session)
          if (entry.subscribers.size > 0 || entry.link.closed) return
          clearTimeout(entry.linger)
          entry.linger = setTimeout(() => { entry.link.close() }, LINK_LINGER_MILLISECONDS)
          entry.linger.unref()
        }
      }
    },
    async stop () {
      stopping.abort(new SessionClosedError(new Error('the node has stopped')))
      await Promise.all([...entries.values()].map(async entry => await entry.link.close()))
    }
  }
}
