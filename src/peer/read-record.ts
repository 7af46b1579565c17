import type { Stream } from '@libp2p/interface'
import { FrameError, PeerUnreachableError } from './errors.ts'
import type { Chunk } from './wire/index.ts'

/** A record as it travels: its length before it. */
export function withLength (record: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(4 + record.length)
  new DataView(bytes.buffer).setUint32(0, record.length, true)
  bytes.set(record, 4)
  return bytes
}

/**
 * Reads u32 length, then so many bytes, and nothing after them; holds no more
 * than have arrived. Throws FrameError, PeerUnreachableError where the stream
 * ends before, or the signal's reason.
 */
export async function readRecord (stream: Stream, what: string, cap: number, signal: AbortSignal): Promise<Uint8Array> {
  const { promise, resolve, reject } = Promise.withResolvers<Uint8Array>()
  const parts: Uint8Array[] = []
  let received = 0
  let length: number | undefined
  const onMessage = (event: { data: unknown }): void => {
    try {
      const chunk = event.data as Chunk
      for (const part of chunk instanceof Uint8Array ? [chunk] : chunk) {
        parts.push(part.slice())
        received += part.length
      }
      if (length === undefined && received >= 4) {
        length = Buffer.concat(parts).readUInt32LE(0)
        if (length > cap) throw new FrameError(what, `has ${length} bytes, ${cap} are allowed`)
      }
      if (length === undefined) return
      if (received > 4 + length) throw new FrameError(what, 'is longer than its length')
      if (received === 4 + length) resolve(new Uint8Array(Buffer.concat(parts)).subarray(4))
    } catch (error) {
      reject(error as Error)
    }
  }
  const onClose = (event: { error?: Error }): void => reject(new PeerUnreachableError('that was asked', event.error ?? new Error('it closed the stream without an answer')))
  const onEnd = (): void => { if (length === undefined || received < 4 + length) onClose({}) }
  const onAbort = (): void => reject(signal.reason)
  signal.throwIfAborted()
  signal.addEventListener('abort', onAbort, { once: true })
  stream.addEventListener('message', onMessage)
  stream.addEventListener('close', onClose)
  stream.addEventListener('remoteCloseWrite', onEnd)
  try {
    return await promise
  } finally {
    signal.removeEventListener('abort', onAbort)
    stream.removeEventListener('message', onMessage)
    stream.removeEventListener('close', onClose)
    stream.removeEventListener('remoteCloseWrite', onEnd)
  }
}
