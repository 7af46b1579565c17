import { parentPort, workerData } from 'node:worker_threads'
import type { Answer } from './threads.ts'

/**
 * The other side of `createThreads`, called once by a worker's module. The
 * handler may be asynchronous; requests are answered in the order they came.
 */
export function serve<Init, Request, Reply> (create: (init: Init, thread: number) => (request: Request) => Reply | Promise<Reply>): void {
  const port = parentPort!
  const { init, thread } = workerData as { init: Init, thread: number }
  let handle: ((request: Request) => Reply | Promise<Reply>) | undefined
  let queue: Promise<unknown> = Promise.resolve()
  port.on('message', (request: Request) => {
    queue = queue.then(async () => {
      try {
        // created here so that a failure is an answer and not the end of the thread
        handle ??= create(init, thread)
        port.postMessage({ value: await handle(request) } satisfies Answer<Reply>)
      } catch (error) {
        port.postMessage({ error } satisfies Answer<Reply>)
      }
    })
  })
}
