import { Worker } from 'node:worker_threads'
import { EngineStoppedError, WorkerFailedError } from '../errors.ts'
import type { Reply, Request, WorkerInit } from './worker.ts'

interface Pending {
  request: Request
  resolve (reply: Extract<Reply, { type: 'done' }>): void
  reject (error: unknown): void
}

/** Worker threads that run an engine's kernels. One request at a time on each; requests queue in order. */
export class ThreadPool {
  readonly #workers: Worker[] = []
  readonly #pending: Pending[][] = []
  #failure: Error | undefined

  constructor (init: Omit<WorkerInit, 'thread'>) {
    const url = new URL(`./worker${import.meta.url.slice(import.meta.url.lastIndexOf('.'))}`, import.meta.url)
    for (let thread = 0; thread < init.threads; thread++) {
      const worker = new Worker(url, { workerData: { ...init, thread } satisfies WorkerInit })
      const pending: Pending[] = []
      this.#workers.push(worker)
      this.#pending.push(pending)
      worker.on('message', (reply: Reply) => {
        if (pending.length === 1) worker.unref()
        const waiting = pending.shift()
        if (reply.type === 'done') {
          waiting?.resolve(reply)
        } else {
          waiting?.reject(reply.error)
          // the other threads of the step wait for this one at a barrier for ever
          if (waiting?.request.type === 'step') this.#fail(new WorkerFailedError(String(reply.error), { cause: reply.error }))
        }
      })
      worker.on('error', error => { this.#fail(new WorkerFailedError(error.message, { cause: error })) })
      worker.on('exit', code => { this.#fail(new WorkerFailedError(`it ended with code ${code}`)) })
      worker.unref()
    }
  }

  get threads (): number {
    return this.#workers.length
  }

  /** Sends a request to one thread. The process stays alive until the answer. */
  async ask (thread: number, request: Request): Promise<Extract<Reply, { type: 'done' }>> {
    return await new Promise((resolve, reject) => {
      if (this.#failure !== undefined) {
        reject(this.#failure)
        return
      }
      this.#workers[thread].ref()
      this.#pending[thread].push({ request, resolve, reject })
      this.#workers[thread].postMessage(request)
    })
  }

  /** Sends a request to all threads and gives their answers in order. */
  async askAll (request: Request): Promise<Array<Extract<Reply, { type: 'done' }>>> {
    return await Promise.all(this.#workers.map(async (_, thread) => await this.ask(thread, request)))
  }

  async stop (): Promise<void> {
    this.#fail(new EngineStoppedError())
    await Promise.all(this.#workers.map(async worker => await worker.terminate()))
  }

  #fail (error: Error): void {
    this.#failure ??= error
    for (const pending of this.#pending) {
      for (const request of pending.splice(0)) request.reject(this.#failure)
    }
  }
}
