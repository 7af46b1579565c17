import { expect } from 'chai'
import { readTensor } from '../../../src/model/index.ts'
import type { Architecture, TensorRole } from '../../../src/model/index.ts'
import {
  CalibrationMemoryError, CalibrationNotFiniteError, CalibrationTextTooShortError, calibrationText, createCalibrator, cutWindows,
  defaultCalibrationText, inputOf, LAYER_MATRICES, MATRIX_INPUTS
} from '../../../src/svd/calibration/index.ts'
import type { Calibrator, CalibrationWindows, InputStatistics, LayerWeights, MatrixInput } from '../../../src/svd/calibration/index.ts'
import { layoutLayer } from '../../../src/svd/calibration/layer-layout.ts'
import { naiveLogits } from '../../support/naive-model.ts'
import type { NaiveTensors } from '../../support/naive-model.ts'
import { randomIntegers, smallArchitecture, writeRandomWeights } from '../../support/random-weights.ts'
import type { RandomWeights } from '../../support/random-weights.ts'
import { temporaryFolder } from '../../support/temporary-folder.ts'

const BIASES: TensorRole[] = ['queryBias', 'keyBias', 'valueBias', 'attentionOutputBias']

function randomIds (count: number, { vocabularySize }: Architecture): number[] {
  const next = randomIntegers(7)
  return Array.from({ length: count }, () => next() % vocabularySize)
}

function layerWeights (weights: RandomWeights, unit: number): LayerWeights {
  return Object.fromEntries(Object.entries(weights.unit(unit).tensors).map(([role, source]) => [role, readTensor(source)]))
}

function embedWith (weights: RandomWeights): (ids: Uint32Array) => Float32Array {
  const table = readTensor(weights.unit(0).tensors.embedding!)
  const { hiddenSize } = weights.architecture
  return ids => Float32Array.from({ length: ids.length * hiddenSize }, (_, i) => table[ids[Math.floor(i / hiddenSize)] * hiddenSize + i % hiddenSize])
}

/** Names of transformers, for the naive model. */
const NAMES: Partial<Record<TensorRole, string>> = {
  query: 'self_attn.q_proj.weight',
  attentionOutput: 'self_attn.o_proj.weight',
  gate: 'mlp.gate_proj.weight',
  down: 'mlp.down_proj.weight'
}

/** Sums of outer products of what each matrix is applied to, straight from the naive model, over the given windows. */
function directGrams (weights: RandomWeights, windows: CalibrationWindows, from: number, to: number): Map<string, Float64Array> {
  const tensors: NaiveTensors = Object.fromEntries(weights.sources.map(source => [source.name!, { shape: source.shape, values: readTensor(source) }]))
  const grams = new Map<string, Float64Array>()
  for (let window = from; window < to; window++) {
    naiveLogits(weights.architecture, tensors, windows.ids.subarray(window * windows.window, (window + 1) * windows.window), (name, x) => {
      const gram = grams.get(name) ?? new Float64Array(x.length ** 2)
      x.forEach((a, i) => x.forEach((b, j) => { gram[i * x.length + j] += a * b }))
      grams.set(name, gram)
    })
  }
  return grams
}

/** Largest difference relative to √(G_ii · G_jj), the scale of an element. */
function relativeDifference (actual: Float64Array, wanted: Float64Array): number {
  const size = Math.sqrt(wanted.length)
  let worst = 0
  for (let i = 0; i < size; i++) {
    for (let j = 0; j < size; j++) {
      const scale = Math.sqrt(wanted[i * size + i] * wanted[j * size + j])
      worst = Math.max(worst, Math.abs(actual[i * size + j] - wanted[i * size + j]) / scale)
    }
  }
  return worst
}

/** The hidden states and all Gram matrices of a run over a whole model. */
async function runThrough (calibrator: Calibrator, weights: RandomWeights): Promise<{ grams: Map<string, InputStatistics>, hidden: Float32Array }> {
  const copy = ({ size, gram, heldOutGram }: InputStatistics) => ({ size, gram: gram.slice(), heldOutGram: heldOutGram.slice() })
  const grams = new Map<string, InputStatistics>()
  const { layerCount } = weights.architecture
  calibrator.start(embedWith(weights))
  for (let layer = 0; layer < layerCount; layer++) {
    const statistics = await calibrator.collect(layer, layerWeights(weights, layer + 1), { advance: true })
    for (const input of MATRIX_INPUTS) grams.set(`${layer} ${input}`, copy(statistics[input]))
  }
  grams.set('head', copy(await calibrator.collectHead(layerWeights(weights, layerCount + 1).finalNorm!)))
  return { grams, hidden: calibrator.hidden.slice() }
}

describe('svd/calibration', () => {
  const folder = temporaryFolder()
  const models: Array<[string, Partial<Architecture>, TensorRole[]]> = [
    ['a plain model', {}, []],
    ['biases, norms of heads and a sliding window', { queryKeyNorm: true, slidingWindows: [5, null], ropeScaling: { kind: 'linear', factor: 2 } }, BIASES]
  ]

  async function withCalibrator<Result> (architecture: Architecture, windows: CalibrationWindows, threads: number, run: (calibrator: Calibrator) => Promise<Result>): Promise<Result> {
    const calibrator = createCalibrator({ architecture, windows, threads })
    try {
      return await run(calibrator)
    } finally {
      await calibrator.stop()
    }
  }

  describe('windows', () => {
    it('refuses a text that is too short, and windows that are no whole panels', () => {
      expect(() => cutWindows([1, 2, 3], { contextLength: 512 })).to.throw(CalibrationTextTooShortError).with.property('needed', 36 * 512)
      expect(() => cutWindows(Array(100).fill(1), { contextLength: 512 }, { window: 7, tokens: 7, heldOutTokens: 0 })).to.throw(RangeError)
    })

    it('takes at least 16,384 tokens besides those held out, by default', () => {
      const { window, calibration, ids } = cutWindows(Array(30_000).fill(1), { contextLength: 2048 })
      expect(window * calibration).to.be.at.least(16_000)
      expect(ids.length - window * calibration).to.be.at.least(2000)
    })

    it('spreads over the text without overlap, held-out windows from its end', () => {
      const { window, calibration, ids } = cutWindows(Array.from({ length: 1000 }, (_, i) => i), { contextLength: 64 }, { window: 32, tokens: 96, heldOutTokens: 32 })
      expect([window, calibration, ids.length]).to.deep.equal([32, 3, 128])
      expect(new Set(ids).size).to.equal(128)
      expect(Math.min(...ids.subarray(96))).to.be.above(Math.max(...ids.subarray(0, 96)))
      expect(ids[96]).to.be.above(600)
    })
  })

  it('has a default text of the public domain whose hash follows its bytes, and that is not the text of evaluation', async () => {
    const { text, sha256 } = await defaultCalibrationText()
    expect(text.length).to.be.above(100_000)
    expect(sha256).to.match(/^[0-9a-f]{64}$/).and.equal(calibrationText(text).sha256)
    expect(calibrationText(`${text} `).sha256).to.not.equal(sha256)
    const { readFile } = await import('node:fs/promises')
    const heldOut = await readFile(new URL('../../../models/sotu-4m/heldout.txt', import.meta.url), 'utf8')
    for (let at = 0; at + 200 < text.length; at += 5000) expect(heldOut).to.not.include(text.slice(at, at + 200))
  })

  it('refuses a layer that cannot be addressed', () => {
    expect(() => layoutLayer(smallArchitecture({ feedForwardSize: 65_536 }), 512, 40, 2)).to.throw(CalibrationMemoryError)
  })

  for (const [name, changes, biases] of models) {
    describe(`on ${name}`, () => {
      const architecture = smallArchitecture(changes)
      const windows = cutWindows(randomIds(200, architecture), architecture, { window: 40, tokens: 120, heldOutTokens: 40 })
      let weights: RandomWeights
      before(() => { weights = writeRandomWeights(folder.path(), 'model', architecture, 'F32', 3, biases) })

      it('agrees with sums of outer products over a model in float64', async () => {
        const { grams } = await withCalibrator(architecture, windows, 2, calibrator => runThrough(calibrator, weights))
        const calibration = directGrams(weights, windows, 0, 3)
        const heldOut = directGrams(weights, windows, 3, 4)
        for (let layer = 0; layer < architecture.layerCount; layer++) {
          for (const matrix of LAYER_MATRICES.filter(matrix => NAMES[matrix] !== undefined)) {
            const { gram, heldOutGram } = grams.get(`${layer} ${inputOf(matrix)}`)!
            const tensor = `model.layers.${layer}.${NAMES[matrix]!}`
            expect(relativeDifference(gram, calibration.get(tensor)!), `${tensor}`).to.be.below(1e-5)
            expect(relativeDifference(heldOutGram, heldOut.get(tensor)!), `${tensor}, held out`).to.be.below(1e-5)
          }
        }
        expect(relativeDifference(grams.get('head')!.gram, calibration.get('lm_head.weight')!)).to.be.below(1e-5)
      })

      it('gives the same bits with any number of threads', async () => {
        const runs = []
        for (const threads of [1, 3]) runs.push(await withCalibrator(architecture, windows, threads, calibrator => runThrough(calibrator, weights)))
        expect(runs[0].hidden).to.deep.equal(runs[1].hidden)
        expect(runs[0].grams).to.deep.equal(runs[1].grams)
      })
    })
  }

  describe('on other text and weights', () => {
    const architecture = smallArchitecture()
    const windows = cutWindows(randomIds(64, architecture), architecture, { window: 32, tokens: 32, heldOutTokens: 32 })
    let weights: RandomWeights
    before(() => { weights = writeRandomWeights(folder.path(), 'other', architecture, 'F32', 5) })

    it('leaves the hidden states alone unless told to advance, and then takes the given weights', async () => {
      await withCalibrator(architecture, windows, 1, async calibrator => {
        const own = layerWeights(weights, 1)
        calibrator.start(embedWith(weights))
        const before = calibrator.hidden.slice()
        const first = (await calibrator.collect(0, own)).down.gram.slice()
        expect(calibrator.hidden).to.deep.equal(before)
        expect((await calibrator.collect(0, own)).down.gram).to.deep.equal(first)

        await calibrator.advance(0, own)
        const after = calibrator.hidden.slice()
        const compressed = { ...own, down: own.down!.map(Math.fround).map(value => Math.round(value * 8) / 8) }
        calibrator.start(embedWith(weights))
        await calibrator.advance(0, compressed)
        expect(calibrator.hidden).to.not.deep.equal(after)
      })
    })

    it('measures what a change of weights does to the output of the layer', async () => {
      await withCalibrator(architecture, windows, 2, async calibrator => {
        const own = layerWeights(weights, 1)
        const changed = { down: own.down!.map((value, i) => i % 3 === 0 ? value * 1.5 : value) }
        const outputs: Float32Array[] = []
        for (const layer of [own, { ...own, ...changed }]) {
          calibrator.start(embedWith(weights))
          await calibrator.advance(0, layer)
          outputs.push(calibrator.hidden.slice())
        }
        const { hiddenSize } = architecture
        const positions = outputs[0].length / hiddenSize
        let sum = 0
        for (let at = 0; at < outputs[0].length; at += hiddenSize) {
          const row = Array.from(outputs[0].subarray(at, at + hiddenSize))
          const size = row.reduce((sum, value) => sum + value * value, 0)
          sum += row.reduce((sum, value, i) => sum + (outputs[1][at + i] - value) ** 2, 0) / size
        }
        calibrator.start(embedWith(weights))
        const [none, some, again] = await calibrator.effects(0, own, [{ down: own.down }, changed, { up: own.up }])
        expect([none, again]).to.deep.equal([0, 0])
        expect(some).to.be.closeTo(sum / positions, 1e-9 * positions).and.above(0.001)
        expect(calibrator.hidden).to.deep.equal(Float32Array.from(embedWith(weights)(windows.ids)))
      })
    })

    it('refuses missing matrices and inputs that are not finite', async () => {
      await withCalibrator(architecture, windows, 1, async calibrator => {
        const own = layerWeights(weights, 1)
        calibrator.start(embedWith(weights))
        const { up, ...rest } = own
        expect(await calibrator.collect(0, rest).then(() => null, error => error)).to.be.instanceOf(RangeError)
        const broken = { ...own, up: up!.map((value, i) => i === 5 ? NaN : value) }
        expect(await calibrator.collect(0, broken).then(() => null, error => error)).to.be.instanceOf(CalibrationNotFiniteError)
      })
    })

    it('stops when it is told to', async () => {
      await withCalibrator(architecture, windows, 1, async calibrator => {
        calibrator.start(embedWith(weights))
        const controller = new AbortController()
        const reason = new Error('enough')
        const run = calibrator.collect(0, layerWeights(weights, 1), { signal: controller.signal, onProgress: () => controller.abort(reason) })
        expect(await run.then(() => null, error => error)).to.equal(reason)
      })
    })
  })

  it('adds up float32 products with relative errors below 1e-6', async () => {
    // one layer, so that the input of the first matrices is exact up to its own rounding
    const architecture = smallArchitecture({ layerCount: 1, contextLength: 512 })
    const weights = writeRandomWeights(folder.path(), 'long', architecture, 'F32', 9)
    const windows = cutWindows(randomIds(4096, architecture), architecture, { window: 512, tokens: 3584, heldOutTokens: 512 })
    await withCalibrator(architecture, windows, 1, async calibrator => {
      calibrator.start(embedWith(weights))
      const inputs = calibrator.hidden.slice()
      const { gram } = (await calibrator.collect(0, layerWeights(weights, 1))).attention
      const size = architecture.hiddenSize
      const norm = layerWeights(weights, 1).attentionNorm!
      const wanted = new Float64Array(size * size)
      for (let token = 0; token < windows.window * windows.calibration; token++) {
        const row = inputs.subarray(token * size, (token + 1) * size)
        const inverse = 1 / Math.sqrt(row.reduce((sum, value) => sum + value * value, 0) / size + architecture.normEpsilon)
        const x = Float32Array.from(row, (value, i) => value * inverse * norm[i])
        x.forEach((a, i) => x.forEach((b, j) => { wanted[i * size + j] += a * b }))
      }
      expect(relativeDifference(gram, wanted)).to.be.below(1e-6)
    })
  })

  it('names the inputs of all matrices', () => {
    const inputs: MatrixInput[] = LAYER_MATRICES.map(inputOf)
    expect(new Set(inputs)).to.deep.equal(new Set(MATRIX_INPUTS))
  })
})
