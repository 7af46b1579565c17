import { MAXIMUM_OUTPUT_BYTES, MAXIMUM_ROWS, MAXIMUM_STAGES } from '../constants.ts'
import { FrameError, FrameVersionError } from '../errors.ts'
import type { RowResult } from '../../engine/index.ts'
import { FLAG_MORE, FRAME_VERSION, HEADER_BYTES, HIGHEST_KIND, HIGHEST_PAYLOAD, Kind, PAYLOADS, Payload } from './kinds.ts'
import type { KindNumber, PayloadNumber } from './kinds.ts'
import { outputsByteLength, readOutputs, writeOutputs } from './outputs.ts'
import type { OutputRequest } from './outputs.ts'
import { readResults, resultByteLength, writeResults } from './results.ts'

/** A frame of the stage protocol, as docs/protocol.md describes it. Fields left out are 0 or empty. */
export interface FrameInit {
  kind: KindNumber
  /** 16 bytes as 32 lower-case hex digits */
  session: string
  epoch: number
  sequence: number
  position?: number
  rows?: number
  /** at most one of tokens, hidden, results, record */
  tokens?: Uint32Array
  hidden?: Float32Array
  results?: RowResult[]
  record?: Uint8Array
  more?: boolean
  outputs?: OutputRequest[]
  /** milliseconds */
  deadline?: number
  /** milliseconds of computation of the stages so far */
  spans?: readonly number[]
  /** the stage at which a replay ends, from 1; 0 for a step that is none */
  until?: number
}

export interface Frame extends FrameInit {
  position: number
  rows: number
  more: boolean
  outputs: OutputRequest[]
  deadline: number
  spans: number[]
  until: number
  /** of the encoded frame */
  byteLength: number
}

/** Views on typed arrays give the machine's byte order; the wire's is little-endian. */
const LITTLE_ENDIAN = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1

const pad8 = (length: number): number => Math.ceil(length / 8) * 8

/** One buffer of its own with header and sections, to be handed to one `send`. */
export function encodeFrame (init: FrameInit): Uint8Array {
  if (!LITTLE_ENDIAN) throw new FrameError('machine', 'is big-endian, which is not supported')
  const { tokens, hidden, results, record, outputs = [], spans = [] } = init
  const words = tokens ?? hidden
  const payload = words !== undefined
    ? words.byteLength
    : record !== undefined ? record.length : (results ?? []).reduce((sum, result) => sum + resultByteLength(result), 0)
  const outputLength = outputsByteLength(outputs)
  const outputsAt = HEADER_BYTES + pad8(payload)
  const spansAt = outputsAt + pad8(outputLength)
  const length = spansAt + pad8(4 * spans.length)
  const bytes = new Uint8Array(length)
  const view = new DataView(bytes.buffer)
  view.setUint32(0, length, true)
  view.setUint8(4, FRAME_VERSION)
  view.setUint8(5, init.kind)
  view.setUint16(6, HEADER_BYTES, true)
  writeHex(bytes, 8, init.session)
  view.setUint32(24, init.epoch, true)
  view.setUint32(28, init.sequence, true)
  view.setUint32(32, init.position ?? 0, true)
  view.setUint32(36, init.rows ?? 0, true)
  view.setUint8(40, payloadKind(init))
  view.setUint8(41, init.more === true ? FLAG_MORE : 0)
  view.setUint16(42, outputs.length, true)
  view.setUint32(48, payload, true)
  view.setUint32(52, init.deadline ?? 0, true)
  view.setUint16(56, spans.length, true)
  view.setUint16(58, init.until ?? 0, true)
  view.setUint32(60, outputLength, true)
  if (tokens !== undefined) new Uint32Array(bytes.buffer, HEADER_BYTES, tokens.length).set(tokens)
  else if (hidden !== undefined) new Float32Array(bytes.buffer, HEADER_BYTES, hidden.length).set(hidden)
  else if (record !== undefined) bytes.set(record, HEADER_BYTES)
  else if (results !== undefined) writeResults(results, bytes.buffer, HEADER_BYTES)
  if (outputs.length > 0) writeOutputs(outputs, new Uint32Array(bytes.buffer, outputsAt, outputLength / 4))
  if (spans.length > 0) new Float32Array(bytes.buffer, spansAt, spans.length).set(spans)
  return bytes
}

/**
 * Decodes a whole frame. Token ids, hidden state and results are views of
 * `bytes`, which must start at a multiple of 8 of its buffer. Throws FrameError.
 */
export function decodeFrame (bytes: Uint8Array): Frame {
  if (!LITTLE_ENDIAN) throw new FrameError('machine', 'is big-endian, which is not supported')
  if (bytes.byteOffset % 8 !== 0) throw new FrameError('buffer', 'is not aligned')
  if (bytes.length < HEADER_BYTES) throw new FrameError('header', `has ${bytes.length} bytes, needs ${HEADER_BYTES}`)
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const length = view.getUint32(0, true)
  checkHeaderStart(bytes)
  if (length !== bytes.length) throw new FrameError('length', `is ${length}, the frame has ${bytes.length} bytes`)
  const kind = view.getUint8(5) as KindNumber
  const rows = view.getUint32(36, true)
  const payloadType = view.getUint8(40) as PayloadNumber
  const flags = view.getUint8(41)
  const outputCount = view.getUint16(42, true)
  const payload = view.getUint32(48, true)
  const spanCount = view.getUint16(56, true)
  const until = view.getUint16(58, true)
  const outputLength = view.getUint32(60, true)
  if (rows > MAXIMUM_ROWS) throw new FrameError('rows', `is ${rows}, ${MAXIMUM_ROWS} are allowed`)
  if (payloadType > HIGHEST_PAYLOAD || !PAYLOADS[kind].includes(payloadType)) throw new FrameError('payload kind', `${payloadType} does not go with kind ${kind}`)
  if (flags > FLAG_MORE || (flags !== 0 && kind !== Kind.answer)) throw new FrameError('flags', `are ${flags}`)
  if (view.getUint32(44, true) !== 0) throw new FrameError('ancestor table', 'is not supported by this version')
  if (until > MAXIMUM_STAGES || (until !== 0 && kind !== Kind.step && kind !== Kind.replay)) throw new FrameError('until', `is ${until}`)
  if (kind === Kind.replay && until === 0) throw new FrameError('until', 'is 0, a replay ends somewhere')
  if (spanCount > MAXIMUM_STAGES) throw new FrameError('spans', `are ${spanCount}, ${MAXIMUM_STAGES} are allowed`)
  if (outputCount > 0 && kind !== Kind.step) throw new FrameError('output requests', `do not go with kind ${kind}`)
  if (outputCount > 0 && until !== 0) throw new FrameError('output requests', 'do not go with a replay')
  if ((kind === Kind.step || kind === Kind.replay || kind === Kind.fetch || kind === Kind.keyValues) && rows === 0) throw new FrameError('rows', 'is 0')
  if (outputLength % 4 !== 0) throw new FrameError('output requests', `have ${outputLength} bytes`)
  if (outputLength > MAXIMUM_OUTPUT_BYTES) throw new FrameError('output requests', `have ${outputLength} bytes, ${MAXIMUM_OUTPUT_BYTES} are allowed`)
  const outputsAt = HEADER_BYTES + pad8(payload)
  const spansAt = outputsAt + pad8(outputLength)
  const end = spansAt + pad8(4 * spanCount)
  if (end !== length) throw new FrameError('length', `is ${length}, the sections need ${end}`)
  zeros(bytes, HEADER_BYTES + payload, outputsAt)
  zeros(bytes, outputsAt + outputLength, spansAt)
  zeros(bytes, spansAt + 4 * spanCount, end)

  const frame: Frame = {
    kind,
    session: Buffer.from(bytes.buffer, bytes.byteOffset + 8, 16).toString('hex'),
    epoch: view.getUint32(24, true),
    sequence: view.getUint32(28, true),
    position: view.getUint32(32, true),
    rows,
    more: flags === FLAG_MORE,
    outputs: readOutputs(new Uint32Array(bytes.buffer, bytes.byteOffset + outputsAt, outputLength / 4), outputCount, rows),
    deadline: view.getUint32(52, true),
    spans: readSpans(new Float32Array(bytes.buffer, bytes.byteOffset + spansAt, spanCount)),
    until,
    byteLength: length
  }
  const start = bytes.byteOffset + HEADER_BYTES
  if (payloadType === Payload.tokens) {
    if (payload !== 4 * rows) throw new FrameError('token ids', `have ${payload} bytes for ${rows} rows`)
    frame.tokens = new Uint32Array(bytes.buffer, start, rows)
  } else if (payloadType === Payload.hidden) {
    if (rows === 0 || payload === 0 || payload % (4 * rows) !== 0) throw new FrameError('hidden state', `has ${payload} bytes for ${rows} rows`)
    frame.hidden = new Float32Array(bytes.buffer, start, payload / 4)
  } else if (payloadType === Payload.results) {
    frame.results = readResults(bytes.subarray(HEADER_BYTES, HEADER_BYTES + payload), rows)
  } else if (payloadType === Payload.record) {
    if (kind === Kind.keyValues && (payload === 0 || payload % rows !== 0)) throw new FrameError('keys and values', `have ${payload} bytes for ${rows} rows`)
    frame.record = bytes.subarray(HEADER_BYTES, HEADER_BYTES + payload)
  } else if (payload !== 0) {
    throw new FrameError('payload', `has ${payload} bytes, none are announced`)
  }
  return frame
}

/** What the first 8 bytes of a frame say; throws before anything is reserved for the rest. */
export function checkHeaderStart (bytes: Uint8Array): void {
  const version = bytes[4]
  if (version !== FRAME_VERSION) throw new FrameVersionError(version)
  const kind = bytes[5]
  if (kind < 1 || kind > HIGHEST_KIND) throw new FrameError('kind', `${kind} is unknown`)
  const header = bytes[6] | bytes[7] << 8
  if (header !== HEADER_BYTES) throw new FrameError('header length', `is ${header}, ${HEADER_BYTES} is expected`)
}

function payloadKind (init: FrameInit): PayloadNumber {
  if (init.tokens !== undefined) return Payload.tokens
  if (init.hidden !== undefined) return Payload.hidden
  if (init.record !== undefined) return Payload.record
  return init.results !== undefined ? Payload.results : Payload.none
}

function readSpans (values: Float32Array): number[] {
  const spans = Array.from(values)
  for (const span of spans) {
    if (!(span >= 0 && span < Infinity)) throw new FrameError('span', `is ${span}`)
  }
  return spans
}

function zeros (bytes: Uint8Array, from: number, to: number): void {
  for (let index = from; index < to; index++) {
    if (bytes[index] !== 0) throw new FrameError('padding', 'is not zero')
  }
}

function writeHex (bytes: Uint8Array, offset: number, hex: string): void {
  if (Buffer.from(bytes.buffer).write(hex, offset, 16, 'hex') !== 16 || hex.length !== 32) throw new FrameError('session id', 'is not 32 hex digits')
}
