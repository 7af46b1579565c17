import { parentPort } from 'node:worker_threads'
import { PROGRESS_STEP } from './constants.ts'
import { packError } from './packed-error.ts'
import type { TaskReply } from './packed-error.ts'
import type { OnProgress } from './types.ts'

/**
 * The other side of `createTaskPool`, called once by a worker's module: runs
 * each task and answers with its result or with what it threw.
 */
export function serveTasks<Task, Result> (run: (task: Task, onProgress: OnProgress) => Result | Promise<Result>): void {
  const port = parentPort!
  port.on('message', async (task: Task) => {
    let reported = 0
    const onProgress = (share: number) => {
      if (share < reported + PROGRESS_STEP) return
      reported = share
      port.postMessage({ type: 'progress', share } satisfies TaskReply<Result>)
    }
    try {
      const value = await run(task, onProgress)
      if (reported < 1) port.postMessage({ type: 'progress', share: 1 } satisfies TaskReply<Result>)
      port.postMessage({ type: 'done', value } satisfies TaskReply<Result>)
    } catch (error) {
      port.postMessage({ type: 'failed', ...packError(error) } satisfies TaskReply<Result>)
    }
  })
}
