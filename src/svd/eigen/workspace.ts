import { createFloatKernels, MAX_PAGES, PAGE_BYTES } from '../product/index.ts'
import type { FloatKernels } from '../product/index.ts'

let workspace: { memory: WebAssembly.Memory, kernels: FloatKernels } | undefined

/**
 * Arrays of the given lengths in memory that kernels reach, one after another;
 * their contents are whatever was there. They are good until the next call on
 * this thread.
 *
 * @throws RangeError where they do not fit into 4 GiB
 */
export function eigenWorkspace (...lengths: number[]): { kernels: FloatKernels, arrays: Float64Array[] } {
  const pages = Math.ceil(lengths.reduce((sum, length) => sum + length, 0) * 8 / PAGE_BYTES)
  if (pages > MAX_PAGES) throw new RangeError(`eigenvalues of a matrix that takes ${pages * PAGE_BYTES} bytes`)
  if (workspace === undefined) {
    const memory = new WebAssembly.Memory({ initial: pages, maximum: MAX_PAGES, shared: true })
    workspace = { memory, kernels: createFloatKernels(memory) }
  }
  const { memory, kernels } = workspace
  const missing = pages - memory.buffer.byteLength / PAGE_BYTES
  if (missing > 0) memory.grow(missing)
  let offset = 0
  const arrays = lengths.map(length => {
    const array = new Float64Array(memory.buffer, offset, length)
    offset += length * 8
    return array
  })
  return { kernels, arrays }
}
