import { availableParallelism } from 'node:os'
import { Worker } from 'node:worker_threads'
import type { Transferable } from 'node:worker_threads'
import { IDLE_MILLISECONDS } from './constants.ts'
import { PoolStoppedError, WorkerCrashedError } from './errors.ts'
import { unpackError } from './packed-error.ts'
import type { TaskReply } from './packed-error.ts'
import type { OnProgress, ProgressOptions } from './types.ts'

export interface TaskPoolInit {
  /** workers at most; the default is a worker for each processor */
  threads?: number
  workerData?: unknown
  /** a worker without a task ends after this */
  idleMilliseconds?: number
}

export interface RunOptions extends ProgressOptions {
  signal?: AbortSignal
  /** buffers that move to the worker instead of being copied */
  transfer?: readonly Transferable[]
}

/** Runs tasks in worker threads that are started when needed and end when idle. Tasks start in the order given. */
export interface TaskPool<Task, Result> {
  /** workers alive */
  readonly size: number
  /**
   * Rejects with what the worker threw, with the signal's reason (the worker is
   * then ended, since nothing else stops a calculation), with
   * WorkerCrashedError or with PoolStoppedError.
   */
  run (task: Task, options?: RunOptions): Promise<Result>
  /** Ends all workers; tasks that wait or run are rejected. Resolves when no thread is left, aborted ones included. */
  stop (): Promise<void>
}

/** @param worker module that calls `serveTasks` */
export function createTaskPool<Task, Result> (worker: URL, init: TaskPoolInit = {}): TaskPool<Task, Result> {
  return new WorkerPool(worker, init)
}

interface Job<Task, Result> {
  task: Task
  transfer: readonly Transferable[]
  onProgress: OnProgress | undefined
  /** after these two nothing else happens to the job */
  resolve (result: Result): void
  reject (error: unknown): void
}

interface Member<Task, Result> {
  worker: Worker
  job: Job<Task, Result> | undefined
  idle: NodeJS.Timeout | undefined
}

class WorkerPool<Task, Result> implements TaskPool<Task, Result> {
  readonly #url: URL
  readonly #threads: number
  readonly #workerData: unknown
  readonly #idleMilliseconds: number
  readonly #members = new Set<Member<Task, Result>>()
  readonly #queue: Array<Job<Task, Result>> = []
  readonly #ending = new Set<Promise<unknown>>()
  #stopped = false

  constructor (url: URL, { threads = availableParallelism(), workerData, idleMilliseconds = IDLE_MILLISECONDS }: TaskPoolInit) {
    this.#url = url
    this.#threads = threads
    this.#workerData = workerData
    this.#idleMilliseconds = idleMilliseconds
  }

  get size (): number { return this.#members.size }

  async run (task: Task, { signal, onProgress, transfer = [] }: RunOptions = {}): Promise<Result> {
    signal?.throwIfAborted()
    if (this.#stopped) throw new PoolStoppedError()
    return await new Promise((resolve, reject) => {
      const abort = () => {
        this.#drop(job)
        job.reject(signal!.reason)
      }
      const job: Job<Task, Result> = {
        task,
        transfer,
        onProgress,
        resolve: result => {
          signal?.removeEventListener('abort', abort)
          resolve(result)
        },
        reject: error => {
          signal?.removeEventListener('abort', abort)
          reject(error)
        }
      }
      signal?.addEventListener('abort', abort, { once: true })
      this.#queue.push(job)
      this.#dispatch()
    })
  }

  async stop (): Promise<void> {
    this.#stopped = true
    const error = new PoolStoppedError()
    for (const job of this.#queue.splice(0)) job.reject(error)
    for (const member of [...this.#members]) {
      member.job?.reject(error)
      this.#end(member)
    }
    await Promise.all(this.#ending)
  }

  #dispatch (): void {
    while (this.#queue.length > 0) {
      const member = [...this.#members].find(({ job }) => job === undefined) ?? this.#start()
      if (member === undefined) return
      const job = this.#queue.shift()!
      clearTimeout(member.idle)
      member.job = job
      member.worker.ref()
      try {
        member.worker.postMessage(job.task, job.transfer)
      } catch (error) {
        // a task that cannot be cloned
        this.#release(member)
        job.reject(error)
      }
    }
  }

  #start (): Member<Task, Result> | undefined {
    if (this.#members.size >= this.#threads) return undefined
    const worker = new Worker(this.#url, { workerData: this.#workerData })
    const member: Member<Task, Result> = { worker, job: undefined, idle: undefined }
    this.#members.add(member)
    worker.on('message', (reply: TaskReply<Result>) => { this.#answer(member, reply) })
    worker.on('messageerror', error => { this.#crash(member, new WorkerCrashedError(error.message, { cause: error })) })
    worker.on('error', error => { this.#crash(member, new WorkerCrashedError(error instanceof Error ? error.message : String(error), { cause: error })) })
    worker.on('exit', code => { this.#crash(member, new WorkerCrashedError(`exit code ${code}`)) })
    return member
  }

  #answer (member: Member<Task, Result>, reply: TaskReply<Result>): void {
    const { job } = member
    // an aborted task may still have answered
    if (job === undefined || !this.#members.has(member)) return
    if (reply.type === 'progress') {
      job.onProgress?.(reply.share)
      return
    }
    this.#release(member)
    if (reply.type === 'done') job.resolve(reply.value)
    else job.reject(unpackError(reply))
    this.#dispatch()
  }

  #release (member: Member<Task, Result>): void {
    member.job = undefined
    member.worker.unref()
    member.idle = setTimeout(() => { this.#end(member) }, this.#idleMilliseconds).unref()
  }

  #crash (member: Member<Task, Result>, error: WorkerCrashedError): void {
    // ended by ourselves, or the second event of one crash
    if (!this.#members.has(member)) return
    this.#end(member)
    member.job?.reject(error)
    this.#dispatch()
  }

  #drop (job: Job<Task, Result>): void {
    const waiting = this.#queue.indexOf(job)
    if (waiting >= 0) {
      this.#queue.splice(waiting, 1)
      return
    }
    for (const member of this.#members) {
      if (member.job === job) this.#end(member)
    }
    this.#dispatch()
  }

  #end (member: Member<Task, Result>): void {
    clearTimeout(member.idle)
    this.#members.delete(member)
    const ended = member.worker.terminate().finally(() => this.#ending.delete(ended))
    this.#ending.add(ended)
  }
}
