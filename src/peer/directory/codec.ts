import { FrameError } from '../errors.ts'
import { ByteReader, ByteWriter, hex, modelIdBytes } from '../wire/index.ts'
import { MAXIMUM_ADDRESS_BYTES, MAXIMUM_ANSWER_BYTES, MAXIMUM_ANSWERED_RECORDS, MAXIMUM_PORTS, MAXIMUM_RECORD_BYTES, MAXIMUM_REQUEST_BYTES } from './constants.ts'

// Messages of the directory protocol, without the length before them (docs/protocol.md, Directory).

const FORMAT = 1
const Kind = { records: 1, dialBack: 2, exchange: 3 } as const
const Status = { here: 0, busy: 1 } as const
const ANSWER = 0x80

export type DirectoryRequest =
  | { kind: 'records', modelId: string }
  /** asks to be dialled at the address from which the question comes, at these ports */
  | { kind: 'dialBack', ports: number[] }
  /** gives the asker's own announcement (no bytes where it has none) for that of the peer */
  | { kind: 'exchange', modelId: string, announcement: Uint8Array }

export interface GivenRecord {
  /** milliseconds since it was announced, as far as the giver knows */
  age: number
  /** the announcement, unchanged */
  bytes: Uint8Array
}

/** What became of a dial back. */
export const DIAL_OUTCOMES = ['reached', 'unreachable', 'otherPeer', 'notTried'] as const
export type DialOutcome = typeof DIAL_OUTCOMES[number]

export type DirectoryAnswer =
  /** `clock` is that of the peer: milliseconds since 1970 */
  | { kind: 'records', clock: number, records: GivenRecord[] }
  /** `observed` is the multiaddr from which the question came */
  | { kind: 'dialBack', clock: number, observed: string, outcomes: DialOutcome[] }
  /** the peer's own announcement, as things are now; no bytes where it has nothing to say of the model */
  | { kind: 'exchange', clock: number, announcement: Uint8Array }
  | { kind: 'busy' }

export function encodeRequest (request: DirectoryRequest): Uint8Array {
  const writer = new ByteWriter().u8(FORMAT).u8(Kind[request.kind])
  if (request.kind === 'records') return writer.bytes(modelIdBytes(request.modelId)).finish()
  if (request.kind === 'exchange') return writer.bytes(modelIdBytes(request.modelId)).block(request.announcement, MAXIMUM_RECORD_BYTES, 'announcement').finish()
  if (request.ports.length > MAXIMUM_PORTS) throw new FrameError('ports', `are ${request.ports.length}, ${MAXIMUM_PORTS} are allowed`)
  writer.u8(request.ports.length)
  for (const port of request.ports) writer.u16(port)
  return writer.finish()
}

/** Throws FrameError. An announcement is a view of `bytes`, and is not looked into. */
export function decodeRequest (bytes: Uint8Array): DirectoryRequest {
  if (bytes.length > MAXIMUM_REQUEST_BYTES) throw new FrameError('request', `has ${bytes.length} bytes, ${MAXIMUM_REQUEST_BYTES} are allowed`)
  const reader = start(bytes)
  const kind = reader.u8('kind')
  let request: DirectoryRequest
  if (kind === Kind.records) request = { kind: 'records', modelId: hex(reader.bytes(32, 'modelId')) }
  else if (kind === Kind.dialBack) request = { kind: 'dialBack', ports: list(reader, 'ports', MAXIMUM_PORTS, () => reader.u16('port')) }
  else if (kind === Kind.exchange) request = { kind: 'exchange', modelId: hex(reader.bytes(32, 'modelId')), announcement: reader.block(MAXIMUM_RECORD_BYTES, 'announcement') }
  else throw new FrameError('kind', `${kind} is unknown`)
  reader.end('request')
  return request
}

export function encodeAnswer (answer: DirectoryAnswer): Uint8Array {
  const writer = new ByteWriter().u8(FORMAT)
  if (answer.kind === 'busy') return writer.u8(ANSWER).u8(Status.busy).finish()
  writer.u8(Kind[answer.kind] | ANSWER).u8(Status.here).u32(answer.clock % 2 ** 32).u32(Math.floor(answer.clock / 2 ** 32))
  if (answer.kind === 'dialBack') {
    writer.clippedText(answer.observed, MAXIMUM_ADDRESS_BYTES).u8(answer.outcomes.length)
    for (const outcome of answer.outcomes) writer.u8(DIAL_OUTCOMES.indexOf(outcome))
    return writer.finish()
  }
  if (answer.kind === 'exchange') return writer.block(answer.announcement, MAXIMUM_RECORD_BYTES, 'announcement').finish()
  if (answer.records.length > MAXIMUM_ANSWERED_RECORDS) throw new FrameError('records', `are ${answer.records.length}, ${MAXIMUM_ANSWERED_RECORDS} are allowed`)
  writer.u16(answer.records.length)
  for (const { age, bytes } of answer.records) writer.u32(Math.round(age)).block(bytes, MAXIMUM_RECORD_BYTES, 'announcement')
  return writer.finish()
}

/** Throws FrameError. Announcements are views of `bytes`, and are not looked into. */
export function decodeAnswer (bytes: Uint8Array): DirectoryAnswer {
  if (bytes.length > MAXIMUM_ANSWER_BYTES) throw new FrameError('answer', `has ${bytes.length} bytes, ${MAXIMUM_ANSWER_BYTES} are allowed`)
  const reader = start(bytes)
  const kind = reader.u8('kind')
  const status = reader.u8('status')
  if (kind === ANSWER && status === Status.busy) {
    reader.end('answer')
    return { kind: 'busy' }
  }
  if (status !== Status.here) throw new FrameError('status', `${status} does not go with kind ${kind}`)
  const clock = reader.u32('clock') + 2 ** 32 * reader.u32('clock')
  let answer: DirectoryAnswer
  if (kind === (Kind.records | ANSWER)) {
    const count = reader.u16('records')
    if (count > MAXIMUM_ANSWERED_RECORDS) throw new FrameError('records', `are ${count}, ${MAXIMUM_ANSWERED_RECORDS} are allowed`)
    const records: GivenRecord[] = []
    for (let index = 0; index < count; index++) records.push({ age: reader.u32('age'), bytes: reader.block(MAXIMUM_RECORD_BYTES, 'announcement') })
    answer = { kind: 'records', clock, records }
  } else if (kind === (Kind.dialBack | ANSWER)) {
    answer = {
      kind: 'dialBack',
      clock,
      observed: reader.text(MAXIMUM_ADDRESS_BYTES, 'observed'),
      outcomes: list(reader, 'outcomes', MAXIMUM_PORTS, () => outcomeOf(reader.u8('outcome')))
    }
  } else if (kind === (Kind.exchange | ANSWER)) {
    answer = { kind: 'exchange', clock, announcement: reader.block(MAXIMUM_RECORD_BYTES, 'announcement') }
  } else {
    throw new FrameError('kind', `${kind} is unknown`)
  }
  reader.end('answer')
  return answer
}

function start (bytes: Uint8Array): ByteReader {
  const reader = new ByteReader(bytes)
  const format = reader.u8('format')
  if (format !== FORMAT) throw new FrameError('format', `is ${format}, this software speaks ${FORMAT}`)
  return reader
}

function list<Value> (reader: ByteReader, field: string, maximum: number, read: () => Value): Value[] {
  const count = reader.u8(field)
  if (count > maximum) throw new FrameError(field, `are ${count}, ${maximum} are allowed`)
  return Array.from({ length: count }, read)
}

function outcomeOf (value: number): DialOutcome {
  const outcome = DIAL_OUTCOMES[value]
  if (outcome === undefined) throw new FrameError('outcome', `${value} is unknown`)
  return outcome
}
