import { createHash } from 'node:crypto'
import type { Connection, Stream } from '@libp2p/interface'
import { decodeManifest, encodeManifest } from '../model/index.ts'
import { INFO_PROTOCOL, MAXIMUM_INFO_BYTES, MAXIMUM_ROWS, SOFTWARE, STOP_MILLISECONDS } from './constants.ts'
import { FrameError, IncompatibleVersionError, PeerUnreachableError } from './errors.ts'
import { readRecord, withLength } from './read-record.ts'
import type { HostedUnits, ModelIdentity, PeerInfo, PeerLimits } from './types.ts'
import { decodeInfo, encodeInfo } from './wire/index.ts'

/** What there is to say about what a node hosts. */
export interface HostedInfo {
  model: ModelIdentity
  limits: PeerLimits
  ranges: HostedUnits[]
  sessions: number
  queuedSteps: number
  freePositions: number
}

const LARGEST = 0xffffffff

/** The bytes this node answers with; made anew for each question, since addresses and load change. */
export function infoBytes (addresses: string[], hosted: HostedInfo | undefined): Uint8Array {
  const record = encodeInfo({
    software: SOFTWARE,
    addresses,
    hosted: hosted === undefined || hosted.ranges.length === 0
      ? undefined
      : {
          modelId: hosted.model.modelId,
          manifest: encodeManifest(hosted.model.manifest),
          ranges: hosted.ranges,
          rowsPerStep: hosted.limits.rowsPerStep,
          window: hosted.limits.window,
          contextLength: Math.min(hosted.limits.contextLength, hosted.model.manifest.architecture.contextLength),
          sessionsPerClient: hosted.limits.sessionsPerClient,
          sessions: Math.min(hosted.sessions, LARGEST),
          queuedSteps: Math.min(hosted.queuedSteps, LARGEST),
          freePositions: Math.min(hosted.freePositions, LARGEST)
        }
  })
  return withLength(record)
}

/** Answers and ends the stream. */
export async function serveInfo (stream: Stream, bytes: Uint8Array): Promise<void> {
  stream.send(bytes)
  await stream.close({ signal: AbortSignal.timeout(STOP_MILLISECONDS) })
}

/** Asks over a connection. Throws IncompatibleVersionError, FrameError, PeerUnreachableError, or the signal's reason. */
export async function askInfo (connection: Connection, signal: AbortSignal): Promise<PeerInfo> {
  const peerId = connection.remotePeer.toString()
  let stream: Stream
  try {
    stream = await connection.newStream(INFO_PROTOCOL, { signal, runOnLimitedConnection: true })
  } catch (error) {
    signal.throwIfAborted()
    if ((error as Error).name === 'UnsupportedProtocolError') throw new IncompatibleVersionError(peerId, INFO_PROTOCOL, error)
    throw new PeerUnreachableError(peerId, error)
  }
  try {
    const record = await readRecord(stream, 'info', MAXIMUM_INFO_BYTES, signal)
    stream.close().catch(() => {})
    return parseInfo(peerId, record)
  } catch (error) {
    stream.abort(error as Error)
    throw error
  }
}

function parseInfo (peerId: string, bytes: Uint8Array): PeerInfo {
  const info = decodeInfo(bytes)
  const addresses = info.addresses.map(address => `${address}/p2p/${peerId}`)
  if (info.hosted === undefined) return { peerId, addresses, software: info.software }
  const { modelId, ranges, rowsPerStep, window, contextLength, sessionsPerClient, sessions, queuedSteps, freePositions } = info.hosted
  if (createHash('sha256').update(info.hosted.manifest).digest('hex') !== modelId) throw new FrameError('manifest', 'does not have the hash that modelId says')
  const manifest = decodeManifest(info.hosted.manifest)
  const units = manifest.architecture.layerCount + 2
  for (const { range: { from, to } } of ranges) if (to > units) throw new FrameError('range', `${from}:${to} is beyond the ${units} units of the model`)
  if (rowsPerStep < 1 || rowsPerStep > MAXIMUM_ROWS || window < 1 || contextLength < 1) throw new FrameError('limits', 'grant nothing')
  const { range } = ranges.find(({ state }) => state === 'serving') ?? ranges[0]
  return { peerId, addresses, software: info.software, hosted: { modelId, manifest, range, ranges, limits: { rowsPerStep, window, contextLength, sessionsPerClient }, sessions, queuedSteps, freePositions } }
}
