import type { FloatKernels } from '../product/index.ts'
import { STRETCH } from './constants.ts'
import { inputSize } from './inputs.ts'
import type { MatrixInput } from './inputs.ts'
import type { LayerLayout } from './layer-layout.ts'

/** One thread's share of G += X·Xᵀ over windows that all threads have left; sums do not depend on the number of threads. */
export class GramShare {
  readonly #layout: LayerLayout
  readonly #doubles: Float64Array
  readonly #kernels: FloatKernels
  readonly #thread: number

  constructor (layout: LayerLayout, memory: WebAssembly.Memory, kernels: FloatKernels, thread: number) {
    this.#layout = layout
    this.#doubles = new Float64Array(memory.buffer)
    this.#kernels = kernels
    this.#thread = thread
  }

  /** Sets this thread's share of both matrices of an input to zero: one of `threads` even parts. */
  clear (input: MatrixInput): void {
    for (const at of Object.values(this.#layout.grams[input])) {
      const count = inputSize(input, this.#layout.architecture) ** 2
      const { threads } = this.#layout
      this.#doubles.fill(0, at / 8 + Math.floor(this.#thread * count / threads), at / 8 + Math.floor((this.#thread + 1) * count / threads))
    }
  }

  /** Adds the window that thread `slot` ran. */
  add (input: MatrixInput, slot: number, heldOut: boolean): void {
    const { architecture, window, threads, inputs, grams } = this.#layout
    const size = inputSize(input, architecture)
    const { left, right } = inputs[slot][input]
    const target = heldOut ? grams[input].heldOut : grams[input].calibration
    for (let token = 0; token < window; token += STRETCH) {
      const offset = token * size * 4
      this.#kernels.gram(left + offset, right + offset, target, size, Math.min(STRETCH, window - token), size, this.#thread, threads)
    }
  }

  /** Only the upper half is added up; copies it to the lower one. */
  mirror (input: MatrixInput): void {
    const size = inputSize(input, this.#layout.architecture)
    for (const at of Object.values(this.#layout.grams[input])) {
      const g = this.#doubles.subarray(at / 8, at / 8 + size * size)
      for (let row = this.#thread; row < size; row += this.#layout.threads) {
        for (let column = 0; column < row; column++) g[row * size + column] = g[column * size + row]
      }
    }
  }
}
