import { FrameError, FrameVersionError } from '../errors.ts'
import type { FrameStart } from '../wire/index.ts'
import { BLOCK_BYTES, MAXIMUM_ANSWER_BYTES, MESSAGE_HEADER_BYTES, MESSAGE_VERSION, REQUEST_BYTES } from './constants.ts'
import { MAXIMUM_MANIFEST_BYTES } from '../constants.ts'
import { MAX_BLOB_HEADER_BYTES } from '../../model/index.ts'

/** What is asked for; an answer has the kind of its request, with the high bit set. */
export const BlockKind = { manifest: 1, header: 2, block: 3 } as const
export type BlockKindNumber = typeof BlockKind[keyof typeof BlockKind]

const ANSWER = 0x80

export const BlockStatus = { here: 0, notHere: 1, busy: 2 } as const
export type BlockStatusNumber = typeof BlockStatus[keyof typeof BlockStatus]

export interface BlockRequest {
  kind: BlockKindNumber
  /** chosen by the asker; the answer repeats it */
  number: number
  /** modelId or blob id, 64 hex digits */
  hash: string
  /** of the block; 0 for other kinds */
  index: number
}

export interface BlockAnswer {
  kind: BlockKindNumber
  number: number
  status: BlockStatusNumber
  /** empty unless the status is `here`; a view of the message */
  payload: Uint8Array
}

const PAYLOAD_CAPS: Readonly<Record<BlockKindNumber, number>> = {
  [BlockKind.manifest]: MAXIMUM_MANIFEST_BYTES,
  [BlockKind.header]: MAX_BLOB_HEADER_BYTES,
  [BlockKind.block]: BLOCK_BYTES
}

const pad8 = (length: number): number => Math.ceil(length / 8) * 8

export function encodeBlockRequest ({ kind, number, hash, index }: BlockRequest): Uint8Array {
  if (!/^[0-9a-f]{64}$/.test(hash)) throw new FrameError('hash', 'is not 64 hex digits')
  const bytes = new Uint8Array(REQUEST_BYTES)
  const view = new DataView(bytes.buffer)
  view.setUint32(0, REQUEST_BYTES, true)
  view.setUint8(4, MESSAGE_VERSION)
  view.setUint8(5, kind)
  view.setUint32(8, number, true)
  view.setUint32(12, index, true)
  bytes.set(Buffer.from(hash, 'hex'), MESSAGE_HEADER_BYTES)
  return bytes
}

/** Throws FrameError. */
export function decodeBlockRequest (bytes: Uint8Array): BlockRequest {
  const view = start(bytes)
  if (bytes.length !== REQUEST_BYTES) throw new FrameError('length', `is ${bytes.length}, a request has ${REQUEST_BYTES}`)
  const kind = kindOf(bytes[5])
  if (view.getUint16(6, true) !== 0) throw new FrameError('reserved field', 'is not 0')
  const index = view.getUint32(12, true)
  if (index !== 0 && kind !== BlockKind.block) throw new FrameError('index', `${index} does not go with kind ${kind}`)
  return { kind, number: view.getUint32(8, true), hash: Buffer.from(bytes.subarray(MESSAGE_HEADER_BYTES)).toString('hex'), index }
}

export function encodeBlockAnswer ({ kind, number, status, payload }: BlockAnswer): Uint8Array {
  const bytes = new Uint8Array(MESSAGE_HEADER_BYTES + pad8(payload.length))
  const view = new DataView(bytes.buffer)
  view.setUint32(0, bytes.length, true)
  view.setUint8(4, MESSAGE_VERSION)
  view.setUint8(5, kind | ANSWER)
  view.setUint16(6, status, true)
  view.setUint32(8, number, true)
  view.setUint32(12, payload.length, true)
  bytes.set(payload, MESSAGE_HEADER_BYTES)
  return bytes
}

/** Throws FrameError. */
export function decodeBlockAnswer (bytes: Uint8Array): BlockAnswer {
  const view = start(bytes)
  if ((bytes[5] & ANSWER) === 0) throw new FrameError('kind', `${bytes[5]} is no answer`)
  const kind = kindOf(bytes[5] & ~ANSWER)
  const status = view.getUint16(6, true) as BlockStatusNumber
  if (status > BlockStatus.busy) throw new FrameError('status', `${status} is unknown`)
  const length = view.getUint32(12, true)
  if (length > PAYLOAD_CAPS[kind]) throw new FrameError('payload', `has ${length} bytes, ${PAYLOAD_CAPS[kind]} are allowed`)
  if ((status === BlockStatus.here) !== (length > 0)) throw new FrameError('payload', `of ${length} bytes does not go with status ${status}`)
  if (MESSAGE_HEADER_BYTES + pad8(length) !== bytes.length) throw new FrameError('length', `is ${bytes.length}, the payload has ${length}`)
  if (bytes.subarray(MESSAGE_HEADER_BYTES + length).some(byte => byte !== 0)) throw new FrameError('padding', 'is not 0')
  return { kind, number: view.getUint32(8, true), status, payload: bytes.subarray(MESSAGE_HEADER_BYTES, MESSAGE_HEADER_BYTES + length) }
}

function start (bytes: Uint8Array): DataView {
  if (bytes.length < MESSAGE_HEADER_BYTES) throw new FrameError('header', `has ${bytes.length} bytes, needs ${MESSAGE_HEADER_BYTES}`)
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  checkVersion(bytes)
  if (view.getUint32(0, true) !== bytes.length) throw new FrameError('length', `is ${view.getUint32(0, true)}, the message has ${bytes.length} bytes`)
  return view
}

function kindOf (value: number): BlockKindNumber {
  if (value < BlockKind.manifest || value > BlockKind.block) throw new FrameError('kind', `${value} is unknown`)
  return value as BlockKindNumber
}

function checkVersion (bytes: Uint8Array): void {
  if (bytes[4] !== MESSAGE_VERSION) throw new FrameVersionError(bytes[4])
}

/** How requests and answers are cut out of a stream. */
export const BLOCK_FRAME: FrameStart = { least: MESSAGE_HEADER_BYTES, check: checkVersion }
export const REQUEST_CAP = REQUEST_BYTES
export const ANSWER_CAP = MAXIMUM_ANSWER_BYTES
