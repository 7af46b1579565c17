import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { openWeights } from '../../src/model/index.ts'
import type { TensorRole, TensorType } from '../../src/model/index.ts'
import { compressWeights } from './compressed-weights.ts'
import type { MatrixChoice } from './compressed-weights.ts'
import type { Weights } from './open-weights.ts'
import { smallArchitecture, writeRandomWeights } from './random-weights.ts'
import { sharedPath } from './shared-data.ts'

const project = (path: string) => fileURLToPath(new URL(`../../${path}`, import.meta.url))

/** Path of a golden file: in the fixtures, else in the data beside the project, else undefined. */
export function goldenPath (name: string): string | undefined {
  const fixture = project(`test/fixtures/golden/${name}`)
  return existsSync(fixture) ? fixture : sharedPath('golden', ...name.split('/'))
}

export function readJson<T> (path: string): T {
  return JSON.parse(readFileSync(path, 'utf8'))
}

/** One input of a golden model with the outputs of transformers. */
export interface GoldenCase {
  ids: number[]
  logits_last: number[]
  argmax: number[]
  /** by number of layers; directories only */
  hidden_last_after_layer?: Record<string, number[]>
  /** directories only */
  greedy24?: number[]
}

/** Random small models of every architecture, as Hugging Face directories. */
export const GOLDEN_DIRECTORIES = ['llama', 'llama-rope3', 'qwen2', 'qwen3']

/** One random Llama in every quantisation. */
export const GOLDEN_FILES = ['q4_0', 'q4_1', 'q5_0', 'q8_0', 'q4_k_m', 'q6_k', 'f16'].map(type => `llama-256-${type}`)

/** Reference outputs of a golden model, or undefined where its files are absent. */
export function goldenModel (name: string): { path: string, cases: GoldenCase[] } | undefined {
  const isFile = GOLDEN_FILES.includes(name)
  const path = goldenPath(isFile ? `gguf/${name}.gguf` : name)
  const reference = goldenPath(isFile ? `gguf/${name}.json` : `${name}/reference.json`)
  if (path === undefined || reference === undefined) return undefined
  return { path, cases: readJson<{ cases: GoldenCase[] }>(reference).cases }
}

/** The model that ships. */
export const sotuPath = project('models/sotu-4m')

/** The same, compressed: it ships too. */
export const compressedSotuPath = project('models/sotu-4m-compressed')

let directory: string | undefined

/** A directory that is removed when the process ends. */
function temporary (): string {
  if (directory === undefined) {
    const made = mkdtempSync(join(tmpdir(), 'efedllm-random-'))
    process.on('exit', () => rmSync(made, { recursive: true, force: true }))
    directory = made
  }
  return directory
}

const wide = { hiddenSize: 256, feedForwardSize: 512, headCount: 4, keyValueHeadCount: 2, headSize: 64 }

/** Models made on the spot, for what the golden files do not have. */
export const RANDOM_MODELS: Readonly<Record<string, () => Weights>> = {
  'random-q5_1': () => writeRandomWeights(temporary(), 'q5_1', smallArchitecture(), 'Q5_1', 51),
  'random-q5_k': () => writeRandomWeights(temporary(), 'q5_k', smallArchitecture(wide), 'Q5_K', 52),
  'random-q4_k': () => writeRandomWeights(temporary(), 'q4_k', smallArchitecture(wide), 'Q4_K', 53),
  'random-bf16-mistral-window-20': () => writeRandomWeights(temporary(), 'mistral', smallArchitecture({ family: 'mistral', slidingWindows: [20, 20] }), 'BF16', 54),
  'random-q8_0-mixed-windows': () => writeRandomWeights(temporary(), 'mixed', smallArchitecture({ layerCount: 3, slidingWindows: [33, null, 1] }), 'Q8_0', 55),
  'random-q4_0-qwen3-head-128': () => writeRandomWeights(temporary(), 'qwen3', smallArchitecture({ family: 'qwen3', headSize: 128, queryKeyNorm: true, ropeTheta: 1e6 }), 'Q4_0', 56),
  'random-q4_1-biases-linear': () => writeRandomWeights(temporary(), 'biases', smallArchitecture({ ropeScaling: { kind: 'linear', factor: 4 } }), 'Q4_1', 57, ['queryBias', 'keyBias', 'valueBias', 'attentionOutputBias']),
  'random-compressed': () => {
    const biases: TensorRole[] = ['queryBias', 'keyBias', 'valueBias', 'attentionOutputBias']
    return compressWeights(temporary(), 'compressed', writeRandomWeights(temporary(), 'source', smallArchitecture({ ...wide, layerCount: 3 }), 'F32', 61, biases), mixed, 62)
  },
  'random-svd-alone': () => {
    const architecture = smallArchitecture({ family: 'qwen3', headSize: 32, queryKeyNorm: true })
    return compressWeights(temporary(), 'svd', writeRandomWeights(temporary(), 'svd-source', architecture, 'BF16', 63), role => role === 'embedding' ? undefined : { type: 'ZERO', rank: 24 }, 64)
  },
  'random-f16-rope-factors': () => writeRandomWeights(temporary(), 'factors', smallArchitecture({ ropeScaling: { kind: 'factors', factors: [1, 1, 1.5, 2, 4, 8, 16, 32] } }), 'F16', 58)
}

/** Every mode of compression in one model: the second layer has smaller ranks than its file, the third other types. */
function mixed (role: TensorRole, unit: number): MatrixChoice | undefined {
  if (role === 'embedding') return { type: 'Q8_0' }
  if (role === 'projection') return { type: 'Q5_1', rank: 8 }
  const types: TensorType[] = unit === 3 ? ['Q3_32', 'ZERO', 'Q4_0', 'Q4_1', 'Q5_0', 'Q5_1', 'Q8_0'] : ['ZERO', 'Q3_32', 'Q3_32', 'Q4_0', 'Q4_1', 'Q8_0', 'Q5_0']
  const ranks = unit === 3 ? [40, 16, 0, 8, 0, 16, 64] : [16, 0, 8, 32, 24, 0, 8]
  const index = (['query', 'key', 'value', 'attentionOutput', 'gate', 'up', 'down'] as TensorRole[]).indexOf(role)
  return { type: types[index], rank: ranks[index], stored: unit === 2 ? ranks[index] * 2 : undefined }
}

/** Opens any of the models above by name; undefined where its files are absent. */
export function openNamed (name: string): Weights | undefined {
  if (name === 'sotu-4m') return openWeights(sotuPath)
  if (name === 'sotu-4m-compressed') return openWeights(compressedSotuPath)
  if (name in RANDOM_MODELS) return RANDOM_MODELS[name]()
  const golden = goldenModel(name)
  return golden === undefined ? undefined : openWeights(golden.path)
}
