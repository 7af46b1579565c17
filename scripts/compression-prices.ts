/**
 * How well the effect of an error on the output of its own layer predicts the
 * divergence of the whole model: each matrix of a model is replaced, alone, by
 * its 4-bit form.
 *
 *   node scripts/compression-prices.ts --model models/sotu-4m --text models/sotu-4m/heldout.txt [--windows 8] [--type Q4_0]
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { createEngine } from '../src/engine/index.ts'
import { openModel, readTensor, resolveModel } from '../src/model/index.ts'
import type { Model, TensorRole, TensorSource, TensorType } from '../src/model/index.ts'
import { dequantise, encodeBlocks } from '../src/model/tensor/index.ts'
import { createCalibrator, cutWindows, defaultCalibrationText, LAYER_MATRICES } from '../src/svd/index.ts'
import { logProbabilities, measureQuality } from './compression-quality.ts'
import { tableLines } from './figures.ts'

const { values } = parseArgs({
  options: {
    model: { type: 'string', default: 'sotu-4m' },
    text: { type: 'string', default: 'models/sotu-4m/heldout.txt' },
    windows: { type: 'string', default: '8' },
    type: { type: 'string', default: 'Q4_0' },
    threads: { type: 'string' }
  }
})

const WINDOW = 512
const type = values.type as TensorType
const threads = values.threads === undefined ? availableParallelism() : Number(values.threads)
const model = await openModel(await resolveModel(values.model))
const { architecture } = model
const ids = model.tokenizer.encode(readFileSync(values.text, 'utf8'), { addSpecialTokens: false })
const windows = Array.from({ length: Math.min(Number(values.windows), Math.floor(ids.length / WINDOW)) }, (_, i) => Uint32Array.from(ids.slice(i * WINDOW, (i + 1) * WINDOW)))
const folder = mkdtempSync(join(tmpdir(), 'efedllm-prices-'))

/** An engine on the model with one of its matrices stored elsewhere. */
async function withMatrix<Result> (unit: number, role: TensorRole, changed: TensorSource | undefined, run: (engine: Awaited<ReturnType<typeof createEngine>>) => Promise<Result>): Promise<Result> {
  const unitOf: Model['unit'] = index => {
    const source = model.unit(index)
    return index === unit && changed !== undefined ? { ...source, tensors: { ...source.tensors, [role]: changed } } : source
  }
  const engine = await createEngine({ architecture, range: { from: 0, to: architecture.layerCount + 2 }, unit: unitOf, threads, keyValuePositions: WINDOW })
  try {
    return await run(engine)
  } finally {
    await engine.stop()
  }
}

const reference = await withMatrix(0, 'embedding', undefined, async engine => {
  const result: Float32Array[] = []
  for (const window of windows) result.push(await logProbabilities(engine, window))
  return result
})

const { text } = await defaultCalibrationText()
const calibrator = createCalibrator({
  architecture, threads, windows: cutWindows(model.tokenizer.encode(text, { addSpecialTokens: false }), architecture, { tokens: 1024, heldOutTokens: 0 })
})
const embedding = readTensor(model.unit(0).tensors.embedding!)
const { hiddenSize } = architecture
calibrator.start(ids => Float32Array.from({ length: ids.length * hiddenSize }, (_, i) => embedding[ids[Math.floor(i / hiddenSize)] * hiddenSize + i % hiddenSize]))

const rows = [['layer', 'matrix', 'effect on the layer', 'KL of the model', 'ratio']]
const ratios: number[] = []
for (let layer = 0; layer < architecture.layerCount; layer++) {
  const { tensors } = model.unit(layer + 1)
  const weights = Object.fromEntries(Object.entries(tensors).map(([role, source]) => [role, readTensor(source)]))
  const encoded = LAYER_MATRICES.map(matrix => encodeBlocks(type, weights[matrix]))
  const effects = await calibrator.effects(layer, weights, LAYER_MATRICES.map((matrix, i) => ({ [matrix]: dequantise(type, encoded[i]) })))
  await calibrator.advance(layer, weights)
  for (const [i, matrix] of LAYER_MATRICES.entries()) {
    const path = join(folder, 'matrix')
    writeFileSync(path, encoded[i])
    const changed: TensorSource = { path, offset: 0, byteLength: encoded[i].length, type, shape: tensors[matrix]!.shape }
    const { divergence } = await withMatrix(layer + 1, matrix, changed, engine => measureQuality(engine, windows, window => reference[window]))
    ratios.push(Math.log(divergence / effects[i]))
    rows.push([String(layer), matrix, effects[i].toExponential(2), divergence.toExponential(2), (divergence / effects[i]).toFixed(2)])
  }
}
await calibrator.stop()
rmSync(folder, { recursive: true, force: true })
const mean = ratios.reduce((a, b) => a + b) / ratios.length
const spread = Math.sqrt(ratios.reduce((sum, ratio) => sum + (ratio - mean) ** 2, 0) / ratios.length)
console.log(tableLines(rows).join('\n'))
console.log(`\nKL ÷ effect: geometric mean ${Math.exp(mean).toFixed(2)}, within a factor of ${Math.exp(spread).toFixed(2)} (one standard deviation)`)
