import { setTimeout as pause } from 'node:timers/promises'
import { MAX_FRUITLESS_TRIES, RETRY_DELAY, STALL_TIMEOUT } from './constants.ts'
import { DownloadInterruptedError, HubResponseError, HubUnreachableError, PullError } from './errors.ts'
import { PartialFile } from './partial-file.ts'
import type { Checksum } from './partial-file.ts'

export interface Download {
  /** for messages */
  name: string
  url: string
  headers: Record<string, string>
  /** where the finished file goes */
  path: string
  byteLength: number
  checksum: Checksum
  fetch: typeof fetch
  signal?: AbortSignal
  retryDelay?: number
  /** called with the bytes of this file on disk */
  onBytes: (received: number) => void
  /** the error for an answer that is no success */
  refuse: (response: Response) => PullError
}

/**
 * Fetches a file, goes on from what an interrupted pull left, and tries again
 * while tries bring new bytes. Nothing bears the file's name before its
 * checksum is right.
 *
 * @throws ChecksumError, DownloadInterruptedError, what `refuse` makes of the answer, or the signal's reason
 */
export async function downloadFile (download: Download): Promise<void> {
  const file = new PartialFile(download.path, download.byteLength, download.checksum)
  if (await file.isComplete()) {
    download.onBytes(download.byteLength)
    return
  }
  await file.open({ signal: download.signal })
  try {
    do {
      await receiveAll(download, file)
    } while (!await file.finish())
  } finally {
    await file.close()
  }
}

async function receiveAll (download: Download, file: PartialFile): Promise<void> {
  let fruitless = 0
  download.onBytes(file.received)
  while (file.received < file.byteLength) {
    const before = file.received
    let reason: unknown
    try {
      await receive(download, file)
    } catch (error) {
      download.signal?.throwIfAborted()
      if (error instanceof PullError && !error.retryable) throw error
      reason = error
    }
    fruitless = file.received > before ? 0 : fruitless + 1
    if (fruitless >= MAX_FRUITLESS_TRIES) {
      throw new DownloadInterruptedError(download.name, file.received, file.byteLength, { cause: reason })
    }
    if (file.received < file.byteLength) {
      await pause((download.retryDelay ?? RETRY_DELAY) * 2 ** fruitless, undefined, { signal: download.signal })
    }
  }
}

/** One request, from the first missing byte as far as it goes. */
async function receive (download: Download, file: PartialFile): Promise<void> {
  const stalled = new AbortController()
  const timer = setTimeout(() => stalled.abort(new Error(`no data for ${STALL_TIMEOUT / 1000} s`)), STALL_TIMEOUT)
  try {
    const response = await download.fetch(download.url, {
      headers: {
        ...download.headers,
        // offsets are those of the file, not of a compressed form of it
        'accept-encoding': 'identity',
        ...(file.received > 0 && { range: `bytes=${file.received}-` })
      },
      signal: download.signal === undefined ? stalled.signal : AbortSignal.any([download.signal, stalled.signal])
    })
    await checkAnswer(download, file, response)
    for await (const chunk of response.body ?? []) {
      timer.refresh()
      if (!await file.append(chunk)) {
        await file.restart()
        throw new HubResponseError(download.name, `more than the ${file.byteLength} bytes it announced`)
      }
      download.onBytes(file.received)
    }
  } finally {
    clearTimeout(timer)
  }
}

async function checkAnswer (download: Download, file: PartialFile, response: Response): Promise<void> {
  if (response.status === 200) {
    // the whole file, whatever was asked for
    if (file.received > 0) await file.restart()
    return
  }
  if (response.status === 206) {
    const range = /^bytes (\d+)-\d+\/(\d+|\*)$/.exec(response.headers.get('content-range') ?? '')
    if (range !== null && Number(range[1]) === file.received) return
    await response.body?.cancel()
    throw new HubResponseError(download.name, 'content-range: not what was asked for')
  }
  await response.body?.cancel()
  if (response.status === 416) {
    await file.restart()
    throw new HubUnreachableError(new URL(download.url).host, 'it does not know the rest of the file')
  }
  throw download.refuse(response)
}
