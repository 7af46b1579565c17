import { MAXIMUM_HOSTED_RANGES, MAXIMUM_MANIFEST_BYTES, MAXIMUM_TEXT_BYTES } from '../constants.ts'
import { FrameError } from '../errors.ts'
import type { HostedState, HostedUnits } from '../types.ts'
import { ByteReader, ByteWriter } from './bytes.ts'
import { readAddresses, writeAddresses } from './confirmation.ts'
import { hex, modelIdBytes, readRange } from './records.ts'

const FORMAT = 2

/** By their numbers on the wire. */
const STATES: readonly HostedState[] = ['joining', 'serving', 'draining']

/** The record of the info protocol, without its length prefix. */
export interface InfoRecord {
  software: string
  /** without `/p2p` */
  addresses: string[]
  hosted?: {
    modelId: string
    /** canonical encoding */
    manifest: Uint8Array
    ranges: HostedUnits[]
    rowsPerStep: number
    window: number
    contextLength: number
    sessionsPerClient: number
    sessions: number
    queuedSteps: number
    freePositions: number
  }
}

export function encodeInfo (info: InfoRecord): Uint8Array {
  const writer = new ByteWriter().u8(FORMAT).text(info.software, MAXIMUM_TEXT_BYTES, 'software')
  writeAddresses(writer, info.addresses)
  const { hosted } = info
  if (hosted === undefined) return writer.u8(0).finish()
  if (hosted.manifest.length > MAXIMUM_MANIFEST_BYTES) throw new FrameError('manifest', `has ${hosted.manifest.length} bytes, ${MAXIMUM_MANIFEST_BYTES} are allowed`)
  writer.u8(1).u8(hosted.ranges.length)
  for (const { range, state } of hosted.ranges) writer.u16(range.from).u16(range.to).u8(STATES.indexOf(state))
  return writer.u32(hosted.rowsPerStep).u32(hosted.window).u32(hosted.contextLength).u32(hosted.sessionsPerClient)
    .u32(hosted.sessions).u32(hosted.queuedSteps).u32(hosted.freePositions)
    .bytes(modelIdBytes(hosted.modelId)).u32(hosted.manifest.length).bytes(hosted.manifest).finish()
}

/** Throws FrameError; the manifest is a view of `bytes` and is not looked into. */
export function decodeInfo (bytes: Uint8Array): InfoRecord {
  const reader = new ByteReader(bytes)
  const format = reader.u8('format')
  if (format !== FORMAT) throw new FrameError('format', `is ${format}, this software speaks ${FORMAT}`)
  const info: InfoRecord = { software: reader.text(MAXIMUM_TEXT_BYTES, 'software'), addresses: readAddresses(reader) }
  const hosts = reader.u8('hosts')
  if (hosts > 1) throw new FrameError('hosts', `is ${hosts}`)
  if (hosts === 1) {
    const hosted = {
      ranges: readRanges(reader),
      rowsPerStep: reader.u32('rowsPerStep'),
      window: reader.u32('window'),
      contextLength: reader.u32('contextLength'),
      sessionsPerClient: reader.u32('sessionsPerClient'),
      sessions: reader.u32('sessions'),
      queuedSteps: reader.u32('queuedSteps'),
      freePositions: reader.u32('freePositions'),
      modelId: hex(reader.bytes(32, 'modelId'))
    }
    const length = reader.u32('manifest')
    if (length > MAXIMUM_MANIFEST_BYTES) throw new FrameError('manifest', `has ${length} bytes, ${MAXIMUM_MANIFEST_BYTES} are allowed`)
    info.hosted = { ...hosted, manifest: reader.bytes(length, 'manifest') }
  }
  reader.end('info')
  return info
}

function readRanges (reader: ByteReader): HostedUnits[] {
  const count = reader.u8('ranges')
  if (count < 1 || count > MAXIMUM_HOSTED_RANGES) throw new FrameError('ranges', `are ${count}, 1 to ${MAXIMUM_HOSTED_RANGES} are allowed`)
  return Array.from({ length: count }, () => {
    const range = readRange(reader)
    const state = reader.u8('state')
    if (state >= STATES.length) throw new FrameError('state', `is ${state}`)
    return { range, state: STATES[state] }
  })
}
