import type { Model, TensorRole } from '../../model/index.ts'
import { dequantise, encodeBlocks } from '../../model/tensor/index.ts'
import { createCalibrator, cutWindows, inputOf, LAYER_MATRICES } from '../calibration/index.ts'
import type { Calibrator, LayerWeights, WindowOptions } from '../calibration/index.ts'
import type { MatrixCandidates } from '../types.ts'
import { matrixName, tensorsOf } from './model-matrices.ts'
import { BASE_MODES, BASE_TYPES, storedBytes } from './modes.ts'
import { PROBE_TYPE, SURVEY_RANKS, SURVEY_SHRINKAGE, SURVEY_TOKENS, TABLE_POSITIONS } from './constants.ts'
import { embeddingRows, readWeights } from './source-weights.ts'
import type { MatrixChoice } from './types.ts'
import type { CompressWorkers } from './workers.ts'

export interface SurveyInit {
  source: Model
  ids: readonly number[]
  calibration?: WindowOptions
  workers: CompressWorkers
  threads: number
}

export interface SurveyProgress {
  signal?: AbortSignal
  /** units done, of all */
  onProgress?: (done: number, total: number) => void
}

/**
 * What every matrix of a model can be stored as: bytes, and the cost in nats
 * that it adds to the divergence from the source. Text runs once through the
 * source, one layer in memory at a time.
 *
 * The cost of a mode is its squared weighted error times what a squared error
 * of this matrix costs, which is measured: the matrix is replaced by its
 * 4-bit form, and the mean of ‖h′ − h‖² ÷ ‖h‖² over the layer's outputs is the
 * cost of that error.
 */
export async function surveyModel ({ source, ids, calibration, workers, threads }: SurveyInit, { signal, onProgress }: SurveyProgress = {}): Promise<Array<MatrixCandidates<MatrixChoice>>> {
  const { architecture } = source
  const { layerCount } = architecture
  const tokens = Math.min(SURVEY_TOKENS, calibration?.tokens ?? SURVEY_TOKENS)
  const windows = cutWindows(ids, architecture, { ...calibration, tokens, heldOutTokens: 0 })
  const calibrator = createCalibrator({ architecture, windows, threads })
  const candidates: Array<MatrixCandidates<MatrixChoice>> = []
  try {
    const embeddingEffect = await measureEmbedding(source, calibrator, signal)
    for (let layer = 0; layer < layerCount; layer++) {
      candidates.push(...await surveyLayer(source, layer, calibrator, workers, signal))
      onProgress?.(layer + 1, layerCount + 1)
    }
    candidates.push(...await surveyTables(source, calibrator, workers, embeddingEffect, signal))
    onProgress?.(layerCount + 1, layerCount + 1)
    return candidates
  } finally {
    await calibrator.stop()
  }
}

async function surveyLayer (source: Model, layer: number, calibrator: Calibrator, workers: CompressWorkers, signal?: AbortSignal): Promise<Array<MatrixCandidates<MatrixChoice>>> {
  const weights = readLayer(source, layer)
  const statistics = await calibrator.collect(layer, weights, { signal })
  const options = { ranks: SURVEY_RANKS, corrected: ['q4', 'q3'] as const }
  const choices = await Promise.all(LAYER_MATRICES.map(matrix => {
    const [rows, columns] = source.unit(layer + 1).tensors[matrix]!.shape
    const problem = { rows, columns, weights: weights[matrix]!, gram: statistics[inputOf(matrix)].gram, shrinkage: SURVEY_SHRINKAGE }
    return workers.run<'survey'>({ kind: 'survey', problem, options }, signal)
  }))
  const changes = LAYER_MATRICES.map(matrix => ({ [matrix]: dequantise(PROBE_TYPE, encodeBlocks(PROBE_TYPE, weights[matrix]!)) }))
  const effects = await calibrator.effects(layer, weights, changes, { signal })
  await calibrator.advance(layer, weights, { signal })
  return LAYER_MATRICES.map((matrix, i) => {
    const probe = choices[i].find(({ base, rank }) => base === PROBE_TYPE && rank === 0)!.error
    // a matrix that its 4-bit form does not change costs nothing in any
    const price = probe === 0 ? 0 : effects[i] / probe
    return { name: matrixName(layer + 1, matrix), candidates: choices[i].map(choice => ({ ...choice, error: choice.error * price })) }
  })
}

/** What the 4-bit form of the embedding does to the output of the first layer. The hidden states are left at the start. */
async function measureEmbedding (source: Model, calibrator: Calibrator, signal?: AbortSignal): Promise<number> {
  const embedding = source.unit(0).tensors.embedding!
  const weights = readLayer(source, 0)
  calibrator.start(ids => embeddingRows(embedding, ids))
  await calibrator.advance(0, weights, { signal })
  const outputs = calibrator.hidden.slice()
  calibrator.start(ids => embeddingRows(embedding, ids, PROBE_TYPE))
  await calibrator.advance(0, weights, { signal })
  const effect = relativeChange(outputs, calibrator.hidden, source.architecture.hiddenSize)
  calibrator.start(ids => embeddingRows(embedding, ids))
  return effect
}

/** Mean over rows of ‖b − a‖² ÷ ‖a‖². */
function relativeChange (a: Float32Array, b: Float32Array, columns: number): number {
  let sum = 0
  for (let row = 0; row < a.length; row += columns) {
    let size = 0
    let change = 0
    for (let i = row; i < row + columns; i++) {
      size += a[i] * a[i]
      change += (b[i] - a[i]) ** 2
    }
    sum += size === 0 ? 0 : change / size
  }
  return sum / (a.length / columns)
}

async function surveyTables (source: Model, calibrator: Calibrator, workers: CompressWorkers, embeddingEffect: number, signal?: AbortSignal): Promise<Array<MatrixCandidates<MatrixChoice>>> {
  const types = BASE_MODES.flatMap(mode => BASE_TYPES[mode])
  const finalNorm = readWeights(source.unit(source.architecture.layerCount + 1).tensors.finalNorm!)
  const inputs = headInputs(calibrator.hidden, finalNorm, source.architecture.normEpsilon)
  return await Promise.all(tensorsOf(source).tables.map(async ({ unit, role, source: table, applied }) => {
    const compared = await workers.run<'tables'>({ kind: 'tables', problem: { source: table, types, inputs: applied ? inputs : null } }, signal)
    const probe = compared.find(({ type }) => type === PROBE_TYPE)!.frobenius
    const [rows, columns] = table.shape
    return {
      name: matrixName(unit, role),
      candidates: BASE_MODES.flatMap(mode => BASE_TYPES[mode].map((base): MatrixChoice => {
        const { frobenius, divergence } = compared.find(({ type }) => type === base)!
        const lookedUp = role === 'embedding' && probe > 0 ? embeddingEffect * frobenius / probe : 0
        return { mode, base, rank: 0, bytes: storedBytes(rows, columns, base, 0), error: lookedUp + divergence }
      }))
    }
  }))
}

/** Some of the final hidden states after the final norm, spread over the text. */
function headInputs (hidden: Float32Array, finalNorm: Float32Array, epsilon: number): Float32Array {
  const size = finalNorm.length
  const count = hidden.length / size
  const chosen = Math.min(TABLE_POSITIONS, count)
  const inputs = new Float32Array(chosen * size)
  for (let i = 0; i < chosen; i++) {
    const at = Math.floor((i + 0.5) * count / chosen) * size
    const row = hidden.subarray(at, at + size)
    const inverse = 1 / Math.sqrt(row.reduce((sum, value) => sum + value * value, 0) / size + epsilon)
    row.forEach((value, k) => { inputs[i * size + k] = value * inverse * finalNorm[k] })
  }
  return inputs
}

/** All tensors of a layer as float32, in shared memory. */
export function readLayer (source: Model, layer: number): LayerWeights {
  const entries = Object.entries(source.unit(layer + 1).tensors).map(([role, tensor]) => [role as TensorRole, readWeights(tensor)])
  return Object.fromEntries(entries)
}
