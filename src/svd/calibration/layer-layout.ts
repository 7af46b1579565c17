import { MAX_PAGES, PAGE_BYTES, roundUp } from '../product/index.ts'
import type { Architecture, TensorRole } from '../../model/index.ts'
import { EFFECT_WINDOWS } from './constants.ts'
import { CalibrationMemoryError } from './errors.ts'
import { inputSize, LAYER_MATRICES, MATRIX_INPUTS, matrixShape, vectorLengths } from './inputs.ts'
import type { LayerMatrix, MatrixInput } from './inputs.ts'

/** Byte offsets into the memory that all threads share. Everything is float32 but `grams`. */
export interface LayerLayout {
  architecture: Architecture
  /** positions of a window */
  window: number
  /** windows in all, held-out ones last */
  windows: number
  threads: number
  /** windows × window × hiddenSize: what goes into the layer */
  hidden: number
  /** outputs of the first windows, EFFECT_WINDOWS at most, to compare with */
  outputs: number
  /** cos and sin of the angles: window × headSize/2 each */
  cos: number
  sin: number
  /** weights in panels of columns */
  matrices: Record<LayerMatrix, number>
  vectors: Partial<Record<TensorRole, number>>
  /** for each thread a place for its own work */
  scratch: Scratch[]
  /** for each thread the inputs of the window it ran, as both operands of XᵀX */
  inputs: Array<Record<MatrixInput, { left: number, right: number }>>
  /** float64, size × size: of calibration windows and of held-out ones */
  grams: Record<MatrixInput, { calibration: number, heldOut: number }>
  pages: number
}

export interface Scratch {
  hidden: number
  normalised: number
  packed: number
  queries: number
  keys: number
  values: number
  scores: number
  mixed: number
  gate: number
  up: number
  second: number
}

/** Places everything. Pure. @throws CalibrationMemoryError beyond 4 GiB */
export function layoutLayer (architecture: Architecture, window: number, windows: number, threads: number): LayerLayout {
  const { hiddenSize, headCount, keyValueHeadCount, headSize, feedForwardSize } = architecture
  let end = 0
  const take = (elements: number, bytes = 4): number => {
    const at = end
    end += roundUp(elements * bytes, 64)
    return at
  }
  const queries = headCount * headSize
  const keys = keyValueHeadCount * headSize
  const widest = Math.max(hiddenSize, queries, feedForwardSize, window)
  const record = <Key extends string, Value>(names: readonly Key[], value: (name: Key) => Value): Record<Key, Value> =>
    Object.fromEntries(names.map(name => [name, value(name)])) as Record<Key, Value>

  const layout: LayerLayout = {
    architecture,
    window,
    windows,
    threads,
    hidden: take(windows * window * hiddenSize),
    outputs: take(Math.min(windows, EFFECT_WINDOWS) * window * hiddenSize),
    cos: take(window * headSize / 2),
    sin: take(window * headSize / 2),
    matrices: record(LAYER_MATRICES, name => {
      const { rows, columns } = matrixShape(name, architecture)
      return take(rows * columns)
    }),
    vectors: Object.fromEntries(Object.entries(vectorLengths(architecture)).map(([role, length]) => [role, take(length)])),
    scratch: Array.from({ length: threads }, () => ({
      hidden: take(window * hiddenSize),
      normalised: take(window * Math.max(hiddenSize, queries)),
      packed: take(window * widest),
      queries: take(window * queries),
      keys: take(window * keys),
      values: take(window * keys),
      scores: take(window * window),
      mixed: take(window * queries),
      gate: take(window * feedForwardSize),
      up: take(window * feedForwardSize),
      second: take(window * Math.max(hiddenSize, headSize))
    })),
    inputs: Array.from({ length: threads }, () => record(MATRIX_INPUTS, input => {
      const elements = window * inputSize(input, architecture)
      return { left: take(elements), right: take(elements) }
    })),
    grams: record(MATRIX_INPUTS, input => {
      const elements = inputSize(input, architecture) ** 2
      return { calibration: take(elements, 8), heldOut: take(elements, 8) }
    }),
    pages: 0
  }
  layout.pages = Math.ceil(end / PAGE_BYTES)
  if (layout.pages > MAX_PAGES) throw new CalibrationMemoryError(end)
  return layout
}
