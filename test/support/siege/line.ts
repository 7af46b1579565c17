import type { Connection, Stream } from '@libp2p/interface'
import { createFramer } from '../../../src/peer/wire/index.ts'
import type { Chunk, FrameStart } from '../../../src/peer/wire/index.ts'

/** How a protocol cuts its stream into messages, and a message that is always answered. */
export interface LineInit {
  /** largest message that the peer takes, or more */
  cap: number
  start?: FrameStart
  /** a message that the peer answers, wherever it comes, and whether a message is the answer */
  marker: (number: number) => Uint8Array
  answers: (message: Uint8Array, number: number) => boolean
}

/**
 * A stream on which hostile inputs go to a peer, one after the other. Each is
 * followed by something that makes the peer react once it has read all of the
 * input: so an input that had an effect is told from one that never arrived.
 */
export interface Line {
  readonly closed: boolean
  /** `answered`: the peer has read it and goes on with this stream; `closed`: it has ended the stream; `silent`: neither */
  deliver (input: Uint8Array): Promise<'answered' | 'closed' | 'silent'>
  abort (): void
}

const FILLER_BYTES = 4096
/** The peer is busy with an honest client, and with others like us. */
const PATIENCE_MILLISECONDS = 10_000

export async function openLine (connection: Connection, protocol: string, init: LineInit): Promise<Line> {
  const stream = await connection.newStream(protocol)
  return createLine(stream, init)
}

function createLine (stream: Stream, { cap, start, marker, answers }: LineInit): Line {
  let number = 0
  let react = (_how: 'answered' | 'closed'): void => {}
  let closed = false
  /** what the peer makes of the bytes so far */
  let whole = 0
  const mirror = createFramer(cap, frame => { whole += frame.length }, start)
  const incoming = createFramer(64 << 20, message => { if (answers(message, number)) react('answered') }, start)
  const end = (): void => {
    closed = true
    react('closed')
  }
  stream.addEventListener('message', event => {
    try {
      incoming.push(event.data as Chunk)
    } catch (error) {
      stream.abort(error as Error)
    }
  })
  stream.addEventListener('close', end)
  stream.addEventListener('remoteCloseWrite', end)

  let given = 0
  /** true where these bytes, or those before, are no message: the peer is to end the stream */
  function breaks (bytes: Uint8Array): boolean {
    given += bytes.length
    try {
      mirror.push(bytes)
      return false
    } catch {
      return true
    }
  }

  return {
    get closed () {
      return closed || stream.status !== 'open'
    },
    async deliver (input) {
      const reaction = Promise.withResolvers<'answered' | 'closed' | 'silent'>()
      const timer = setTimeout(() => reaction.resolve('silent'), PATIENCE_MILLISECONDS)
      react = reaction.resolve
      number++
      try {
        stream.send(input.slice())
        if (!breaks(input)) {
          if (given === whole) {
            const last = marker(number)
            stream.send(last)
            breaks(last)
          } else {
            // the peer waits for the rest of a message: it gets one, and then something that is none
            const filler = new Uint8Array(FILLER_BYTES)
            for (let broken = false; !broken;) {
              broken = breaks(filler)
              stream.send(filler.slice())
            }
          }
        }
      } catch {
        // the stream has ended meanwhile, and says so
      }
      if (closed) reaction.resolve('closed')
      const how = await reaction.promise
      clearTimeout(timer)
      if (how === 'silent') stream.abort(new Error('the peer is silent'))
      return how
    },
    abort: () => stream.abort(new Error('the test is over'))
  }
}
