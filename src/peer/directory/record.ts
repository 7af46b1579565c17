import { MAXIMUM_ADDRESSES, MAXIMUM_HOSTED_RANGES, MAXIMUM_PEER_ID_LENGTH, MAXIMUM_SIGNATURE_BYTES } from '../constants.ts'
import { FrameError } from '../errors.ts'
import type { HostedState } from '../types.ts'
import { ByteReader, ByteWriter, hex, modelIdBytes, readRange } from '../wire/index.ts'
import { MAXIMUM_ADDRESS_BYTES, MAXIMUM_CLAIM_ID_BYTES, MAXIMUM_RECORD_BYTES } from './constants.ts'
import type { PeerRecord } from './types.ts'

/** Separates these signatures from all others of the same key. */
const DOMAIN = 'efedllm-announcement-1'

/** By their numbers on the wire. */
const STATES: readonly HostedState[] = ['joining', 'serving', 'draining']

/** What is left for the body beside the signature of an Ed25519 key. */
const MAXIMUM_BODY_BYTES = MAXIMUM_RECORD_BYTES - 2 - 2 - 64

/** An announcement as it travels: what is signed, and the signature. */
export interface SealedRecord {
  body: Uint8Array
  signature: Uint8Array
}

/**
 * The bytes that a peer signs. There is one encoding of each record. Addresses
 * that are too long or too many are left out.
 */
export function encodeRecord (record: PeerRecord): Uint8Array {
  const { ranges, claim, sequence, speed } = record
  if (ranges.length > MAXIMUM_HOSTED_RANGES) throw new FrameError('ranges', `are ${ranges.length}, ${MAXIMUM_HOSTED_RANGES} are allowed`)
  if (!Number.isSafeInteger(sequence) || sequence < 0) throw new FrameError('sequence', `is ${sequence}`)
  if (!(speed >= 0 && speed < Infinity)) throw new FrameError('speed', `is ${speed}`)
  const end = new ByteWriter().u8(ranges.length)
  for (const { range, state } of ranges) end.u16(range.from).u16(range.to).u8(STATES.indexOf(state))
  end.u8(claim === undefined ? 0 : 1)
  if (claim !== undefined) end.u16(claim.range.from).u16(claim.range.to).text(claim.id, MAXIMUM_CLAIM_ID_BYTES, 'claim')
  // no negative zero: it would be a second encoding of the same number
  end.u32(record.sessions).u32(record.queuedSteps).u32(record.freePositions).f64(speed + 0)
  const rest = end.finish()

  const start = new ByteWriter().text(DOMAIN, DOMAIN.length, 'domain').text(record.peerId, MAXIMUM_PEER_ID_LENGTH, 'peer')
    .bytes(modelIdBytes(record.modelId)).u32(sequence % 2 ** 32).u32(Math.floor(sequence / 2 ** 32)).finish()
  const addresses = fitting(record.addresses.map(address => withoutPeer(address, record.peerId)), MAXIMUM_BODY_BYTES - start.length - 1 - rest.length)
  const body = new ByteWriter().bytes(start).u8(addresses.length)
  for (const address of addresses) body.text(address, MAXIMUM_ADDRESS_BYTES, 'address')
  return body.bytes(rest).finish()
}

/** Throws FrameError. Says nothing about the signature, nor whether the ids mean anything. */
export function decodeRecord (bytes: Uint8Array): PeerRecord {
  const reader = new ByteReader(bytes)
  if (reader.text(DOMAIN.length, 'domain') !== DOMAIN) throw new FrameError('domain', 'is another one')
  const peerId = reader.text(MAXIMUM_PEER_ID_LENGTH, 'peer')
  const modelId = hex(reader.bytes(32, 'modelId'))
  const sequence = reader.u32('sequence') + 2 ** 32 * reader.u32('sequence')
  if (!Number.isSafeInteger(sequence)) throw new FrameError('sequence', 'is above 2^53')
  const addresses = list(reader, 'addresses', MAXIMUM_ADDRESSES, () => `${reader.text(MAXIMUM_ADDRESS_BYTES, 'address')}/p2p/${peerId}`)
  const ranges = list(reader, 'ranges', MAXIMUM_HOSTED_RANGES, () => ({ range: readRange(reader), state: stateOf(reader.u8('state')) }))
  const claims = list(reader, 'claim', 1, () => ({ range: readRange(reader), id: reader.text(MAXIMUM_CLAIM_ID_BYTES, 'claim') }))
  const record: PeerRecord = {
    peerId,
    addresses,
    modelId,
    ranges,
    sequence,
    ...claims.length === 0 ? {} : { claim: claims[0] },
    sessions: reader.u32('sessions'),
    queuedSteps: reader.u32('queuedSteps'),
    freePositions: reader.u32('freePositions'),
    speed: reader.f64('speed')
  }
  if (!(record.speed >= 0 && record.speed < Infinity) || Object.is(record.speed, -0)) throw new FrameError('speed', `is ${record.speed}`)
  reader.end('record')
  return record
}

export function encodeSealed ({ body, signature }: SealedRecord): Uint8Array {
  const bytes = new ByteWriter().block(body, MAXIMUM_RECORD_BYTES, 'record').block(signature, MAXIMUM_SIGNATURE_BYTES, 'signature').finish()
  if (bytes.length > MAXIMUM_RECORD_BYTES) throw new FrameError('announcement', `has ${bytes.length} bytes, ${MAXIMUM_RECORD_BYTES} are allowed`)
  return bytes
}

/** Throws FrameError; gives views. */
export function decodeSealed (bytes: Uint8Array): SealedRecord {
  if (bytes.length > MAXIMUM_RECORD_BYTES) throw new FrameError('announcement', `has ${bytes.length} bytes, ${MAXIMUM_RECORD_BYTES} are allowed`)
  const reader = new ByteReader(bytes)
  const sealed = { body: reader.block(MAXIMUM_RECORD_BYTES, 'record'), signature: reader.block(MAXIMUM_SIGNATURE_BYTES, 'signature') }
  reader.end('announcement')
  return sealed
}

function list<Value> (reader: ByteReader, field: string, maximum: number, read: () => Value): Value[] {
  const count = reader.u8(field)
  if (count > maximum) throw new FrameError(field, `are ${count}, ${maximum} are allowed`)
  return Array.from({ length: count }, read)
}

function stateOf (value: number): HostedState {
  const state = STATES[value]
  if (state === undefined) throw new FrameError('state', `${value} is unknown`)
  return state
}

/** The first of the addresses that have room. */
function fitting (addresses: string[], bytes: number): string[] {
  const chosen: string[] = []
  for (const address of addresses) {
    const length = Buffer.byteLength(address)
    if (chosen.length === MAXIMUM_ADDRESSES || length > MAXIMUM_ADDRESS_BYTES || 2 + length > bytes) continue
    bytes -= 2 + length
    chosen.push(address)
  }
  return chosen
}

function withoutPeer (address: string, peerId: string): string {
  const suffix = `/p2p/${peerId}`
  return address.endsWith(suffix) ? address.slice(0, -suffix.length) : address
}
