import type { Connection, Logger, Stream } from '@libp2p/interface'
import { STOP_MILLISECONDS } from '../constants.ts'
import { FrameError, IncompatibleVersionError, PeerUnreachableError } from '../errors.ts'
import { readRecord, withLength } from '../read-record.ts'
import { BoundedMap } from './bounded-map.ts'
import { decodeAnswer, decodeRequest, encodeAnswer, encodeRequest } from './codec.ts'
import type { DialOutcome, DirectoryAnswer, DirectoryRequest, GivenRecord } from './codec.ts'
import { ASK_MILLISECONDS, DIRECTORY_PROTOCOL, MAXIMUM_ANSWER_BYTES, MAXIMUM_ANSWERED_RECORDS, MAXIMUM_ASKERS, MAXIMUM_REQUEST_BYTES, QUESTIONS_AT_ONCE, QUESTIONS_PER_SECOND } from './constants.ts'
import { DirectoryBusyError } from './errors.ts'
import { createTokenBucket } from './token-bucket.ts'
import type { TokenBucket } from './token-bucket.ts'
import type { Clock } from './types.ts'

export interface DirectoryServerInit {
  records: (modelId: string) => GivenRecord[]
  /** dials the one who asks, at the address that it comes from */
  dialBack: (connection: Connection, ports: number[]) => Promise<DialOutcome[]>
  /** takes the announcement of the one who asks, and gives that of this node */
  exchange: (modelId: string, announcement: Uint8Array) => Promise<Uint8Array>
  clock: Clock
  log: Logger
}

/** Answers one question on a stream (docs/protocol.md, Directory). */
export interface DirectoryServer {
  accept (stream: Stream, connection: Connection): Promise<void>
}

export function createDirectoryServer ({ records, dialBack, exchange, clock, log }: DirectoryServerInit): DirectoryServer {
  const askers = new BoundedMap<string, TokenBucket>(MAXIMUM_ASKERS)

  function mayAsk (peer: string): boolean {
    const bucket = askers.get(peer) ?? createTokenBucket(QUESTIONS_AT_ONCE, QUESTIONS_PER_SECOND)
    askers.set(peer, bucket)
    return bucket.take(clock.steady())
  }

  async function answer (request: DirectoryRequest, connection: Connection): Promise<DirectoryAnswer> {
    if (!mayAsk(connection.remotePeer.toString())) return { kind: 'busy' }
    if (request.kind === 'records') return { kind: 'records', clock: clock.wall(), records: fitting(records(request.modelId)) }
    if (request.kind === 'exchange') return { kind: 'exchange', announcement: await exchange(request.modelId, request.announcement), clock: clock.wall() }
    const outcomes = await dialBack(connection, request.ports)
    return { kind: 'dialBack', clock: clock.wall(), observed: connection.remoteAddr.toString(), outcomes }
  }

  return {
    async accept (stream, connection) {
      try {
        const request = decodeRequest(await readRecord(stream, 'request', MAXIMUM_REQUEST_BYTES, AbortSignal.timeout(ASK_MILLISECONDS)))
        stream.send(withLength(encodeAnswer(await answer(request, connection))))
        await stream.close({ signal: AbortSignal.timeout(STOP_MILLISECONDS) })
      } catch (error) {
        log('question of %p failed: %s', connection.remotePeer, (error as Error).message)
        stream.abort(error as Error)
      }
    }
  }
}

/** As many as an answer holds; where there are more, a random choice, so that several answers make a whole. */
function fitting (records: GivenRecord[]): GivenRecord[] {
  const chosen: GivenRecord[] = []
  let room = MAXIMUM_ANSWER_BYTES - 64
  const order = records.map(record => ({ record, key: Math.random() })).sort((one, other) => one.key - other.key)
  for (const { record } of order) {
    room -= 6 + record.bytes.length
    if (room < 0 || chosen.length === MAXIMUM_ANSWERED_RECORDS) break
    chosen.push(record)
  }
  return chosen
}

export type RecordsAnswer = Extract<DirectoryAnswer, { kind: 'records' }>
export type ExchangeAnswer = Extract<DirectoryAnswer, { kind: 'exchange' }>
export type DialBackAnswer = Extract<DirectoryAnswer, { kind: 'dialBack' }>

/** Asks a peer for the records it has of a model. Throws DirectoryBusyError, IncompatibleVersionError, FrameError, PeerUnreachableError, or the signal's reason. */
export async function askRecords (connection: Connection, modelId: string, signal: AbortSignal): Promise<RecordsAnswer> {
  return await ask(connection, { kind: 'records', modelId }, signal)
}

/** Asks a peer to dial this one at the address that it sees, and these ports. Throws as `askRecords`. */
export async function askDialBack (connection: Connection, ports: number[], signal: AbortSignal): Promise<DialBackAnswer> {
  return await ask(connection, { kind: 'dialBack', ports }, signal)
}

/** Gives a peer this node's own announcement for that of the peer. Throws as `askRecords`. */
export async function askExchange (connection: Connection, modelId: string, announcement: Uint8Array, signal: AbortSignal): Promise<ExchangeAnswer> {
  return await ask(connection, { kind: 'exchange', modelId, announcement }, signal)
}

async function ask<Kind extends DirectoryRequest['kind']> (connection: Connection, request: DirectoryRequest & { kind: Kind }, signal: AbortSignal): Promise<Extract<DirectoryAnswer, { kind: Kind }>> {
  const peer = connection.remotePeer.toString()
  let stream: Stream
  try {
    stream = await connection.newStream(DIRECTORY_PROTOCOL, { signal, runOnLimitedConnection: true })
  } catch (error) {
    signal.throwIfAborted()
    if ((error as Error).name === 'UnsupportedProtocolError') throw new IncompatibleVersionError(peer, DIRECTORY_PROTOCOL, error)
    throw new PeerUnreachableError(peer, error)
  }
  try {
    const reading = readRecord(stream, 'answer', MAXIMUM_ANSWER_BYTES, signal)
    // where sending fails, nobody waits for it any more
    reading.catch(() => {})
    stream.send(withLength(encodeRequest(request)))
    const answer = decodeAnswer(await reading)
    stream.close().catch(() => {})
    if (answer.kind === 'busy') throw new DirectoryBusyError(peer)
    if (answer.kind !== request.kind) throw new FrameError('answer', `is to another question than ${request.kind}`)
    return answer as Extract<DirectoryAnswer, { kind: Kind }>
  } catch (error) {
    stream.abort(error as Error)
    throw error
  }
}
