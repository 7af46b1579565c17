/**
 * Errors of decompositions on the matrices of a model, with what they are applied to: the error that a spectrum predicts
 * beside the one that is measured, before factors are quantised; and how far a randomised SVD is from the best one.
 *
 *   node scripts/compression-checks.ts --model MODEL [--layers 0,4,7] [--tokens 4096] [--ranks 8,16,32,64,128]
 */
import { availableParallelism } from 'node:os'
import { parseArgs } from 'node:util'
import { openModel, readTensor, resolveModel } from '../src/model/index.ts'
import { dequantise, encodeBlocks } from '../src/model/tensor/index.ts'
import {
  createCalibrator, cutWindows, defaultCalibrationText, frobeniusError, inputOf, LAYER_MATRICES, lowRankProduct, plainFactors, predictedError, randomisedSvd,
  reconstruct, subtract, truncateFactors, weightedError, whitenedFactors
} from '../src/svd/index.ts'
import type { Factors, Matrix } from '../src/svd/index.ts'
import { maximum, tableLines } from './figures.ts'

const { values } = parseArgs({
  options: {
    model: { type: 'string', default: 'sotu-4m' },
    layers: { type: 'string', default: '0,4,7' },
    tokens: { type: 'string', default: '4096' },
    ranks: { type: 'string', default: '8,16,32,64,128' }
  }
})
const numbers = (text: string): number[] => text.split(',').map(Number)

const model = await openModel(await resolveModel(values.model))
const { architecture } = model
const { text } = await defaultCalibrationText()
const calibrator = createCalibrator({
  architecture,
  threads: availableParallelism(),
  windows: cutWindows(model.tokenizer.encode(text, { addSpecialTokens: false }), architecture, { tokens: Number(values.tokens), heldOutTokens: 0 })
})
const embedding = readTensor(model.unit(0).tensors.embedding!)
const { hiddenSize } = architecture
calibrator.start(ids => Float32Array.from({ length: ids.length * hiddenSize }, (_, i) => embedding[ids[Math.floor(i / hiddenSize)] * hiddenSize + i % hiddenSize]))

/** Largest relative difference between the predicted error and the measured one, over ranks. */
function difference (matrix: Matrix, factors: Factors, ranks: number[], measure: (rest: Matrix) => number): number {
  return maximum(ranks.map(rank => {
    const prefix = truncateFactors(factors, rank)
    const measured = measure(subtract(matrix, lowRankProduct(prefix)))
    return Math.abs(predictedError(prefix) - measured) / measured
  }))
}

const lines = [['layer', 'matrix', 'shape', 'whitened: predicted − measured', 'of what Q4_0 leaves', 'plain', 'randomised above the optimum']]
for (let layer = 0; layer <= maximum(numbers(values.layers)); layer++) {
  const weights = Object.fromEntries(Object.entries(model.unit(layer + 1).tensors).map(([role, source]) => [role, readTensor(source)]))
  if (!numbers(values.layers).includes(layer)) {
    await calibrator.advance(layer, weights)
    continue
  }
  const statistics = await calibrator.collect(layer, weights)
  for (const role of LAYER_MATRICES) {
    const [rows, columns] = model.unit(layer + 1).tensors[role]!.shape
    const whole: Matrix = { rows, columns, data: Float64Array.from(weights[role]) }
    const rest = subtract(whole, { ...whole, data: Float64Array.from(dequantise('Q4_0', encodeBlocks('Q4_0', weights[role]))) })
    const gram: Matrix = { rows: columns, columns, data: statistics[inputOf(role)].gram }
    const ranks = numbers(values.ranks).filter(rank => rank < Math.min(rows, columns))
    const rank = maximum(ranks)
    const weighted = (matrix: Matrix): number => weightedError(matrix, gram)
    const plain = plainFactors(whole, { rank })
    lines.push([
      String(layer),
      role,
      `${rows} × ${columns}`,
      difference(whole, whitenedFactors(whole, gram, { rank }), ranks, weighted).toExponential(1),
      difference(rest, whitenedFactors(rest, gram, { rank }), ranks, weighted).toExponential(1),
      difference(whole, plain, ranks, frobeniusError).toExponential(1),
      `${(100 * maximum(ranks.map(rank => frobeniusError(subtract(whole, reconstruct(randomisedSvd(whole, { rank, seed: 1 })))) / predictedError(plain, rank) - 1))).toFixed(2)} %`
    ])
  }
  await calibrator.advance(layer, weights)
}
await calibrator.stop()
console.log(tableLines(lines).join('\n'))
