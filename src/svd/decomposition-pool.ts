import { createTaskPool } from './task-pool.ts'
import type { RunOptions } from './task-pool.ts'
import type { FactorOptions, Factors, Matrix, RandomisedOptions, TruncatedSvd } from './types.ts'

/** What the worker is asked; options without functions, which do not cross threads. */
export type DecompositionTask =
  | { kind: 'whitened', matrix: Matrix, gram: Matrix, options: FactorOptions }
  | { kind: 'plain' | 'truncated', matrix: Matrix, options: FactorOptions }
  | { kind: 'randomised', matrix: Matrix, options: RandomisedOptions }

type Running<Options> = Options & Pick<RunOptions, 'signal'>

/**
 * The decompositions of this folder in worker threads, for callers whose event
 * loop must go on. Arguments are copied unless they lie in shared memory.
 * Errors are those of the functions, and those of `TaskPool.run`.
 */
export interface DecompositionPool {
  whitenedFactors (matrix: Matrix, gram: Matrix, options: Running<FactorOptions>): Promise<Factors>
  /** for comparison only */
  plainFactors (matrix: Matrix, options: Running<FactorOptions>): Promise<Factors>
  truncatedSvd (matrix: Matrix, options: Running<FactorOptions>): Promise<TruncatedSvd>
  randomisedSvd (matrix: Matrix, options: Running<RandomisedOptions>): Promise<TruncatedSvd>
  stop (): Promise<void>
}

export function createDecompositionPool (init: { threads?: number } = {}): DecompositionPool {
  const url = new URL(`./decomposition-worker${import.meta.url.slice(import.meta.url.lastIndexOf('.'))}`, import.meta.url)
  const pool = createTaskPool<DecompositionTask, Factors | TruncatedSvd>(url, init)
  // the worker answers each kind of task with its kind of result
  const run = async (task: DecompositionTask, { signal, onProgress }: RunOptions) => await pool.run(task, { signal, onProgress }) as never
  const plain = <Options extends FactorOptions>({ onProgress, signal, ...options }: Running<Options>) => options as unknown as Options
  return {
    whitenedFactors: (matrix, gram, options) => run({ kind: 'whitened', matrix, gram, options: plain(options) }, options),
    plainFactors: (matrix, options) => run({ kind: 'plain', matrix, options: plain(options) }, options),
    truncatedSvd: (matrix, options) => run({ kind: 'truncated', matrix, options: plain(options) }, options),
    randomisedSvd: (matrix, options) => run({ kind: 'randomised', matrix, options: plain(options) }, options),
    stop: () => pool.stop()
  }
}
