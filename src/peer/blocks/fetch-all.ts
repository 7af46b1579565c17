import { setTimeout as pause } from 'node:timers/promises'
import { FrameError } from '../errors.ts'
import type { BlockSource } from './block-source.ts'
import { BlockStatus } from './codec.ts'
import type { BlockKindNumber } from './codec.ts'
import { BUSY_MILLISECONDS, RECONNECT_MILLISECONDS, RECONNECT_TRIES, REQUESTS_PER_SOURCE } from './constants.ts'
import { BlocksUnavailableError, WrongBytesError } from './errors.ts'
import { createTaskQueue } from './task-queue.ts'
import type { TaskQueue } from './task-queue.ts'

export interface BlockTask {
  kind: BlockKindNumber
  hash: string
  index: number
  /** for messages */
  what: string
  /** checks and keeps the bytes; false where they do not have their hash */
  accept: (bytes: Uint8Array) => Promise<boolean>
}

/** A peer that may give blocks, over the whole of a fetch: what it lacks and what it did are remembered. */
export interface SourcePeer {
  readonly address: string
  connect: (signal: AbortSignal) => Promise<BlockSource>
  /** hashes it said it does not have */
  readonly lacks: Set<string>
  source: BlockSource | undefined
  /** why it is not asked any more, in this fetch */
  dropped: Error | undefined
}

export type SourceEvent =
  | { type: 'blocks:source-lost', address: string, error: Error }
  | { type: 'blocks:source-dropped', address: string, error: Error }

export interface FetchAllInit {
  tasks: readonly BlockTask[]
  sources: readonly SourcePeer[]
  onEvent?: (event: SourceEvent) => void
  signal: AbortSignal
}

/**
 * Fetches all tasks from all sources at once, each source at its own speed.
 * Wrong bytes, or a broken protocol, end a source for good; a lost one is tried
 * again a few times. What one fails to give is asked of the others.
 *
 * @throws BlocksUnavailableError where nobody is left who may have a task; what `accept` throws; the signal's reason
 */
export async function fetchAll ({ tasks, sources, onEvent, signal }: FetchAllInit): Promise<void> {
  const queue = createTaskQueue(tasks)
  const failed = new AbortController()
  const stop = AbortSignal.any([signal, failed.signal])
  const end = (): void => {
    for (const { source } of sources) source?.close(stop.reason as Error)
    queue.wake()
  }
  stop.addEventListener('abort', end)
  const usable = (): SourcePeer[] => sources.filter(({ dropped }) => dropped === undefined)
  const checkHope = (): void => {
    if (queue.finished) return
    const hash = queue.hopeless(usable().map(({ lacks }) => lacks))
    if (hash === undefined) return
    const reasons = sources.map(({ address, dropped, lacks }) => `${address}: ${dropped?.message ?? (lacks.has(hash) ? 'does not have it' : 'is busy')}`)
    failed.abort(new BlocksUnavailableError(tasks.find(task => task.hash === hash)?.what ?? hash, reasons))
  }
  try {
    checkHope()
    await Promise.all(usable().map(async peer => {
      try {
        await useSource(peer, queue, stop, checkHope, onEvent)
      } catch (error) {
        failed.abort(error)
      }
    }))
    stop.throwIfAborted()
  } finally {
    stop.removeEventListener('abort', end)
  }
}

/** Works with one peer until all is done, or it is of no more use. */
async function useSource (peer: SourcePeer, queue: TaskQueue<BlockTask>, stop: AbortSignal, checkHope: () => void, onEvent: FetchAllInit['onEvent']): Promise<void> {
  let fruitless = 0
  while (!queue.finished && !stop.aborted) {
    try {
      peer.source ??= await peer.connect(stop)
      const source = peer.source
      const ends = await Promise.allSettled(Array.from({ length: REQUESTS_PER_SOURCE }, async () => {
        try {
          await work(peer, source, queue, stop, () => { fruitless = 0 }, checkHope)
        } catch (error) {
          // the other requests of this source fail with the same error
          source.close(error as Error)
          queue.wake()
          throw error
        }
      }))
      const failure = ends.find(end => end.status === 'rejected')
      if (failure !== undefined) throw failure.reason
      return
    } catch (error) {
      peer.source = undefined
      if (stop.aborted) return
      if (!isFault(error)) throw error
      const { retryable } = error
      const final = !retryable || fruitless >= RECONNECT_TRIES
      onEvent?.({ type: final ? 'blocks:source-dropped' : 'blocks:source-lost', address: peer.address, error })
      if (final) {
        peer.dropped = error
        checkHope()
        queue.wake()
        return
      }
      await pause(RECONNECT_MILLISECONDS * 2 ** fruitless++, undefined, { signal: stop }).catch(() => {})
    }
  }
}

/** Failures of a source, as against those of our own disk. */
function isFault (error: unknown): error is Error & { retryable: boolean } {
  const { code } = error as { code?: string }
  return error instanceof FrameError || ['ERR_WRONG_BYTES', 'ERR_PEER_UNREACHABLE', 'ERR_INCOMPATIBLE_VERSION', 'ERR_INVALID_ADDRESS', 'ERR_DEADLINE'].includes(code ?? '')
}

async function work (peer: SourcePeer, source: BlockSource, queue: TaskQueue<BlockTask>, stop: AbortSignal, onFruit: () => void, checkHope: () => void): Promise<void> {
  while (!queue.finished && !stop.aborted && peer.source === source) {
    const task = queue.take(peer.lacks)
    if (task === undefined) {
      await queue.changed()
      continue
    }
    let ended = false
    try {
      const answer = await source.ask(task.kind, task.hash, task.index)
      stop.throwIfAborted()
      if (answer.status === BlockStatus.here) {
        if (!await task.accept(answer.payload)) throw new WrongBytesError(source.peer, task.what)
        ended = true
        queue.done(task)
        onFruit()
        continue
      }
      if (answer.status === BlockStatus.notHere) peer.lacks.add(task.hash)
      else await pause(BUSY_MILLISECONDS, undefined, { signal: stop })
    } finally {
      if (!ended) queue.putBack(task)
    }
    checkHope()
  }
}
