import { ModelFileError, NonFiniteWeightError, UnsupportedModelError } from '../errors.ts'
import { fileStatus } from '../json-file.ts'
import type { Architecture, GgufValue } from '../types.ts'
import { readModelFiles } from './model-files.ts'
import type { ModelFiles } from './model-files.ts'

export interface TensorDescription {
  name: string
  type: string
  shape: number[]
  parameters: number
  byteLength: number
  /** from the start of the file */
  offset: number
  /** index in `files` */
  file: number
}

/** What `efedllm inspect` shows. Plain data. */
export interface FileDescription {
  kind: 'gguf' | 'safetensors'
  name: string
  files: Array<{ path: string, size: number }>
  /** null where this software cannot run the model; `problem` says why */
  architecture: Architecture | null
  problem: string | null
  tokenizer: { kind: string, vocabularySize: number, chatTemplate: boolean } | null
  tokenizerProblem: string | null
  /** GGUF metadata or config.json, long lists and texts shortened */
  metadata: Record<string, string>
  tensors: TensorDescription[]
  parameters: number
  /** bytes of all tensors */
  tensorBytes: number
  bitsPerWeight: number
}

/** Longer texts and lists of metadata are shortened. */
const SHOWN_CHARACTERS = 80

/**
 * Describes a model's files without reading tensors. Also of models that
 * cannot be run, as long as the files themselves are sound.
 *
 * @throws ModelFileError, UnsupportedModelError where not even the headers can be read
 */
export function describeFile (path: string): FileDescription {
  const model = readModelFiles(path)
  const tensors = [...model.tensors.values()].map(({ name, type, shape, byteLength, offset, path: file }) => ({
    name, type, shape, parameters: shape.reduce((product, size) => product * size, 1), byteLength, offset, file: model.files.indexOf(file)
  }))
  const parameters = sum(tensors.map(tensor => tensor.parameters))
  const tensorBytes = sum(tensors.map(tensor => tensor.byteLength))
  const runnable = attempt(() => {
    const config = model.readConfig()
    model.readUnits(config)
    return config.architecture
  })
  const tokenizer = attempt(() => {
    const { kind, tokenizer, chatTemplate } = model.readTokenizer()
    return { kind, vocabularySize: tokenizer.vocabularySize, chatTemplate: chatTemplate !== null }
  })
  return {
    kind: model.kind,
    name: model.name,
    files: model.files.map(file => ({ path: file, size: fileStatus(file).size })),
    architecture: runnable.value,
    problem: runnable.problem,
    tokenizer: tokenizer.value,
    tokenizerProblem: tokenizer.problem,
    metadata: readMetadata(model),
    tensors,
    parameters,
    tensorBytes,
    bitsPerWeight: parameters === 0 ? 0 : tensorBytes * 8 / parameters
  }
}

function attempt<Value> (run: () => Value): { value: Value | null, problem: string | null } {
  try {
    return { value: run(), problem: null }
  } catch (error) {
    const expected = [ModelFileError, NonFiniteWeightError, UnsupportedModelError].some(type => error instanceof type)
    if (!expected) throw error
    return { value: null, problem: (error as Error).message }
  }
}

function readMetadata ({ metadata, configJson }: ModelFiles): Record<string, string> {
  const entries = metadata ?? Object.entries(configJson ?? {}) as Array<[string, GgufValue]>
  return Object.fromEntries([...entries].map(([key, value]) => [key, shorten(value)]))
}

function shorten (value: GgufValue): string {
  if (Array.isArray(value) && value.length > 8) return `[${value.length} × ${typeof value[0]}]`
  const text = typeof value === 'string' || typeof value === 'bigint' ? String(value) : JSON.stringify(value)
  return text.length > SHOWN_CHARACTERS ? `${text.slice(0, SHOWN_CHARACTERS)}… (${text.length} characters)` : text
}

function sum (values: number[]): number {
  return values.reduce((total, value) => total + value, 0)
}
