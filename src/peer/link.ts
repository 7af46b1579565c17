import type { Logger, Stream } from '@libp2p/interface'
import { LINK_QUEUE_BYTES, LINK_STALL_MILLISECONDS } from './constants.ts'
import { FrameError, PeerError } from './errors.ts'
import { createFramer, decodeFrame, encodeFrame } from './wire/index.ts'
import type { Chunk, Frame, FrameInit } from './wire/index.ts'

export interface LinkHandlers {
  onFrame: (frame: Frame, link: Link) => void
  /** how many bytes are held of a frame that has not come whole; called when that changes */
  onHeld?: (bytes: number, link: Link) => void
  /** called once, after the last frame */
  onClose: (link: Link, error: Error | undefined) => void
}

/** One stream of the stage protocol: whole frames in, whole frames out. */
export interface Link {
  /** PeerId that noise authenticated */
  readonly peer: string
  /** id and version that were agreed on */
  readonly protocol: string
  /** multiaddr of the other side of the connection */
  readonly remoteAddress: string
  readonly closed: boolean
  /** bytes that wait for the other side to read */
  readonly queuedBytes: number
  /** encodes and sends; does nothing where the stream is closed, since `onClose` tells */
  send (frame: FrameInit): void
  /** `listener` is called each time the queue has become empty */
  onDrain (listener: () => void): void
  /** ends the stream after what the stream has taken; what waits in front of it is given up */
  close (): Promise<void>
  abort (error: Error): void
}

export interface LinkInit {
  stream: Stream
  peer: string
  remoteAddress: string
  /** largest frame taken, bytes */
  cap: number
  /** frames a second on average; four seconds' worth in a burst. Default: no limit */
  framesPerSecond?: number
  /** the stream is given up when the other side reads nothing for so long, while something waits for it; default 60,000 */
  stallMilliseconds?: number
  log: Logger
  handlers: LinkHandlers
}

/**
 * The queue in front of the stream is our own: libp2p resets a stream whose
 * write buffer is full, and its `onDrain` resolves only once. A buffer that was
 * given to `send` is never touched again: libp2p keeps a reference.
 */
export function createLink (init: LinkInit): Link {
  const { stream, peer, remoteAddress, log, handlers } = init
  const queue: Uint8Array[] = []
  const drainListeners: Array<() => void> = []
  let queuedBytes = 0
  let closed = false
  let failure: Error | undefined
  let heldBytes = 0
  /** bytes that were ever to be sent */
  let given = 0
  let stall: NodeJS.Timeout | undefined
  const takeToken = tokenBucket(init.framesPerSecond)

  const framer = createFramer(init.cap, bytes => {
    if (closed) return
    if (!takeToken()) throw new FrameError('rate', `is above ${init.framesPerSecond} frames a second`)
    handlers.onFrame(decodeFrame(bytes), link)
  })

  function guard (what: string, run: () => void): void {
    // an exception in a listener would become an uncaught one and leave the stream open
    try {
      run()
    } catch (error) {
      log.trace('%s failed', what)
      link.abort(error instanceof Error ? error : new Error(String(error)))
    }
  }

  function finish (error: Error | undefined): void {
    if (closed) return
    closed = true
    clearTimeout(stall)
    queue.length = 0
    queuedBytes = 0
    try {
      handlers.onClose(link, failure ?? error)
    } catch (problem) {
      log.error('close handler of the stream with %s failed: %e', peer, problem)
    }
  }

  function flush (): void {
    // `finish` empties the queue
    while (queue.length > 0 && !stream.writableNeedsDrain) {
      const bytes = queue.shift()!
      queuedBytes -= bytes.length
      stream.send(bytes)
    }
    if (queue.length === 0 && !closed) for (const listener of drainListeners) listener()
  }

  function read (chunk: Chunk): void {
    framer.push(chunk)
    if (closed || framer.bufferedBytes === heldBytes) return
    heldBytes = framer.bufferedBytes
    handlers.onHeld?.(heldBytes, link)
  }

  const slowReader = (what: string): PeerError => new PeerError('SlowReaderError', 'ERR_SLOW_READER', `peer ${peer} ${what}: ${queuedBytes + stream.writeBufferLength} bytes wait`)

  /** Looks now and then whether the other side still reads, as long as anything waits for it. */
  function watch (): void {
    if (stall !== undefined || closed || !stream.writableNeedsDrain) return
    const waits = (): number => queuedBytes + stream.writeBufferLength
    const { stallMilliseconds = LINK_STALL_MILLISECONDS } = init
    const taken = given - waits()
    stall = setTimeout(() => {
      stall = undefined
      if (stream.writableNeedsDrain && given - waits() === taken) link.abort(slowReader(`has read nothing for ${stallMilliseconds / 1000} s`))
      else watch()
    }, stallMilliseconds)
    stall.unref()
  }

  const link: Link = {
    peer,
    protocol: stream.protocol,
    remoteAddress,
    get closed () {
      return closed
    },
    get queuedBytes () {
      return queuedBytes + (stream.writableNeedsDrain ? stream.writeBufferLength : 0)
    },
    send (frame) {
      if (closed) return
      guard('sending', () => {
        const bytes = encodeFrame(frame)
        given += bytes.length
        if (queue.length === 0 && !stream.writableNeedsDrain) {
          stream.send(bytes)
        } else {
          queue.push(bytes)
          queuedBytes += bytes.length
          if (queuedBytes > LINK_QUEUE_BYTES) throw slowReader('does not read')
        }
        watch()
      })
    },
    onDrain (listener) {
      drainListeners.push(listener)
    },
    async close () {
      if (closed) return
      try {
        await stream.close({ signal: AbortSignal.timeout(1000) })
      } catch (error) {
        link.abort(error as Error)
      }
      finish(undefined)
    },
    abort (error) {
      if (closed) return
      failure = error
      log('stream with %s aborted: %s', peer, error)
      stream.abort(error)
      finish(error)
    }
  }

  stream.addEventListener('message', event => guard('reading', () => read(event.data as Chunk)))
  // libp2p resumes its own buffer in a microtask of the same event: flush after it
  stream.addEventListener('drain', () => queueMicrotask(() => guard('flushing', flush)))
  stream.addEventListener('remoteCloseWrite', () => {
    // nothing can be answered any more: both ends of a link live and die together
    link.close()
  })
  stream.addEventListener('close', event => finish(event.error))
  if (stream.status !== 'open') queueMicrotask(() => finish(undefined))
  return link
}

function tokenBucket (perSecond: number | undefined): () => boolean {
  if (perSecond === undefined) return () => true
  const capacity = 4 * perSecond
  let tokens = capacity
  let last = performance.now()
  return () => {
    if (tokens < 1) {
      const now = performance.now()
      tokens = Math.min(capacity, tokens + (now - last) * perSecond / 1000)
      last = now
      if (tokens < 1) return false
    }
    tokens--
    return true
  }
}
