import { PANEL_COLUMNS_32, PANEL_ROWS } from '../product/index.ts'
import type { FloatKernels } from '../product/index.ts'
import type { TensorRole } from '../../model/index.ts'
import { STRETCH } from './constants.ts'
import { inputSize, matrixShape } from './inputs.ts'
import type { LayerMatrix, MatrixInput } from './inputs.ts'
import type { LayerLayout, Scratch } from './layer-layout.ts'

/**
 * One layer on one window of positions in float32, on one thread, as the
 * reference engine computes it; what each matrix is applied to is left in
 * panels for the Gram matrices.
 */
export class WindowForward {
  readonly #layout: LayerLayout
  readonly #kernels: FloatKernels
  readonly #floats: Float32Array
  readonly #scratch: Scratch
  readonly #thread: number

  constructor (layout: LayerLayout, memory: WebAssembly.Memory, kernels: FloatKernels, thread: number) {
    this.#layout = layout
    this.#kernels = kernels
    this.#floats = new Float32Array(memory.buffer)
    this.#scratch = layout.scratch[thread]
    this.#thread = thread
  }

  /**
   * @param present vectors that the layer has
   * @param result what becomes of the layer's output: it replaces the hidden states of the window, is left in the thread's
   *   scratch, or is not needed
   * @param panels true where the inputs are wanted
   */
  layer (window: number, slidingWindow: number | null, present: readonly TensorRole[], result: 'replace' | 'leave' | 'none', panels: boolean): void {
    const { architecture, window: rows } = this.#layout
    const { hiddenSize, headSize, headCount, keyValueHeadCount, queryKeyNorm, feedForwardSize } = architecture
    const s = this.#scratch
    this.#loadHidden(window)

    this.#norm(s.hidden, s.normalised, hiddenSize, rows * hiddenSize, 'attentionNorm')
    if (panels) this.#keepInput('attention', s.normalised)
    this.#packInput(s.normalised, hiddenSize)
    this.#product('query', s.queries)
    this.#product('key', s.keys)
    this.#product('value', s.values)
    if (present.includes('queryBias')) this.#addBias(s.queries, 'queryBias', headCount * headSize)
    if (present.includes('keyBias')) this.#addBias(s.keys, 'keyBias', keyValueHeadCount * headSize)
    if (present.includes('valueBias')) this.#addBias(s.values, 'valueBias', keyValueHeadCount * headSize)
    if (queryKeyNorm) {
      this.#norm(s.queries, s.queries, headSize, rows * headCount * headSize, 'queryNorm')
      this.#norm(s.keys, s.keys, headSize, rows * keyValueHeadCount * headSize, 'keyNorm')
    }
    this.#rotate(s.queries, headCount)
    this.#rotate(s.keys, keyValueHeadCount)
    this.#attention(slidingWindow)

    if (panels) this.#keepInput('attentionOutput', s.mixed)
    this.#packInput(s.mixed, headCount * headSize)
    this.#product('attentionOutput', s.second)
    if (present.includes('attentionOutputBias')) this.#addBias(s.second, 'attentionOutputBias', hiddenSize)
    this.#addToHidden()

    this.#norm(s.hidden, s.normalised, hiddenSize, rows * hiddenSize, 'feedForwardNorm')
    if (panels) this.#keepInput('feedForward', s.normalised)
    this.#packInput(s.normalised, hiddenSize)
    this.#product('gate', s.gate)
    this.#product('up', s.up)
    this.#kernels.gatedSilu(s.gate, s.up, rows * feedForwardSize)

    if (panels) this.#keepInput('down', s.gate)
    if (result === 'none') return
    this.#packInput(s.gate, feedForwardSize)
    this.#product('down', s.second)
    this.#addToHidden()
    if (result === 'leave') return
    const { from, length } = this.#hiddenOf(window)
    this.#floats.copyWithin(from, s.hidden / 4, s.hidden / 4 + length)
  }

  /** Keeps what the last call of `layer` left in the scratch, to compare with. */
  keepOutput (window: number): void {
    const { length } = this.#hiddenOf(window)
    this.#floats.copyWithin(this.#layout.outputs / 4 + window * length, this.#scratch.hidden / 4, this.#scratch.hidden / 4 + length)
  }

  /** Sum over positions of ‖h′ − h‖² ÷ ‖h‖² between what the last call of `layer` left and what was kept. */
  compareOutput (window: number): number {
    const { window: rows, outputs, architecture: { hiddenSize } } = this.#layout
    const kept = outputs / 4 + window * rows * hiddenSize
    const now = this.#scratch.hidden / 4
    let sum = 0
    for (let row = 0; row < rows; row++) {
      let size = 0
      let change = 0
      for (let i = row * hiddenSize; i < (row + 1) * hiddenSize; i++) {
        const value = this.#floats[kept + i]
        size += value * value
        change += (this.#floats[now + i] - value) ** 2
      }
      sum += size === 0 ? 0 : change / size
    }
    return sum
  }

  /** What the output projection is applied to; its panels take the place of those of `attention`. */
  finalNorm (window: number): void {
    const { architecture: { hiddenSize }, window: rows } = this.#layout
    this.#loadHidden(window)
    this.#norm(this.#scratch.hidden, this.#scratch.normalised, hiddenSize, rows * hiddenSize, 'finalNorm')
    this.#keepInput('attention', this.#scratch.normalised)
  }

  #hiddenOf (window: number): { from: number, length: number } {
    const length = this.#layout.window * this.#layout.architecture.hiddenSize
    return { from: this.#layout.hidden / 4 + window * length, length }
  }

  #loadHidden (window: number): void {
    const { from, length } = this.#hiddenOf(window)
    this.#floats.copyWithin(this.#scratch.hidden / 4, from, from + length)
  }

  /** RMSNorm of consecutive vectors of `size` elements; sums of squares in float64. */
  #norm (from: number, to: number, size: number, count: number, role: TensorRole): void {
    const x = this.#floats.subarray(from / 4, from / 4 + count)
    const y = this.#floats.subarray(to / 4, to / 4 + count)
    const weight = this.#vector(role, size)
    for (let at = 0; at < count; at += size) {
      let squares = 0
      for (let i = 0; i < size; i++) squares += x[at + i] * x[at + i]
      const inverse = 1 / Math.sqrt(squares / size + this.#layout.architecture.normEpsilon)
      for (let i = 0; i < size; i++) y[at + i] = x[at + i] * inverse * weight[i]
    }
  }

  #vector (role: TensorRole, size: number): Float32Array {
    const at = this.#layout.vectors[role]! / 4
    return this.#floats.subarray(at, at + size)
  }

  #addBias (at: number, role: TensorRole, size: number): void {
    const values = this.#floats.subarray(at / 4, at / 4 + this.#layout.window * size)
    const bias = this.#vector(role, size)
    for (let from = 0; from < values.length; from += size) {
      for (let i = 0; i < size; i++) values[from + i] += bias[i]
    }
  }

  #addToHidden (): void {
    const { hidden, second } = this.#scratch
    const count = this.#layout.window * this.#layout.architecture.hiddenSize
    const target = this.#floats.subarray(hidden / 4, hidden / 4 + count)
    const added = this.#floats.subarray(second / 4, second / 4 + count)
    for (let i = 0; i < count; i++) target[i] += added[i]
  }

  /** half-split: element i of a head pairs with i + headSize/2 */
  #rotate (at: number, heads: number): void {
    const { window, architecture: { headSize }, cos, sin } = this.#layout
    const half = headSize / 2
    const values = this.#floats.subarray(at / 4, at / 4 + window * heads * headSize)
    for (let row = 0; row < window; row++) {
      const c = cos / 4 + row * half
      const s = sin / 4 + row * half
      for (let head = 0; head < heads; head++) {
        const from = (row * heads + head) * headSize
        for (let i = from; i < from + half; i++) {
          const a = values[i]
          const b = values[i + half]
          values[i] = a * this.#floats[c + i - from] - b * this.#floats[s + i - from]
          values[i + half] = b * this.#floats[c + i - from] + a * this.#floats[s + i - from]
        }
      }
    }
  }

  #packInput (at: number, columns: number): void {
    this.#kernels.pack32(at, this.#layout.window, columns, columns, 1, PANEL_ROWS, this.#scratch.packed)
  }

  /** window × rows of the matrix, of the packed input */
  #product (matrix: LayerMatrix, to: number): void {
    const { rows, columns } = matrixShape(matrix, this.#layout.architecture)
    this.#kernels.product32(this.#scratch.packed, this.#layout.matrices[matrix], to, this.#layout.window, rows, columns, rows)
  }

  /** Scores of a head are a whole square, of which the softmax keeps what each position sees. */
  #attention (slidingWindow: number | null): void {
    const { window, architecture: { headSize, headCount, keyValueHeadCount } } = this.#layout
    const { queries, keys, values, packed, second, scores, mixed } = this.#scratch
    const kernels = this.#kernels
    const width = headCount * headSize
    const keyWidth = keyValueHeadCount * headSize
    const scale = 1 / Math.sqrt(headSize)
    for (let head = 0; head < headCount; head++) {
      const column = Math.floor(head * keyValueHeadCount / headCount) * headSize * 4
      kernels.pack32(queries + head * headSize * 4, window, headSize, width, 1, PANEL_ROWS, packed)
      kernels.pack32(keys + column, window, headSize, keyWidth, 1, PANEL_COLUMNS_32, second)
      kernels.product32(packed, second, scores, window, window, headSize, window)
      kernels.causalSoftmax(scores, window, window, slidingWindow ?? window, scale)
      kernels.pack32(scores, window, window, window, 1, PANEL_ROWS, packed)
      kernels.pack32(values + column, headSize, window, 1, keyWidth, PANEL_COLUMNS_32, second)
      kernels.product32(packed, second, mixed + head * headSize * 4, window, headSize, window, width)
    }
  }

  /** Panels of Xᵀ and X for stretches of tokens, one after another. */
  #keepInput (input: MatrixInput, at: number): void {
    const { window, architecture, inputs } = this.#layout
    const size = inputSize(input, architecture)
    const { left, right } = inputs[this.#thread][input]
    for (let token = 0; token < window; token += STRETCH) {
      const length = Math.min(STRETCH, window - token)
      const offset = token * size * 4
      this.#kernels.pack32(at + offset, size, length, 1, size, PANEL_ROWS, left + offset)
      this.#kernels.pack32(at + offset, size, length, 1, size, PANEL_COLUMNS_32, right + offset)
    }
  }
}
