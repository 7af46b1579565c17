import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { tensorByteLength } from '../../src/model/index.ts'
import type { Architecture, TensorRole, TensorSource, TensorType, UnitName, UnitSource } from '../../src/model/index.ts'
import type { Weights } from './open-weights.ts'

/** Integers that are the same everywhere (xorshift32, G. Marsaglia). */
export function randomIntegers (seed: number): () => number {
  let state = seed >>> 0 || 1
  return () => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return state >>> 0
  }
}

/** A float16 pattern between 2^exponent and 2^(exponent + 1). */
function half (next: () => number, exponent: number, negative = false): number {
  return (negative ? 0x8000 : 0) | (exponent + 15) << 10 | next() % 1024
}

/** Places and sizes of the float16 fields of each block type: [offset, exponent, negative]. */
const SCALES: Partial<Record<TensorType, Array<[number, number, boolean]>>> = {
  Q4_0: [[0, -6, false]],
  Q4_1: [[0, -6, false], [2, -4, true]],
  Q5_0: [[0, -7, false]],
  Q5_1: [[0, -7, false], [2, -4, true]],
  Q8_0: [[0, -10, false]],
  Q4_K: [[0, -12, false], [2, -9, false]],
  Q5_K: [[0, -13, false], [2, -9, false]],
  Q6_K: [[208, -14, false]]
}

/** Bytes of a tensor: blocks of random codes with sensible scales, or floats around ±1/√columns (norms: 0.5 … 1.5). */
function randomTensor (type: TensorType, shape: number[], next: () => number): Uint8Array {
  const elements = shape.reduce((a, b) => a * b)
  const bytes = new Uint8Array(tensorByteLength(type, elements)!)
  const view = new DataView(bytes.buffer)
  if (type === 'F32' || type === 'F16' || type === 'BF16') {
    const exponent = (31 - Math.clz32(shape[shape.length - 1]) >> 1) - 1
    for (let i = 0; i < elements; i++) {
      const value = (next() % 65536 - 32768) / 32768
      if (shape.length === 1) view.setFloat32(4 * i, 1 + value / 2, true)
      else if (type === 'F32') view.setFloat32(4 * i, value / 2 ** exponent, true)
      else if (type === 'F16') view.setUint16(2 * i, half(next, -exponent - 1 - next() % 4, value < 0), true)
      else view.setUint16(2 * i, (value < 0 ? 0x8000 : 0) | (127 - exponent - 1 - next() % 4) << 7 | next() % 128, true)
    }
    return bytes
  }
  for (let i = 0; i < bytes.length; i++) bytes[i] = next() >>> 8
  const size = tensorByteLength(type, type.endsWith('K') ? 256 : 32)!
  for (let at = 0; at < bytes.length; at += size) {
    for (const [offset, exponent, negative] of SCALES[type]!) view.setUint16(at + offset, half(next, exponent, negative), true)
  }
  return bytes
}

/** A small architecture; everything may be replaced. */
export function smallArchitecture (changes: Partial<Architecture> = {}): Architecture {
  const architecture: Architecture = {
    family: 'llama',
    layerCount: 2,
    hiddenSize: 64,
    feedForwardSize: 96,
    headCount: 4,
    keyValueHeadCount: 2,
    headSize: 16,
    vocabularySize: 320,
    contextLength: 256,
    normEpsilon: 1e-5,
    ropeTheta: 10000,
    ropeScaling: null,
    queryKeyNorm: false,
    slidingWindows: [],
    tiedEmbedding: false,
    ...changes
  }
  if (architecture.slidingWindows.length === 0) architecture.slidingWindows = Array<null>(architecture.layerCount).fill(null)
  return architecture
}

export interface RandomWeights extends Weights {
  /** file that holds all tensors, one after another */
  path: string
  /** all tensors in order */
  sources: TensorSource[]
}

/** Shapes of the tensors of an architecture, as Hugging Face names them. */
function tensorShapes (a: Architecture, biases: TensorRole[]): Array<{ unit: number, role: TensorRole, name: string, shape: number[] }> {
  const queries = a.headCount * a.headSize
  const keys = a.keyValueHeadCount * a.headSize
  const layer: Array<[TensorRole, string, number[]]> = [
    ['attentionNorm', 'input_layernorm.weight', [a.hiddenSize]],
    ['query', 'self_attn.q_proj.weight', [queries, a.hiddenSize]],
    ['key', 'self_attn.k_proj.weight', [keys, a.hiddenSize]],
    ['value', 'self_attn.v_proj.weight', [keys, a.hiddenSize]],
    ['attentionOutput', 'self_attn.o_proj.weight', [a.hiddenSize, queries]],
    ['queryBias', 'self_attn.q_proj.bias', [queries]],
    ['keyBias', 'self_attn.k_proj.bias', [keys]],
    ['valueBias', 'self_attn.v_proj.bias', [keys]],
    ['attentionOutputBias', 'self_attn.o_proj.bias', [a.hiddenSize]],
    ['queryNorm', 'self_attn.q_norm.weight', [a.headSize]],
    ['keyNorm', 'self_attn.k_norm.weight', [a.headSize]],
    ['feedForwardNorm', 'post_attention_layernorm.weight', [a.hiddenSize]],
    ['gate', 'mlp.gate_proj.weight', [a.feedForwardSize, a.hiddenSize]],
    ['up', 'mlp.up_proj.weight', [a.feedForwardSize, a.hiddenSize]],
    ['down', 'mlp.down_proj.weight', [a.hiddenSize, a.feedForwardSize]]
  ]
  const wanted = (role: TensorRole) => role.endsWith('Bias') ? biases.includes(role) : a.queryKeyNorm || (role !== 'queryNorm' && role !== 'keyNorm')
  return [
    { unit: 0, role: 'embedding', name: 'model.embed_tokens.weight', shape: [a.vocabularySize, a.hiddenSize] },
    ...Array.from({ length: a.layerCount }, (_, index) => layer.filter(([role]) => wanted(role)).map(([role, name, shape]) =>
      ({ unit: index + 1, role, name: `model.layers.${index}.${name}`, shape }))).flat(),
    { unit: a.layerCount + 1, role: 'finalNorm', name: 'model.norm.weight', shape: [a.hiddenSize] },
    { unit: a.layerCount + 1, role: 'projection', name: 'lm_head.weight', shape: [a.vocabularySize, a.hiddenSize] }
  ]
}

/**
 * Writes a random model whose matrices have the given type: the same bytes for
 * the same seed on every machine. Vectors are F32.
 */
export function writeRandomWeights (
  directory: string, name: string, architecture: Architecture, type: TensorType, seed: number, biases: TensorRole[] = []
): RandomWeights {
  const next = randomIntegers(seed)
  const path = join(directory, `${name}.bin`)
  const units: UnitSource[] = Array.from({ length: architecture.layerCount + 2 }, (_, i) => {
    const unit: UnitName = i === 0 ? 'embed' : i <= architecture.layerCount ? `layer ${i - 1}` : 'head'
    return { unit, tensors: {} }
  })
  const parts: Uint8Array[] = []
  const sources: TensorSource[] = []
  let offset = 0
  for (const { unit, role, name, shape } of tensorShapes(architecture, biases)) {
    const own = shape.length === 1 ? 'F32' : type
    const bytes = randomTensor(own, shape, next)
    const source: TensorSource = { name, path, offset, byteLength: bytes.length, type: own, shape }
    units[unit].tensors[role] = source
    sources.push(source)
    parts.push(bytes)
    offset += bytes.length
  }
  mkdirSync(directory, { recursive: true })
  writeFileSync(path, Buffer.concat(parts))
  return { architecture, unit: index => units[index], path, sources }
}

/** Random token ids. */
export function randomIds (count: number, vocabularySize: number, seed: number): Uint32Array {
  const next = randomIntegers(seed)
  return Uint32Array.from({ length: count }, () => (next() >>> 4) % vocabularySize)
}
