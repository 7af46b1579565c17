import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'chai'
import { createReferenceEngine } from '../../src/engine/reference/reference-engine.ts'
import { openWeights, readTensor } from '../../src/model/index.ts'
import type { Architecture, TensorRole } from '../../src/model/index.ts'
import { greedy, hiddenOf, logitsOf, withEngine } from '../support/engines.ts'
import { GOLDEN_DIRECTORIES, GOLDEN_FILES, goldenModel, goldenPath, readJson, sotuPath } from '../support/golden-models.ts'
import { naiveLogits } from '../support/naive-model.ts'
import type { NaiveTensors } from '../support/naive-model.ts'
import { randomIds, smallArchitecture, writeRandomWeights } from '../support/random-weights.ts'

/** logits of transformers, in float32, differ by this much at most */
const TOLERANCE = 2e-3

function largestDifference (a: ArrayLike<number>, b: ArrayLike<number>): number {
  expect(a.length).to.equal(b.length)
  let largest = 0
  for (let i = 0; i < b.length; i++) {
    const difference = Math.abs(a[i] - b[i])
    if (!(difference <= largest)) largest = difference
  }
  return largest
}

function argmaxima (logits: Float32Array, columns: number): number[] {
  return Array.from({ length: logits.length / columns }, (_, row) => {
    const own = logits.subarray(row * columns, (row + 1) * columns)
    return own.indexOf(own.reduce((a, b) => Math.max(a, b)))
  })
}

describe('reference engine', () => {
  for (const name of [...GOLDEN_DIRECTORIES, ...GOLDEN_FILES]) {
    it(`${name}: logits, argmax, hidden states and greedy tokens of transformers`, async function () {
      const golden = goldenModel(name)
      if (golden === undefined) return this.skip()
      const weights = openWeights(golden.path)
      const { vocabularySize, hiddenSize } = weights.architecture
      await withEngine(createReferenceEngine, weights, async engine => {
        for (const { ids, ...expected } of golden.cases) {
          const session = engine.openSession()
          const logits = await logitsOf(engine, session, Uint32Array.from(ids))
          engine.closeSession(session)
          expect(largestDifference(logits.slice(-vocabularySize), expected.logits_last)).below(TOLERANCE)
          expect(argmaxima(logits, vocabularySize)).to.deep.equal(expected.argmax)
          if (expected.greedy24 !== undefined) {
            expect(await greedy(engine, Uint32Array.from(ids), 24)).to.deep.equal(expected.greedy24)
          }
        }
      })
      for (const layers of [1, 2, 3]) {
        await withEngine(createReferenceEngine, weights, async engine => {
          for (const { ids, hidden_last_after_layer: expected } of golden.cases) {
            if (expected === undefined) continue
            const hidden = await hiddenOf(engine, Uint32Array.from(ids))
            expect(largestDifference(hidden.slice(-hiddenSize), expected[layers]), `after layer ${layers}`).below(TOLERANCE)
          }
        }, { range: { from: 0, to: layers + 1 } })
      }
    })
  }

  it('sotu-4m: greedy tokens of transformers', async function () {
    const path = goldenPath('sotu-4m.json')
    if (path === undefined) return this.skip()
    const cases = readJson<{ greedy: Array<{ prompt: string, ids: number[], greedy: number[] }> }>(path).greedy
    await withEngine(createReferenceEngine, openWeights(sotuPath), async engine => {
      for (const { prompt, ids, greedy: expected } of cases) {
        expect(await greedy(engine, Uint32Array.from(ids), expected.length), prompt).to.deep.equal(expected)
      }
    })
  })

  describe('against a naive binary64 implementation', () => {
    let directory: string
    before(() => { directory = mkdtempSync(join(tmpdir(), 'efedllm-naive-')) })
    after(() => rmSync(directory, { recursive: true, force: true }))

    const allBiases: TensorRole[] = ['queryBias', 'keyBias', 'valueBias', 'attentionOutputBias']
    const cases: Array<[string, Partial<Architecture>, TensorRole[], object]> = [
      ['mistral', { family: 'mistral' }, [], { sliding_window: null }],
      ['mistral with a sliding window of 7', { family: 'mistral', slidingWindows: [7, 7] }, [], { sliding_window: 7 }],
      ['llama with linear scaling and biases', { ropeScaling: { kind: 'linear', factor: 2 } }, allBiases, { attention_bias: true, rope_scaling: { type: 'linear', factor: 2 } }],
      ['qwen2 with a window from layer 1 on', { family: 'qwen2', slidingWindows: [null, 9] }, allBiases.slice(0, 3), { use_sliding_window: true, sliding_window: 9, max_window_layers: 1 }],
      ['qwen3', { family: 'qwen3', headSize: 32, queryKeyNorm: true }, [], { head_dim: 32 }]
    ]
    cases.forEach(([name, changes, biases, config], i) => {
      it(name, async () => {
        const architecture = smallArchitecture(changes)
        const path = writeCheckpoint(join(directory, `model-${i}`), architecture, biases, config, i + 1)
        const weights = openWeights(path)
        expect(weights.architecture).to.deep.equal(architecture)
        const ids = randomIds(40, architecture.vocabularySize, i + 100)
        const naive = naiveLogits(architecture, readAll(weights.unit, architecture.layerCount), ids)
        await withEngine(createReferenceEngine, weights, async engine => {
          for (const chunk of [40, 3]) {
            const session = engine.openSession()
            expect(largestDifference(await logitsOf(engine, session, ids, chunk), naive.flat())).below(1e-4)
            engine.closeSession(session)
          }
        })
        // the yardstick sees the window: without it the logits are others
        if (architecture.slidingWindows.some(window => window !== null)) {
          const full = { ...architecture, slidingWindows: [null, null] }
          const other = naiveLogits(full, readAll(weights.unit, architecture.layerCount), ids)
          expect(largestDifference(other.flat(), naive.flat())).above(0.01)
        }
      })
    })
  })

  it('gives the same bits however positions are cut into steps', async () => {
    const weights = openWeights(goldenModel('qwen3')!.path)
    const ids = randomIds(70, 512, 3)
    await withEngine(createReferenceEngine, weights, async engine => {
      const whole = await logitsOf(engine, engine.openSession(), ids)
      for (const chunk of [1, 7, 32]) {
        const session = engine.openSession({ capacity: 70 })
        expect(await logitsOf(engine, session, ids, chunk)).to.deep.equal(whole)
        engine.closeSession(session)
      }
    })
  })

  it('rounds stored keys and values where asked', async () => {
    const weights = openWeights(goldenModel('llama')!.path)
    const ids = randomIds(50, 512, 4)
    const run = (keyValueRounding: 'f32' | 'f16' | 's8') =>
      withEngine(init => createReferenceEngine({ ...init, keyValueRounding }), weights, engine => logitsOf(engine, engine.openSession(), ids))
    const exact = await run('f32')
    const half = largestDifference(await run('f16'), exact)
    const eight = largestDifference(await run('s8'), exact)
    expect(half).above(0).below(0.02)
    expect(eight).above(half).below(0.5)
  })
})

/** The tensors of a model as float32, by their names. */
function readAll (unit: ReturnType<typeof openWeights>['unit'], layerCount: number): NaiveTensors {
  const tensors: NaiveTensors = {}
  for (let index = 0; index < layerCount + 2; index++) {
    for (const source of Object.values(unit(index).tensors)) tensors[source.name!] = { shape: source.shape, values: readTensor(source) }
  }
  return tensors
}

/** Writes a random model of float32 as `config.json` (style of transformers 4) and `model.safetensors`. */
function writeCheckpoint (directory: string, a: Architecture, biases: TensorRole[], config: object, seed: number): string {
  const { sources, path } = writeRandomWeights(directory, 'weights', a, 'F32', seed, biases)
  const header: Record<string, unknown> = {}
  for (const { name, shape, offset, byteLength } of sources) {
    header[name!] = { dtype: 'F32', shape, data_offsets: [offset, offset + byteLength] }
  }
  const json = Buffer.from(JSON.stringify(header))
  const length = Buffer.alloc(8)
  length.writeBigUInt64LE(BigInt(json.length))
  const names = { llama: 'Llama', mistral: 'Mistral', qwen2: 'Qwen2', qwen3: 'Qwen3' }
  mkdirSync(directory, { recursive: true })
  writeFileSync(join(directory, 'model.safetensors'), Buffer.concat([length, json, readFileSync(path)]))
  writeFileSync(join(directory, 'config.json'), JSON.stringify({
    architectures: [`${names[a.family]}ForCausalLM`],
    model_type: a.family,
    hidden_size: a.hiddenSize,
    intermediate_size: a.feedForwardSize,
    num_hidden_layers: a.layerCount,
    num_attention_heads: a.headCount,
    num_key_value_heads: a.keyValueHeadCount,
    vocab_size: a.vocabularySize,
    max_position_embeddings: a.contextLength,
    rms_norm_eps: a.normEpsilon,
    rope_theta: a.ropeTheta,
    hidden_act: 'silu',
    tie_word_embeddings: false,
    ...config
  }))
  return directory
}
