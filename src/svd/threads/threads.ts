import { Worker } from 'node:worker_threads'
import { ThreadFailedError } from './errors.ts'

export type Answer<Reply> = { value: Reply } | { error: unknown }

export interface ThreadsInit<Init> {
  /** module of the worker; it calls `serve` */
  url: URL
  threads: number
  /** given to each thread, beside its number; shared memory stays shared */
  init: Init
}

export interface Threads<Request, Reply> {
  readonly count: number
  /** Sends a request to a thread; requests to one thread queue. Rejects with what the worker threw, or ThreadFailedError. */
  ask (thread: number, request: Request): Promise<Reply>
  /** Sends the same request to all threads; answers in order of the threads. */
  askAll (request: Request): Promise<Reply[]>
  /** Ends the threads at once; requests that wait are rejected. */
  stop (): Promise<void>
}

interface Pending<Reply> {
  resolve (value: Reply): void
  reject (error: unknown): void
}

/** Starts threads. They keep the process alive only while a request is under way. */
export function createThreads<Init, Request, Reply> (init: ThreadsInit<Init>): Threads<Request, Reply> {
  return new WorkerThreads(init)
}

class WorkerThreads<Init, Request, Reply> implements Threads<Request, Reply> {
  readonly #workers: Worker[] = []
  readonly #pending: Array<Array<Pending<Reply>>> = []
  #failure: Error | undefined

  constructor ({ url, threads, init }: ThreadsInit<Init>) {
    for (let thread = 0; thread < threads; thread++) {
      const worker = new Worker(url, { workerData: { init, thread } })
      const pending: Array<Pending<Reply>> = []
      this.#workers.push(worker)
      this.#pending.push(pending)
      worker.on('message', (answer: Answer<Reply>) => {
        if (pending.length === 1) worker.unref()
        const waiting = pending.shift()
        if ('error' in answer) waiting?.reject(answer.error)
        else waiting?.resolve(answer.value)
      })
      worker.on('error', error => { this.#fail(new ThreadFailedError(error.message, { cause: error })) })
      worker.on('exit', code => { this.#fail(new ThreadFailedError(`it ended with code ${code}`)) })
      worker.unref()
    }
  }

  get count (): number { return this.#workers.length }

  ask (thread: number, request: Request): Promise<Reply> {
    return new Promise((resolve, reject) => {
      if (this.#failure !== undefined) {
        reject(this.#failure)
        return
      }
      this.#workers[thread].ref()
      this.#pending[thread].push({ resolve, reject })
      this.#workers[thread].postMessage(request)
    })
  }

  askAll (request: Request): Promise<Reply[]> {
    return Promise.all(this.#workers.map((_, thread) => this.ask(thread, request)))
  }

  async stop (): Promise<void> {
    this.#fail(new ThreadFailedError('it was stopped'))
    await Promise.all(this.#workers.map(worker => worker.terminate()))
  }

  #fail (error: Error): void {
    this.#failure ??= error
    for (const pending of this.#pending) {
      for (const { reject } of pending.splice(0)) reject(this.#failure)
    }
  }
}
