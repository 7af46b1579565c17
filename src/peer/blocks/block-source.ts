import type { Connection, Stream } from '@libp2p/interface'
import { FrameError, IncompatibleVersionError, PeerUnreachableError } from '../errors.ts'
import { createFramer } from '../wire/index.ts'
import type { Chunk } from '../wire/index.ts'
import { ANSWER_CAP, BLOCK_FRAME, decodeBlockAnswer, encodeBlockRequest } from './codec.ts'
import type { BlockAnswer, BlockKindNumber } from './codec.ts'
import { BLOCKS_PROTOCOL, SOURCE_TIMEOUT_MILLISECONDS } from './constants.ts'

/** One stream to a peer that gives blocks. Requests may be under way together; it fails as a whole. */
export interface BlockSource {
  readonly peer: string
  /** throws PeerUnreachableError where the source is lost, FrameError where it breaks the protocol */
  ask (kind: BlockKindNumber, hash: string, index?: number): Promise<BlockAnswer>
  close (error?: Error): void
}

interface Asked {
  kind: BlockKindNumber
  resolve: (answer: BlockAnswer) => void
  reject: (error: Error) => void
}

/** Opens the stream. Throws IncompatibleVersionError where the peer gives no blocks, PeerUnreachableError, or the signal's reason. */
export async function openBlockSource (connection: Connection, signal: AbortSignal): Promise<BlockSource> {
  const peer = connection.remotePeer.toString()
  let stream: Stream
  try {
    stream = await connection.newStream(BLOCKS_PROTOCOL, { signal })
  } catch (error) {
    signal.throwIfAborted()
    if ((error as Error).name === 'UnsupportedProtocolError') throw new IncompatibleVersionError(peer, BLOCKS_PROTOCOL, error)
    throw new PeerUnreachableError(peer, error)
  }
  return createBlockSource(stream, peer)
}

function createBlockSource (stream: Stream, peer: string): BlockSource {
  const asked = new Map<number, Asked>()
  let next = 1
  let failure: Error | undefined
  let silence: NodeJS.Timeout | undefined

  const fail = (error: Error): void => {
    if (failure !== undefined) return
    failure = error
    clearTimeout(silence)
    for (const { reject } of asked.values()) reject(error)
    asked.clear()
  }
  const abort = (error: Error): void => {
    fail(error)
    stream.abort(error)
  }
  /** every byte is a sign of life; a source that owes nothing may be silent */
  const listen = (): void => {
    clearTimeout(silence)
    if (asked.size === 0 || failure !== undefined) return
    silence = setTimeout(() => abort(new PeerUnreachableError(peer, new Error(`it has sent nothing for ${SOURCE_TIMEOUT_MILLISECONDS / 1000} s`))), SOURCE_TIMEOUT_MILLISECONDS)
  }

  const framer = createFramer(ANSWER_CAP, bytes => {
    const answer = decodeBlockAnswer(bytes)
    const request = asked.get(answer.number)
    if (request === undefined || request.kind !== answer.kind) throw new FrameError('answer', `to request ${answer.number} was not asked for`)
    asked.delete(answer.number)
    request.resolve(answer)
  }, BLOCK_FRAME)
  stream.addEventListener('message', event => {
    if (failure !== undefined) return
    try {
      framer.push(event.data as Chunk)
      listen()
    } catch (error) {
      abort(error as Error)
    }
  })
  const lost = (error?: Error): void => fail(new PeerUnreachableError(peer, error ?? new Error('it closed the stream')))
  stream.addEventListener('close', event => lost(event.error))
  stream.addEventListener('remoteCloseWrite', () => {
    lost()
    stream.close().catch(() => {})
  })

  return {
    peer,
    async ask (kind, hash, index = 0) {
      if (failure !== undefined) throw failure
      const number = next++
      return await new Promise<BlockAnswer>((resolve, reject) => {
        asked.set(number, { kind, resolve, reject })
        if (asked.size === 1) listen()
        try {
          stream.send(encodeBlockRequest({ kind, number, hash, index }))
        } catch (error) {
          abort(new PeerUnreachableError(peer, error))
        }
      })
    },
    close (error) {
      fail(error ?? new PeerUnreachableError(peer))
      if (error === undefined) stream.close().catch(() => {})
      else stream.abort(error)
    }
  }
}
