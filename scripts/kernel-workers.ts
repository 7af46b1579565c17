/** Threads that do one kind of work over and over, for roofline.ts and bench-pages.ts: reading memory, or products of a matrix. */
import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import asc from 'assemblyscript/asc'
import type { Job, JobResult, WorkerInit } from './kernel-worker.ts'

/** More than the last cache of common processors; a thread reads its own. */
export const READ_BYTES = 256 * 2 ** 20

/** How long one look takes. */
const WINDOW_MILLISECONDS = 80

export interface KernelWorkers {
  /** Times a second that so many threads together do some work, in one look; the first one at a work compiles and touches memory. */
  look (work: Job['work'], threads: number): Promise<number>
  stop (): Promise<void>
}

export async function startKernelWorkers (count: number): Promise<KernelWorkers> {
  const reader = await compileReader()
  const workers = Array.from({ length: count }, () => new Worker(new URL('./kernel-worker.ts', import.meta.url), {
    workerData: { reader, readBytes: READ_BYTES } satisfies WorkerInit
  }))

  return {
    async look (work, threads) {
      const begin = Date.now() + 5
      const results = await Promise.all(workers.slice(0, threads).map(async worker => {
        const answer = once(worker, 'message')
        worker.postMessage({ work, begin, end: begin + WINDOW_MILLISECONDS } satisfies Job)
        return (await answer)[0] as JobResult
      }))
      return results.reduce((sum, { count, milliseconds }) => sum + count * 1000 / milliseconds, 0)
    },
    async stop () {
      await Promise.all(workers.map(async worker => await worker.terminate()))
    }
  }
}

/**
 * Reads memory as one ascending stream, as the kernels do, and for comparison as
 * four that lie apart. Several registers, because one would wait for its own
 * last operation.
 */
async function compileReader (): Promise<Uint8Array> {
  const loop = (name: string, stride: string, end: string, step: number) => `export function ${name} (from: usize, to: usize): i32 {
    let a = i32x4.splat(0), b = a, c = a, d = a
    const stride: usize = ${stride}
    for (let p = from; p < ${end}; p += ${step}) {
      a = v128.xor(a, v128.load(p)); b = v128.xor(b, v128.load(p + stride))
      c = v128.xor(c, v128.load(p + 2 * stride)); d = v128.xor(d, v128.load(p + 3 * stride))
    }
    return i32x4.extract_lane(v128.xor(v128.xor(a, b), v128.xor(c, d)), 0)
  }`
  const source = `${loop('read', '16', 'to', 64)}\n${loop('readApart', '(to - from) / 4', 'from + (to - from) / 4', 16)}`
  const { error, binary, stderr } = await asc.compileString(source, {
    optimizeLevel: 3, runtime: 'stub', importMemory: true, sharedMemory: true, initialMemory: 1, maximumMemory: 65_536, enable: ['simd', 'threads']
  })
  if (error !== null || binary === null) throw new Error(`the reader does not compile: ${stderr.toString()}`)
  return binary
}
