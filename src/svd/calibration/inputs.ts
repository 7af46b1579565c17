import type { Architecture, TensorRole } from '../../model/index.ts'

/**
 * The vectors that matrices of a layer are applied to: `attention` by query,
 * key and value, `feedForward` by gate and up, the others by one matrix each.
 */
export type MatrixInput = 'attention' | 'attentionOutput' | 'feedForward' | 'down'

export const MATRIX_INPUTS: readonly MatrixInput[] = ['attention', 'attentionOutput', 'feedForward', 'down']

/** Matrices of a layer in the order of their use. */
export const LAYER_MATRICES = ['query', 'key', 'value', 'attentionOutput', 'gate', 'up', 'down'] as const
export type LayerMatrix = typeof LAYER_MATRICES[number]

const INPUT_OF: Record<LayerMatrix, MatrixInput> = {
  query: 'attention',
  key: 'attention',
  value: 'attention',
  attentionOutput: 'attentionOutput',
  gate: 'feedForward',
  up: 'feedForward',
  down: 'down'
}

/** What a matrix of a layer is applied to. */
export function inputOf (matrix: LayerMatrix): MatrixInput {
  return INPUT_OF[matrix]
}

/** Elements of an input vector. */
export function inputSize (input: MatrixInput, { hiddenSize, headCount, headSize, feedForwardSize }: Architecture): number {
  return { attention: hiddenSize, attentionOutput: headCount * headSize, feedForward: hiddenSize, down: feedForwardSize }[input]
}

/** Rows and columns of a matrix of a layer. */
export function matrixShape (matrix: LayerMatrix, architecture: Architecture): { rows: number, columns: number } {
  const { hiddenSize, headCount, keyValueHeadCount, headSize, feedForwardSize } = architecture
  const rows = {
    query: headCount * headSize,
    key: keyValueHeadCount * headSize,
    value: keyValueHeadCount * headSize,
    attentionOutput: hiddenSize,
    gate: feedForwardSize,
    up: feedForwardSize,
    down: hiddenSize
  }
  return { rows: rows[matrix], columns: inputSize(INPUT_OF[matrix], architecture) }
}

/** Lengths of the vectors that a layer may have. */
export function vectorLengths (architecture: Architecture): Partial<Record<TensorRole, number>> {
  const { hiddenSize, headCount, keyValueHeadCount, headSize } = architecture
  return {
    attentionNorm: hiddenSize,
    feedForwardNorm: hiddenSize,
    finalNorm: hiddenSize,
    queryBias: headCount * headSize,
    keyBias: keyValueHeadCount * headSize,
    valueBias: keyValueHeadCount * headSize,
    attentionOutputBias: hiddenSize,
    queryNorm: headSize,
    keyNorm: headSize
  }
}
