import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'chai'
import { ModelFileError, NonFiniteWeightError, openWeights, readTensor, readTensorBytes, readTensorRows, UnsupportedModelError } from '../../../src/model/index.ts'
import type { TensorSource } from '../../../src/model/index.ts'
import { f32, list, text, u32 } from '../../support/gguf-writer.ts'
import type { SafetensorsInput } from '../../support/safetensors-writer.ts'
import { writeSafetensors } from '../../support/safetensors-writer.ts'
import { temporaryFolder } from '../../support/temporary-folder.ts'
import { floats, TINY, tinyConfig, tinyGgufBytes, tinySafetensors } from '../../support/tiny-models.ts'

const folder = temporaryFolder()
let count = 0

function gguf (more?: Parameters<typeof tinyGgufBytes>[0]): string {
  return folder.write(`${count++}.gguf`, tinyGgufBytes(more))
}

function directory (config: object | null, tensors: SafetensorsInput[] = tinySafetensors()): string {
  const path = folder.path(`model-${count++}`)
  mkdirSync(path)
  if (config !== null) writeFileSync(join(path, 'config.json'), JSON.stringify(config))
  writeFileSync(join(path, 'model.safetensors'), writeSafetensors(tensors))
  return path
}

const vector = (name: string, values: number[]) => ({ name, type: 0, shape: [values.length], data: new Uint8Array(Float32Array.from(values).buffer) })

describe('openWeights', function () {
  it('refuses what is no model', function () {
    expect(() => openWeights(folder.path('nothing'))).to.throw(ModelFileError, 'ENOENT')
    expect(() => openWeights(folder.write('text.txt', 'hello'))).to.throw(ModelFileError, 'neither a GGUF file')
    expect(() => openWeights(directory(null))).to.throw(ModelFileError).with.property('field', 'config.json')
    expect(() => openWeights(folder.write('short.gguf', 'GG'))).to.throw(ModelFileError).with.property('field', 'magic')
  })

  it('refuses tensors that are missing, of another shape or unknown', function () {
    const tensors = tinySafetensors()
    const open = (changed: SafetensorsInput[]) => () => openWeights(directory(tinyConfig(), changed))
    expect(open(tensors.slice(1))).to.throw(ModelFileError, 'is missing').with.property('field', 'tensor "model.embed_tokens.weight"')
    const wrong = tensors.map(tensor => tensor.name.endsWith('k_proj.weight') ? { ...tensor, shape: [32, 16] } : tensor)
    expect(open(wrong)).to.throw(ModelFileError, '[32, 16] is not [16, 32]').with.property('field', 'tensor "model.layers.0.self_attn.k_proj.weight".shape')
    const extra = { name: 'model.layers.0.self_attn.sinks', dtype: 'F32', shape: [1], data: new Uint8Array(4) }
    expect(open([...tensors, extra])).to.throw(UnsupportedModelError, 'unknown in the llama architecture')
    const integers = tensors.map(tensor => tensor.name === 'model.norm.weight' ? { ...tensor, dtype: 'I32' } : tensor)
    expect(open(integers)).to.throw(UnsupportedModelError, 'element type I32')
    expect(() => openWeights(directory(tinyConfig({ attention_bias: true })))).to.throw(ModelFileError, 'q_proj.bias": is missing')
    expect(() => openWeights(directory(tinyConfig({ tie_word_embeddings: false })))).to.throw(ModelFileError, 'lm_head.weight": is missing')
  })

  it('looks past buffers and past a copy of the tied matrix', function () {
    const copy = { ...tinySafetensors()[0], name: 'lm_head.weight' }
    const buffer = { name: 'model.layers.0.self_attn.rotary_emb.inv_freq', dtype: 'F32', shape: [8], data: new Uint8Array(32) }
    const model = openWeights(directory(tinyConfig(), [...tinySafetensors(), copy, buffer]))
    expect(model.unit(TINY.layers + 1).tensors.projection).to.equal(model.unit(0).tensors.embedding)
  })

  it('opens a directory, or its file', function () {
    const path = directory(tinyConfig())
    for (const model of [openWeights(path), openWeights(join(path, 'model.safetensors'))]) {
      expect(model.unit(0).unit).to.equal('embed')
      expect(model.unit(2).unit).to.equal('layer 1')
      expect(model.unit(3).unit).to.equal('head')
      expect(() => model.unit(4)).to.throw(RangeError)
      expect(Object.keys(model.unit(1).tensors)).to.deep.equal([
        'attentionNorm', 'query', 'key', 'value', 'attentionOutput', 'feedForwardNorm', 'gate', 'up', 'down'
      ])
      expect(readTensor(model.unit(0).tensors.embedding!)).to.deep.equal(floats(40 * 32, 1))
    }
  })

  it('refuses GGUF metadata by the name of the key', function () {
    const refused = (metadata: NonNullable<NonNullable<Parameters<typeof gguf>[0]>['metadata']>, field: string, kind: typeof ModelFileError | typeof UnsupportedModelError = UnsupportedModelError) =>
      expect(() => openWeights(gguf({ metadata })), field).to.throw(kind).with.property('field', field)
    refused([['general.architecture', text('mamba')]], 'metadata "general.architecture"')
    refused([['general.architecture', u32(1)]], 'metadata "general.architecture"', ModelFileError)
    refused([['llama.block_count', text('2')]], 'metadata "llama.block_count"', ModelFileError)
    refused([['llama.block_count', u32(0)]], 'metadata "llama.block_count"', ModelFileError)
    refused([['llama.block_count', u32(4_000_000_000)]], 'layerCount')
    refused([['llama.attention.head_count_kv', list('uint32', [1, 1])]], 'metadata "llama.attention.head_count_kv"')
    refused([['llama.rope.scaling.type', text('yarn')]], 'metadata "llama.rope.scaling.type"')
    refused([['llama.expert_count', u32(8)]], 'metadata "llama.expert_count"')
    refused([['llama.rope.dimension_count', u32(8)]], 'metadata "llama.rope.dimension_count"')
    refused([['split.count', { type: 'uint16', value: 3 }]], 'metadata "split.count"')
  })

  it('reads scaling and windows of GGUF metadata', function () {
    const architecture = (metadata: NonNullable<Parameters<typeof gguf>[0]>['metadata']) => openWeights(gguf({ metadata })).architecture
    expect(architecture([]).ropeScaling).to.equal(null)
    expect(architecture([['llama.rope.scaling.type', text('linear')], ['llama.rope.scaling.factor', f32(4)]]).ropeScaling).to.deep.equal({ kind: 'linear', factor: 4 })
    expect(architecture([['llama.rope.scaling.type', text('none')], ['llama.rope.scaling.factor', f32(4)]]).ropeScaling).to.equal(null)
    expect(architecture([['llama.attention.sliding_window', u32(16)]]).slidingWindows).to.deep.equal([16, 16])
    expect(architecture([['llama.attention.sliding_window', u32(4096)]]).slidingWindows).to.deep.equal([null, null])
  })

  it('keeps the RoPE factors of Llama 3 files', function () {
    const factors = [1, 1, 1, 1, 2.5, 8, 8, 8]
    expect(openWeights(gguf({ tensors: [vector('rope_freqs.weight', factors)] })).architecture.ropeScaling).to.deep.equal({ kind: 'factors', factors })
    expect(openWeights(gguf({ tensors: [vector('rope_freqs.weight', new Array(8).fill(1))] })).architecture.ropeScaling).to.equal(null)
    expect(() => openWeights(gguf({ tensors: [vector('rope_freqs.weight', [1, 1])] }))).to.throw(ModelFileError, 'half the head size')
    expect(() => openWeights(gguf({ tensors: [vector('rope_freqs.weight', [...factors.slice(1), NaN])] }))).to.throw(NonFiniteWeightError, 'rope_freqs.weight')
    expect(() => openWeights(gguf({ tensors: [vector('rope_freqs.weight', [...factors.slice(1), 0])] }))).to.throw(UnsupportedModelError, 'positive')
  })

  it('takes biases of GGUF files where they are, and asks for them where they belong', function () {
    expect(() => openWeights(gguf({ architecture: 'qwen2' }))).to.throw(ModelFileError, 'blk.0.attn_q.bias')
    const biases = [0, 1].map(layer => vector(`blk.${layer}.attn_q.bias`, new Array(32).fill(layer)))
    const layer = openWeights(gguf({ tensors: biases })).unit(2)
    expect(layer.tensors.queryBias).to.include({ interleavedHeads: 2 })
    expect(layer.tensors).not.to.have.property('keyBias')
  })
})

describe('reading rows', function () {
  const headSize = 8
  const heads = 3
  const columns = 4

  /** Rows of a matrix as the converter of llama.cpp permutes them: rows j and j + half of a head become 2j and 2j + 1. */
  function permuted (matrix: Float32Array, width: number): Float32Array {
    const out = new Float32Array(matrix.length)
    for (let head = 0; head < heads; head++) {
      for (let j = 0; j < headSize / 2; j++) {
        for (const half of [0, 1]) {
          const from = (head * headSize + half * headSize / 2 + j) * width
          out.set(matrix.subarray(from, from + width), (head * headSize + 2 * j + half) * width)
        }
      }
    }
    return out
  }

  function source (name: string, values: Float32Array, shape: number[], more: Partial<TensorSource> = {}): TensorSource {
    const bytes = new Uint8Array(values.buffer)
    const path = folder.write(name, Buffer.concat([Buffer.from('12345'), bytes]))
    return { name, path, offset: 5, byteLength: bytes.length, type: 'F32', shape, ...more }
  }

  const matrix = floats(heads * headSize * columns, 7)

  it('refuses rows outside the tensor and files that end too early', function () {
    const plain = source('plain', matrix, [heads * headSize, columns])
    for (const [from, to] of [[-1, 2], [2, 1], [0, 25], [0.5, 1]]) expect(() => readTensorRows(plain, from, to)).to.throw(RangeError, '24 rows')
    expect(() => readTensor({ ...plain, offset: 6 })).to.throw(ModelFileError, '1 bytes short')
    expect(() => readTensor({ ...plain, path: folder.path('gone') })).to.throw(ModelFileError, 'ENOENT')
  })

  it('refuses values that are not finite, by the name of the tensor', function () {
    for (const bad of [NaN, Infinity, -Infinity]) {
      expect(() => readTensor(source('bad', Float32Array.of(1, 2, bad), [3]))).to.throw(NonFiniteWeightError, `bad: element 2 is ${bad}`)
    }
  })

  it('puts permuted rows back in order, all or some', function () {
    const stored = source('permuted', permuted(matrix, columns), [heads * headSize, columns], { interleavedHeads: heads })
    expect(readTensor(stored)).to.deep.equal(matrix)
    const bytes = new Uint8Array(matrix.buffer)
    const rowBytes = columns * 4
    for (const [from, to] of [[0, 24], [0, 1], [3, 5], [7, 9], [5, 20], [23, 24], [8, 8]]) {
      expect(readTensorRows(stored, from, to)).to.deep.equal(bytes.slice(from * rowBytes, to * rowBytes))
    }
  })

  it('puts permuted biases back in order', function () {
    const bias = floats(heads * headSize, 9)
    expect(readTensor(source('bias', permuted(bias, 1), [heads * headSize], { interleavedHeads: heads }))).to.deep.equal(bias)
  })

  it('reads raw bytes', function () {
    expect(readTensorBytes(source('raw', matrix, [heads * headSize, columns]))).to.deep.equal(new Uint8Array(matrix.buffer))
  })
})
