import { createTaskPool } from '../task-pool.ts'
import { WORKER_IDLE_MILLISECONDS } from './constants.ts'
import type { CompressAnswers, CompressTask } from './tasks.ts'

/** Worker threads for the matrices of a layer. */
export interface CompressWorkers {
  run<Kind extends CompressTask['kind']> (task: Extract<CompressTask, { kind: Kind }>, signal?: AbortSignal): Promise<CompressAnswers[Kind]>
  stop (): Promise<void>
}

export function createCompressWorkers (threads: number): CompressWorkers {
  const url = new URL(`./worker${import.meta.url.slice(import.meta.url.lastIndexOf('.'))}`, import.meta.url)
  const pool = createTaskPool<CompressTask, CompressAnswers[keyof CompressAnswers]>(url, { threads, idleMilliseconds: WORKER_IDLE_MILLISECONDS })
  return {
    // the worker answers a task with the answer of its kind
    run: async (task, signal) => await pool.run(task, { signal }) as never,
    stop: () => pool.stop()
  }
}
