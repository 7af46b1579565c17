import type { Connection, Logger, Stream } from '@libp2p/interface'
import { setTimeout as pause } from 'node:timers/promises'
import type { BlockStore } from '../../model/index.ts'
import type { PeerLimits } from '../types.ts'
import { createFramer } from '../wire/index.ts'
import type { Chunk } from '../wire/index.ts'
import { BLOCK_FRAME, BlockKind, BlockStatus, decodeBlockRequest, encodeBlockAnswer, REQUEST_CAP } from './codec.ts'
import type { BlockRequest } from './codec.ts'
import { IDLE_MILLISECONDS, LEAST_CHARGE_BYTES, REQUESTS_PER_PEER } from './constants.ts'
import { createRateLimit } from './rate-limit.ts'
import type { RateLimit } from './rate-limit.ts'

export interface BlockServerInit {
  store: BlockStore
  limits: Pick<PeerLimits, 'sharedBytesPerSecond' | 'sharedBytesPerSecondAndPeer'>
  log: Logger
}

/** Gives manifests and blocks to other peers (docs/protocol.md, Blocks). */
export interface BlockServer {
  accept (stream: Stream, connection: Connection): void
  stop (): void
}

interface Asker {
  limit: RateLimit
  /** requests that wait, over all streams */
  waiting: number
  streams: number
}

/** Requests of a stream are answered one after the other, so a server holds one payload for each stream. */
export function createBlockServer ({ store, limits, log }: BlockServerInit): BlockServer {
  const all = createRateLimit(limits.sharedBytesPerSecond)
  const askers = new Map<string, Asker>()
  const streams = new Set<(error: Error) => void>()
  let stopped = false

  function accept (stream: Stream, connection: Connection): void {
    const peer = connection.remotePeer.toString()
    const asker = askers.get(peer) ?? { limit: createRateLimit(limits.sharedBytesPerSecondAndPeer), waiting: 0, streams: 0 }
    askers.set(peer, asker)
    asker.streams++
    const queue: BlockRequest[] = []
    const gone = new AbortController()
    let working = false
    const idle = setTimeout(() => end(new Error('nothing was asked for')), IDLE_MILLISECONDS)
    idle.unref()

    const end = (error?: Error): void => {
      if (gone.signal.aborted) return
      clearTimeout(idle)
      gone.abort()
      streams.delete(end)
      asker.waiting -= queue.length
      queue.length = 0
      // what it has used up lately is forgotten with it: reconnecting costs more than waiting
      if (--asker.streams === 0) setTimeout(() => { if (asker.streams === 0 && askers.get(peer) === asker) askers.delete(peer) }, 1000).unref()
      if (error !== undefined) {
        log('blocks for %s ended: %s', peer, error.message)
        stream.abort(error)
      }
    }

    const framer = createFramer(REQUEST_CAP, bytes => {
      const request = decodeBlockRequest(bytes)
      idle.refresh()
      if (asker.waiting >= REQUESTS_PER_PEER) {
        // somebody who goes on in spite of that does not read, and is cut off below
        stream.send(encodeBlockAnswer({ kind: request.kind, number: request.number, status: BlockStatus.busy, payload: new Uint8Array(0) }))
        if (stream.writableNeedsDrain) throw new Error('it asks faster than it reads')
        return
      }
      asker.waiting++
      queue.push(request)
      if (!working) work().catch(error => end(error as Error))
    }, BLOCK_FRAME)

    async function work (): Promise<void> {
      working = true
      try {
        for (let request = queue.shift(); request !== undefined && !gone.signal.aborted; request = queue.shift()) {
          try {
            await serve(request)
          } finally {
            asker.waiting--
          }
        }
      } finally {
        working = false
      }
    }

    async function serve ({ kind, number, hash, index }: BlockRequest): Promise<void> {
      const payload = await find(kind, hash, index)
      const charge = Math.max(LEAST_CHARGE_BYTES, payload?.length ?? 0)
      const now = performance.now()
      const wait = Math.max(asker.limit.take(charge, now), all.take(charge, now))
      if (wait > 0) await pause(wait, undefined, { signal: gone.signal }).catch(() => {})
      await writable(stream, gone.signal)
      if (gone.signal.aborted) return
      stream.send(encodeBlockAnswer({ kind, number, status: payload === undefined ? BlockStatus.notHere : BlockStatus.here, payload: payload ?? new Uint8Array(0) }))
      idle.refresh()
    }

    stream.addEventListener('message', event => {
      try {
        framer.push(event.data as Chunk)
      } catch (error) {
        end(error as Error)
      }
    })
    stream.addEventListener('remoteCloseWrite', () => { stream.close().catch(() => {}) })
    stream.addEventListener('close', () => end())
    streams.add(end)
  }

  async function find (kind: BlockRequest['kind'], hash: string, index: number): Promise<Uint8Array | undefined> {
    switch (kind) {
      case BlockKind.manifest: return store.manifest(hash)
      case BlockKind.header: return store.header(hash)
      case BlockKind.block: return await store.block(hash, index)
    }
  }

  return {
    accept (stream, connection) {
      if (stopped) stream.abort(new Error('the peer is stopping'))
      else accept(stream, connection)
    },
    stop () {
      stopped = true
      for (const end of streams) end(new Error('the peer is stopping'))
    }
  }
}

/** Resolves when the stream takes more, or is gone. libp2p's own `onDrain` resolves only once. */
async function writable (stream: Stream, gone: AbortSignal): Promise<void> {
  while (stream.writableNeedsDrain && !gone.aborted) {
    await new Promise<void>(resolve => {
      const done = (): void => {
        stream.removeEventListener('drain', done)
        gone.removeEventListener('abort', done)
        resolve()
      }
      stream.addEventListener('drain', done)
      gone.addEventListener('abort', done)
    })
  }
}
