import type { UnitRange } from '../../model/index.ts'
import { MAXIMUM_MANIFEST_BYTES, MAXIMUM_TEXT_BYTES } from '../constants.ts'
import { FrameError } from '../errors.ts'
import { ByteReader, ByteWriter } from './bytes.ts'
import { readAddresses, writeAddresses } from './confirmation.ts'
import { hex, modelIdBytes, readRange } from './records.ts'

const FORMAT = 1

/** The record of the info protocol, without its length prefix. */
export interface InfoRecord {
  software: string
  /** without `/p2p` */
  addresses: string[]
  hosted?: {
    modelId: string
    /** canonical encoding */
    manifest: Uint8Array
    range: UnitRange
    rowsPerStep: number
    window: number
    contextLength: number
    sessionsPerClient: number
  }
}

export function encodeInfo (info: InfoRecord): Uint8Array {
  const writer = new ByteWriter().u8(FORMAT).text(info.software, MAXIMUM_TEXT_BYTES, 'software')
  writeAddresses(writer, info.addresses)
  const { hosted } = info
  if (hosted === undefined) return writer.u8(0).finish()
  if (hosted.manifest.length > MAXIMUM_MANIFEST_BYTES) throw new FrameError('manifest', `has ${hosted.manifest.length} bytes, ${MAXIMUM_MANIFEST_BYTES} are allowed`)
  return writer.u8(1).u16(hosted.range.from).u16(hosted.range.to)
    .u32(hosted.rowsPerStep).u32(hosted.window).u32(hosted.contextLength).u32(hosted.sessionsPerClient)
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
      range: readRange(reader),
      rowsPerStep: reader.u32('rowsPerStep'),
      window: reader.u32('window'),
      contextLength: reader.u32('contextLength'),
      sessionsPerClient: reader.u32('sessionsPerClient'),
      modelId: hex(reader.bytes(32, 'modelId'))
    }
    const length = reader.u32('manifest')
    if (length > MAXIMUM_MANIFEST_BYTES) throw new FrameError('manifest', `has ${length} bytes, ${MAXIMUM_MANIFEST_BYTES} are allowed`)
    info.hosted = { ...hosted, manifest: reader.bytes(length, 'manifest') }
  }
  reader.end('info')
  return info
}
