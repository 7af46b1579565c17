import type { UnitRange } from '../../model/index.ts'
import { MAXIMUM_MESSAGE_BYTES, MAXIMUM_PEER_ID_LENGTH, MAXIMUM_PREFIX_NAMES, MAXIMUM_SIGNATURE_BYTES, MAXIMUM_STAGES, MAXIMUM_STATEMENT_BYTES, PREFIX_NAME_BYTES } from '../constants.ts'
import { FrameError } from '../errors.ts'
import { ByteReader, ByteWriter } from './bytes.ts'
import { HIGHEST_ERROR_CODE } from './kinds.ts'
import type { ErrorNumber } from './kinds.ts'

export const NONCE_BYTES = 16
const RETRYABLE = 1
const SESSION_LOST = 2

export interface OpenRecord {
  /** 64 hex digits */
  modelId: string
  range: UnitRange
  /** from 1 */
  stage: number
  stages: number
  /** 0: as many positions as the stage allows, none of them promised */
  capacity: number
  /** PeerIds */
  upstream: string
  downstream: string
  /** names of the prefix that is looked for */
  prefix: string[]
}

export function encodeOpen (record: OpenRecord): Uint8Array {
  const writer = new ByteWriter().bytes(modelIdBytes(record.modelId)).u16(record.range.from).u16(record.range.to)
    .u16(record.stage).u16(record.stages).u32(record.capacity)
    .text(record.upstream, MAXIMUM_PEER_ID_LENGTH, 'upstream').text(record.downstream, MAXIMUM_PEER_ID_LENGTH, 'downstream')
  return writeNames(writer, record.prefix).finish()
}

export function decodeOpen (bytes: Uint8Array): OpenRecord {
  const reader = new ByteReader(bytes)
  const record = {
    modelId: hex(reader.bytes(32, 'modelId')),
    range: readRange(reader),
    stage: reader.u16('stage'),
    stages: reader.u16('stages'),
    capacity: reader.u32('capacity'),
    upstream: reader.text(MAXIMUM_PEER_ID_LENGTH, 'upstream'),
    downstream: reader.text(MAXIMUM_PEER_ID_LENGTH, 'downstream'),
    prefix: readNames(reader)
  }
  reader.end('open')
  if (record.stages > MAXIMUM_STAGES || record.stage < 1 || record.stage > record.stages) throw new FrameError('stage', `is ${record.stage} of ${record.stages}`)
  return record
}

export interface OpenedRecord {
  nonce: Uint8Array
  window: number
  rowsPerStep: number
  capacity: number
  /** positions that the session begins with, or goes on with */
  held: number
  /** the stage can replay its outputs of the positions 0 … kept - 1 */
  kept: number
}

export function encodeOpened (record: OpenedRecord): Uint8Array {
  return new ByteWriter().bytes(record.nonce).u32(record.window).u32(record.rowsPerStep).u32(record.capacity).u32(record.held).u32(record.kept).finish()
}

export function decodeOpened (bytes: Uint8Array): OpenedRecord {
  const reader = new ByteReader(bytes)
  const record = { nonce: reader.bytes(NONCE_BYTES, 'nonce').slice(), window: reader.u32('window'), rowsPerStep: reader.u32('rowsPerStep'), capacity: reader.u32('capacity'), held: reader.u32('held'), kept: reader.u32('kept') }
  reader.end('opened')
  if (record.window < 1 || record.rowsPerStep < 1 || record.capacity < 1) throw new FrameError('opened', 'grants nothing')
  if (record.kept > record.held) throw new FrameError('opened', `has outputs of ${record.kept} positions and holds ${record.held}`)
  return record
}

export function decodeNonce (bytes: Uint8Array): Uint8Array {
  const reader = new ByteReader(bytes)
  const nonce = reader.bytes(NONCE_BYTES, 'nonce').slice()
  reader.end('confirm')
  return nonce
}

/** A statement and the signature of the downstream peer over its bytes. */
export interface SignedStatement {
  statement: Uint8Array
  signature: Uint8Array
}

export function encodeSigned (signed: SignedStatement): Uint8Array {
  return new ByteWriter().block(signed.statement, MAXIMUM_STATEMENT_BYTES, 'statement').block(signed.signature, MAXIMUM_SIGNATURE_BYTES, 'signature').finish()
}

export function decodeSigned (bytes: Uint8Array): SignedStatement {
  const reader = new ByteReader(bytes)
  const signed = { statement: reader.block(MAXIMUM_STATEMENT_BYTES, 'statement').slice(), signature: reader.block(MAXIMUM_SIGNATURE_BYTES, 'signature').slice() }
  reader.end('confirmation')
  return signed
}

export interface ProbedRecord {
  /** highest sequence number of a step that arrived */
  received: number
  /** highest sequence number of a step that was passed on */
  finished: number
  queued: number
}

export function encodeProbed (record: ProbedRecord): Uint8Array {
  return new ByteWriter().u32(record.received).u32(record.finished).u32(record.queued).finish()
}

export function decodeProbed (bytes: Uint8Array): ProbedRecord {
  const reader = new ByteReader(bytes)
  const record = { received: reader.u32('received'), finished: reader.u32('finished'), queued: reader.u32('queued') }
  reader.end('probed')
  return record
}

export interface ErrorRecord {
  code: ErrorNumber
  retryable: boolean
  sessionLost: boolean
  /** the stage at fault, from 1; 0 where unknown */
  stage: number
  /** PeerId of the stage at fault, or empty */
  peer: string
  message: string
}

export function encodeError (record: ErrorRecord): Uint8Array {
  return new ByteWriter().u8(record.code).u8((record.retryable ? RETRYABLE : 0) | (record.sessionLost ? SESSION_LOST : 0)).u16(record.stage)
    .text(record.peer, MAXIMUM_PEER_ID_LENGTH, 'peer').clippedText(record.message, MAXIMUM_MESSAGE_BYTES).finish()
}

export function decodeError (bytes: Uint8Array): ErrorRecord {
  const reader = new ByteReader(bytes)
  const code = reader.u8('code')
  const flags = reader.u8('flags')
  const record = {
    code: code as ErrorNumber,
    retryable: (flags & RETRYABLE) !== 0,
    sessionLost: (flags & SESSION_LOST) !== 0,
    stage: reader.u16('stage'),
    peer: reader.text(MAXIMUM_PEER_ID_LENGTH, 'peer'),
    message: reader.text(MAXIMUM_MESSAGE_BYTES, 'message')
  }
  reader.end('error')
  if (code < 1 || code > HIGHEST_ERROR_CODE) throw new FrameError('error code', `${code} is unknown`)
  if (flags > (RETRYABLE | SESSION_LOST)) throw new FrameError('error flags', `are ${flags}`)
  return record
}

/** A stage is about to stop. */
export interface LeavingRecord {
  /** until it ends what is left */
  milliseconds: number
}

export function encodeLeaving (record: LeavingRecord): Uint8Array {
  return new ByteWriter().u32(record.milliseconds).finish()
}

export function decodeLeaving (bytes: Uint8Array): LeavingRecord {
  const reader = new ByteReader(bytes)
  const record = { milliseconds: reader.u32('milliseconds') }
  reader.end('leaving')
  return record
}

/** What a stage holds is to be given to the peer that takes its place. */
export interface GiveRecord {
  /** made by the heir for its opening */
  nonce: Uint8Array
  /** of the heir's route */
  epoch: number
  /** PeerId */
  heir: string
  /** units whose keys and values it may fetch */
  range: UnitRange
}

export function encodeGive (record: GiveRecord): Uint8Array {
  return new ByteWriter().bytes(record.nonce).u32(record.epoch).text(record.heir, MAXIMUM_PEER_ID_LENGTH, 'heir').u16(record.range.from).u16(record.range.to).finish()
}

export function decodeGive (bytes: Uint8Array): GiveRecord {
  const reader = new ByteReader(bytes)
  const record = { nonce: reader.bytes(NONCE_BYTES, 'nonce').slice(), epoch: reader.u32('epoch'), heir: reader.text(MAXIMUM_PEER_ID_LENGTH, 'heir'), range: readRange(reader) }
  reader.end('give')
  return record
}

/** Keys and values are to be fetched from the peer that has agreed to give them. */
export interface TakeRecord extends SignedStatement {
  /** where the positions end; the frame says where they begin */
  to: number
}

export function encodeTake ({ to, statement, signature }: TakeRecord): Uint8Array {
  return new ByteWriter().u32(to).block(statement, MAXIMUM_STATEMENT_BYTES, 'statement').block(signature, MAXIMUM_SIGNATURE_BYTES, 'signature').finish()
}

export function decodeTake (bytes: Uint8Array): TakeRecord {
  const reader = new ByteReader(bytes)
  const record = { to: reader.u32('to'), statement: reader.block(MAXIMUM_STATEMENT_BYTES, 'statement').slice(), signature: reader.block(MAXIMUM_SIGNATURE_BYTES, 'signature').slice() }
  reader.end('take')
  return record
}

/** The session holds what was to be taken. */
export interface TakenRecord {
  /** from the first question to the last byte */
  milliseconds: number
  /** of the link, without the wait for the first bytes */
  bytesPerSecond: number
}

export function encodeTaken (record: TakenRecord): Uint8Array {
  return new ByteWriter().f64(record.milliseconds).f64(record.bytesPerSecond).finish()
}

export function decodeTaken (bytes: Uint8Array): TakenRecord {
  const reader = new ByteReader(bytes)
  const record = { milliseconds: reader.f64('milliseconds'), bytesPerSecond: reader.f64('bytesPerSecond') }
  reader.end('taken')
  if (!(record.milliseconds >= 0 && record.milliseconds < Infinity && record.bytesPerSecond > 0 && record.bytesPerSecond < Infinity)) throw new FrameError('taken', `says ${record.milliseconds} ms and ${record.bytesPerSecond} bytes a second`)
  return record
}

/** Names of strides of a session, from the `first`-th on. */
export interface NameRecord {
  first: number
  /** 32 hex digits each */
  names: string[]
}

export function encodeName (record: NameRecord): Uint8Array {
  return writeNames(new ByteWriter().u16(record.first), record.names).finish()
}

export function decodeName (bytes: Uint8Array): NameRecord {
  const reader = new ByteReader(bytes)
  const record = { first: reader.u16('first'), names: readNames(reader) }
  reader.end('name')
  if (record.first + record.names.length > MAXIMUM_PREFIX_NAMES) throw new FrameError('names', `go up to ${record.first + record.names.length}, ${MAXIMUM_PREFIX_NAMES} are allowed`)
  return record
}

function writeNames (writer: ByteWriter, names: readonly string[]): ByteWriter {
  writer.u16(names.length)
  for (const name of names) writer.bytes(Buffer.from(name, 'hex'))
  return writer
}

function readNames (reader: ByteReader): string[] {
  const count = reader.u16('names')
  if (count > MAXIMUM_PREFIX_NAMES) throw new FrameError('names', `are ${count}, ${MAXIMUM_PREFIX_NAMES} are allowed`)
  const bytes = reader.bytes(count * PREFIX_NAME_BYTES, 'names')
  return Array.from({ length: count }, (_value, index) => hex(bytes.subarray(index * PREFIX_NAME_BYTES, (index + 1) * PREFIX_NAME_BYTES)))
}

export function readRange (reader: ByteReader): UnitRange {
  const range = { from: reader.u16('from'), to: reader.u16('to') }
  if (range.from >= range.to) throw new FrameError('range', `${range.from}:${range.to} is empty`)
  return range
}

export function modelIdBytes (modelId: string): Uint8Array {
  if (!/^[0-9a-f]{64}$/.test(modelId)) throw new FrameError('modelId', 'is not 64 hex digits')
  return Buffer.from(modelId, 'hex')
}

export function hex (bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('hex')
}
