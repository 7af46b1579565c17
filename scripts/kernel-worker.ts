/** A thread of kernel-workers.ts: does one kind of work over and over, for a given time. */
import { parentPort, workerData } from 'node:worker_threads'
import { askForHugePages } from '../src/engine/wasm/huge-pages.ts'
import { compileKernels, instantiateKernels, productsOf } from '../src/engine/wasm/kernels.ts'
import type { KernelVariant } from '../src/engine/wasm/kernels.ts'
import { layOutMatrix } from '../src/engine/wasm/matrix-layout.ts'
import type { TensorType } from '../src/model/index.ts'

export interface WorkerInit {
  /** module that reads memory from one address to another: `read`, and `readApart` in four streams */
  reader: Uint8Array
  /** bytes that it reads, too many for any cache */
  readBytes: number
}

/** Work, and when it is to begin and end, in milliseconds since 1970. */
export interface Job {
  work: ReadWork | ProductWork
  begin: number
  end: number
}

export interface ReadWork {
  kind: 'read'
  /** side by side */
  streams: 1 | 4
}

/** Products of a matrix of the thread's own. */
export interface ProductWork {
  kind: 'product'
  type: TensorType
  variant: KernelVariant
  rows: number
  columns: number
  tokens: number
  /** places that a product with one token reads at a time */
  streams: 1 | 4
  /** rows that a call takes */
  piece: number
  /** in pages of 2 MiB, where the system has them */
  largePages: boolean
}

export interface JobResult {
  /** times that the work was done in full */
  count: number
  milliseconds: number
}

const PAGE = 65_536
const { reader, readBytes } = workerData as WorkerInit
const works = new Map<string, () => void>()

parentPort!.on('message', ({ work, begin, end }: Job) => {
  const key = JSON.stringify(work)
  const run = works.get(key) ?? (work.kind === 'read' ? readWork(work) : productWork(work))
  works.set(key, run)
  const now = () => performance.timeOrigin + performance.now()
  while (now() < begin);
  const started = now()
  let count = 0
  do {
    run()
    count++
  } while (now() < end)
  parentPort!.postMessage({ count, milliseconds: now() - started } satisfies JobResult)
})

let readMemory: WebAssembly.Memory | undefined

function readWork ({ streams }: ReadWork): () => void {
  if (readMemory === undefined) {
    readMemory = new WebAssembly.Memory({ initial: readBytes / PAGE + 1, maximum: 65_536, shared: true })
    // as the engine's memory
    askForHugePages(readMemory)
    // pages that were never written are all the same page of zeros
    new Uint8Array(readMemory.buffer).fill(1)
  }
  const exports = new WebAssembly.Instance(new WebAssembly.Module(Uint8Array.from(reader)), { env: { memory: readMemory } }).exports
  const read = exports[streams === 1 ? 'read' : 'readApart'] as (from: number, to: number) => number
  return () => { read(PAGE, PAGE + readBytes) }
}

function productWork ({ type, variant, rows, columns, tokens, streams, piece, largePages }: ProductWork): () => void {
  let size = PAGE
  const reserve = (bytes: number): number => {
    const at = size
    size += Math.ceil(bytes / 64) * 64
    return at
  }
  const matrix = layOutMatrix({ path: '', offset: 0, byteLength: 0, type, shape: [rows, columns] }, reserve)
  // of 16 bits or of 8, or the positive ones
  const codes = reserve(tokens * columns * 2)
  const scales = reserve(tokens * columns / 8)
  const sums = reserve(tokens * columns / 8)
  const negative = reserve(tokens * columns)
  const scaled = reserve(tokens * columns / 8)
  const out = reserve(tokens * matrix.paddedRows * 4)
  const memory = new WebAssembly.Memory({ initial: Math.ceil(size / PAGE), maximum: 65_536, shared: true })
  if (largePages) askForHugePages(memory)
  // scales of 0x01010101 are tiny and codes of 1 small: no overflow, no denormals
  new Uint8Array(memory.buffer).fill(0x11)
  new Float32Array(memory.buffer, scales, tokens * columns / 32).fill(0.01)
  new Float32Array(memory.buffer, scaled, tokens * columns / 32).fill(0.01)
  const product = productsOf(instantiateKernels(compileKernels(variant), memory), variant, variant)[matrix.kind]
  return () => {
    for (let from = 0; from < matrix.paddedRows; from += piece) {
      product(matrix.offset, codes, scales, matrix.bits === 8 ? negative : sums, scaled, out, from, Math.min(from + piece, matrix.paddedRows), matrix.blocks, tokens, matrix.paddedRows, streams, matrix.zeroShift, 15)
    }
  }
}
