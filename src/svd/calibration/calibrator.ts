import { fillRopeRow, ropeFrequencies } from '../../engine/index.ts'
import type { Architecture, TensorRole } from '../../model/index.ts'
import { MAX_PAGES, PANEL_COLUMNS_32 } from '../product/index.ts'
import { createThreads } from '../threads/index.ts'
import type { Threads } from '../threads/index.ts'
import { EFFECT_WINDOWS } from './constants.ts'
import { CalibrationNotFiniteError } from './errors.ts'
import { inputSize, LAYER_MATRICES, MATRIX_INPUTS, matrixShape, vectorLengths } from './inputs.ts'
import type { MatrixInput } from './inputs.ts'
import { layoutLayer } from './layer-layout.ts'
import type { LayerLayout } from './layer-layout.ts'
import type { CalibrationWindows } from './windows.ts'
import type { Request, WorkerInit } from './worker.ts'

/** G = X·Xᵀ of what matrices are applied to, size × size, row-major. */
export interface InputStatistics {
  size: number
  gram: Float64Array
  /** of the held-out windows */
  heldOutGram: Float64Array
}

/** Float32 values of the tensors of a layer, matrices row-major; or of the head: `finalNorm`. */
export type LayerWeights = Partial<Record<TensorRole, Float32Array>>

export interface CalibratorInit {
  architecture: Architecture
  windows: CalibrationWindows
  /** compute threads; results do not depend on them */
  threads: number
}

export interface CalibratorOptions {
  signal?: AbortSignal
  /** windows run so far, of all */
  onProgress?: (done: number, total: number) => void
}

/**
 * Runs text through a model, one layer after another. It holds the hidden
 * states of all tokens and the weights of one layer.
 */
export interface Calibrator {
  /** Begins (again) with the embeddings of the windows' ids: ids.length × hiddenSize floats. */
  start (embed: (ids: Uint32Array) => Float32Array): void
  /**
   * Gram matrices of the inputs of a layer, the layer's own matrices as given.
   * The hidden states stay what they are unless `advance` is set. The arrays
   * are shared memory, and valid until the next call.
   *
   * @throws CalibrationNotFiniteError
   */
  collect (layer: number, weights: LayerWeights, options?: CalibratorOptions & { advance?: boolean }): Promise<Record<MatrixInput, InputStatistics>>
  /** Replaces the hidden states by the layer's output. */
  advance (layer: number, weights: LayerWeights, options?: CalibratorOptions): Promise<void>
  /**
   * What changes of its weights do to the output of a layer: for each, the mean
   * over some positions of ‖h′ − h‖² ÷ ‖h‖². Summed over a model these numbers
   * come close to the divergence between the outputs (docs/compression.md).
   * The hidden states stay what they are.
   */
  effects (layer: number, weights: LayerWeights, changes: LayerWeights[], options?: CalibratorOptions): Promise<number[]>
  /** Gram matrices of the input of the output projection. @throws CalibrationNotFiniteError */
  collectHead (finalNorm: Float32Array, options?: CalibratorOptions): Promise<InputStatistics>
  /** The hidden states: tokens × hiddenSize, calibration windows first; shared memory. */
  readonly hidden: Float32Array
  stop (): Promise<void>
}

/** @throws CalibrationMemoryError */
export function createCalibrator (init: CalibratorInit): Calibrator {
  return new LayerCalibrator(init)
}

class LayerCalibrator implements Calibrator {
  readonly #layout: LayerLayout
  readonly #memory: WebAssembly.Memory
  readonly #threads: Threads<Request, number>
  readonly #windows: CalibrationWindows

  constructor ({ architecture, windows, threads }: CalibratorInit) {
    this.#windows = windows
    this.#layout = layoutLayer(architecture, windows.window, windows.ids.length / windows.window, threads)
    this.#memory = new WebAssembly.Memory({ initial: this.#layout.pages, maximum: Math.min(MAX_PAGES, this.#layout.pages), shared: true })
    const url = new URL(`./worker${import.meta.url.slice(import.meta.url.lastIndexOf('.'))}`, import.meta.url)
    this.#threads = createThreads<WorkerInit, Request, number>({ url, threads, init: { layout: this.#layout, memory: this.#memory } })
    this.#fillAngles()
  }

  get hidden (): Float32Array {
    const { hidden, windows, window, architecture } = this.#layout
    return new Float32Array(this.#memory.buffer, hidden, windows * window * architecture.hiddenSize)
  }

  start (embed: (ids: Uint32Array) => Float32Array): void {
    this.hidden.set(embed(this.#windows.ids))
  }

  async collect (layer: number, weights: LayerWeights, options: CalibratorOptions & { advance?: boolean } = {}): Promise<Record<MatrixInput, InputStatistics>> {
    await this.#run(layer, weights, options.advance === true, MATRIX_INPUTS, options)
    const statistics = Object.fromEntries(MATRIX_INPUTS.map(input => [input, this.#statistics(input)]))
    return statistics as Record<MatrixInput, InputStatistics>
  }

  async advance (layer: number, weights: LayerWeights, options: CalibratorOptions = {}): Promise<void> {
    await this.#run(layer, weights, true, [], options)
  }

  async effects (layer: number, weights: LayerWeights, changes: LayerWeights[], { signal, onProgress }: CalibratorOptions = {}): Promise<number[]> {
    const { windows, window, threads, architecture } = this.#layout
    const measured = Array.from({ length: Math.min(EFFECT_WINDOWS, windows) }, (_, i) => i)
    const present = Object.keys(weights) as TensorRole[]
    const run = async (compare: boolean): Promise<number> => {
      signal?.throwIfAborted()
      const sums = await Promise.all(measured.map(window => this.#threads.ask(window % threads, {
        type: 'effect', window, slidingWindow: architecture.slidingWindows[layer], present, compare
      })))
      return sums.reduce((a, b) => a + b) / (measured.length * window)
    }
    this.#load(layer, weights)
    await run(false)
    const effects: number[] = []
    for (const change of changes) {
      this.#loadGiven(change)
      effects.push(await run(true))
      this.#loadGiven(Object.fromEntries(Object.keys(change).map(role => [role, weights[role as TensorRole]])))
      onProgress?.(effects.length, changes.length)
    }
    return effects
  }

  async collectHead (finalNorm: Float32Array, options: CalibratorOptions = {}): Promise<InputStatistics> {
    await this.#run('head', { finalNorm }, false, ['attention'], options)
    return this.#statistics('attention')
  }

  async stop (): Promise<void> {
    await this.#threads.stop()
  }

  #fillAngles (): void {
    const { architecture, window, cos, sin } = this.#layout
    const frequencies = ropeFrequencies(architecture)
    const floats = new Float32Array(this.#memory.buffer)
    for (let row = 0; row < window; row++) {
      const offset = row * frequencies.length
      fillRopeRow(frequencies, row, floats.subarray(cos / 4), floats.subarray(sin / 4), offset)
    }
  }

  async #run (layer: number | 'head', weights: LayerWeights, keep: boolean, inputs: readonly MatrixInput[], { signal, onProgress }: CalibratorOptions): Promise<void> {
    signal?.throwIfAborted()
    const { windows, threads, architecture } = this.#layout
    const wanted = [...inputs]
    this.#load(layer, weights)
    if (wanted.length > 0) await this.#threads.askAll({ type: 'clear' })
    const present = Object.keys(weights) as TensorRole[]
    for (let first = 0; first < windows; first += threads) {
      signal?.throwIfAborted()
      const group = Array.from({ length: Math.min(threads, windows - first) }, (_, i) => first + i)
      await Promise.all(group.map((window, thread) => this.#threads.ask(thread, layer === 'head'
        ? { type: 'final-norm', window }
        : { type: 'layer', window, slidingWindow: architecture.slidingWindows[layer], present, advance: keep, panels: wanted.length > 0 })))
      if (wanted.length > 0) {
        await this.#threads.askAll({ type: 'gram', heldOut: group.map(window => window >= this.#windows.calibration), inputs: wanted })
      }
      onProgress?.(first + group.length, windows)
    }
    if (wanted.length > 0) await this.#threads.askAll({ type: 'mirror', inputs: wanted })
    this.#checkFinite(layer, wanted)
  }

  #load (layer: number | 'head', weights: LayerWeights): void {
    const missing = layer === 'head' ? undefined : LAYER_MATRICES.find(name => weights[name] === undefined)
    if (missing !== undefined) throw new RangeError(`layer ${layer} without ${missing}`)
    this.#loadGiven(weights)
  }

  #loadGiven (weights: LayerWeights): void {
    const { architecture, matrices, vectors } = this.#layout
    const floats = new Float32Array(this.#memory.buffer)
    const lengths = vectorLengths(architecture)
    for (const [role, values] of Object.entries(weights) as Array<[TensorRole, Float32Array]>) {
      const matrix = LAYER_MATRICES.find(name => name === role)
      const { rows, columns } = matrix === undefined ? { rows: 1, columns: lengths[role] } : matrixShape(matrix, architecture)
      if (columns === undefined) continue
      if (values.length !== rows * columns) throw new RangeError(`${role} of ${values.length} elements, not ${rows * columns}`)
      if (matrix === undefined) floats.set(values, vectors[role]! / 4)
      else packColumns(values, rows, columns, floats, matrices[matrix] / 4)
    }
  }

  #statistics (input: MatrixInput): InputStatistics {
    const { architecture, grams } = this.#layout
    const size = inputSize(input, architecture)
    return {
      size,
      gram: new Float64Array(this.#memory.buffer, grams[input].calibration, size * size),
      heldOutGram: new Float64Array(this.#memory.buffer, grams[input].heldOut, size * size)
    }
  }

  /** Whatever is not finite in an input makes its diagonal so. */
  #checkFinite (layer: number | 'head', inputs: MatrixInput[]): void {
    for (const input of inputs) {
      const { size, gram, heldOutGram } = this.#statistics(input)
      for (let i = 0; i < size; i++) {
        const at = i * size + i
        if (!Number.isFinite(gram[at] + heldOutGram[at])) throw new CalibrationNotFiniteError(layer === 'head' ? 'the head' : `layer ${layer}`)
      }
    }
  }
}

/** Rows of a matrix are the columns of the second operand of x·Wᵀ. */
function packColumns (values: Float32Array, rows: number, columns: number, target: Float32Array, at: number): void {
  for (let panel = 0; panel < rows; panel += PANEL_COLUMNS_32) {
    for (let r = 0; r < PANEL_COLUMNS_32; r++) {
      let to = at + panel * columns + r
      const from = (panel + r) * columns
      for (let k = from; k < from + columns; k++, to += PANEL_COLUMNS_32) target[to] = values[k]
    }
  }
}
