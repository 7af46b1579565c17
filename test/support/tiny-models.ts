/** Tiny models with random weights, as files; for tests of readers. */
import { f32, list, text, u32, writeGguf } from './gguf-writer.ts'
import type { GgufField, GgufInput, GgufTensorInput } from './gguf-writer.ts'
import { randomBytes } from './random-bytes.ts'
import type { SafetensorsInput } from './safetensors-writer.ts'

export const TINY = { layers: 2, hidden: 32, feedForward: 64, heads: 2, keyValueHeads: 1, headSize: 16, vocabulary: 40 }

/** Finite float32 values, reproducible. */
export function floats (count: number, seed: number): Float32Array {
  return Float32Array.from(randomBytes(count, seed), byte => (byte - 128) / 64)
}

function bytesOf (values: Float32Array): Uint8Array {
  return new Uint8Array(values.buffer, values.byteOffset, values.byteLength)
}

function shapes (layerPrefix: (layer: number) => string, names: Record<string, string>): Array<[name: string, shape: number[]]> {
  const { layers, hidden, feedForward, heads, keyValueHeads, headSize, vocabulary } = TINY
  const all: Array<[string, number[]]> = [[names.embedding, [vocabulary, hidden]], [names.norm, [hidden]]]
  for (let layer = 0; layer < layers; layer++) {
    const p = layerPrefix(layer)
    all.push(
      [p + names.norm1, [hidden]], [p + names.q, [heads * headSize, hidden]],
      [p + names.k, [keyValueHeads * headSize, hidden]], [p + names.v, [keyValueHeads * headSize, hidden]],
      [p + names.o, [hidden, heads * headSize]], [p + names.norm2, [hidden]],
      [p + names.gate, [feedForward, hidden]], [p + names.up, [feedForward, hidden]], [p + names.down, [hidden, feedForward]]
    )
  }
  return all
}

/** A `config.json` of the tiny model. */
export function tinyConfig (more: Record<string, unknown> = {}): Record<string, unknown> {
  return {
    model_type: 'llama',
    architectures: ['LlamaForCausalLM'],
    hidden_size: TINY.hidden,
    intermediate_size: TINY.feedForward,
    num_hidden_layers: TINY.layers,
    num_attention_heads: TINY.heads,
    num_key_value_heads: TINY.keyValueHeads,
    vocab_size: TINY.vocabulary,
    max_position_embeddings: 128,
    rms_norm_eps: 1e-5,
    rope_theta: 10000,
    hidden_act: 'silu',
    tie_word_embeddings: true,
    ...more
  }
}

/** Tensors of the tiny model (tied embedding) with the names of transformers, in F32. */
export function tinySafetensors (): SafetensorsInput[] {
  const names = {
    embedding: 'model.embed_tokens.weight',
    norm: 'model.norm.weight',
    norm1: 'input_layernorm.weight',
    q: 'self_attn.q_proj.weight',
    k: 'self_attn.k_proj.weight',
    v: 'self_attn.v_proj.weight',
    o: 'self_attn.o_proj.weight',
    norm2: 'post_attention_layernorm.weight',
    gate: 'mlp.gate_proj.weight',
    up: 'mlp.up_proj.weight',
    down: 'mlp.down_proj.weight'
  }
  return shapes(layer => `model.layers.${layer}.`, names).map(([name, shape], i) => ({
    name, dtype: 'F32', shape, data: bytesOf(floats(shape.reduce((a, b) => a * b, 1), i + 1))
  }))
}

/** The tiny model as GGUF, F32, with a byte-level tokenizer of `vocabulary` tokens. */
export function tinyGguf (more: { metadata?: Array<[string, GgufField]>, tensors?: GgufTensorInput[], architecture?: string } = {}): GgufInput {
  const arch = more.architecture ?? 'llama'
  const names = {
    embedding: 'token_embd.weight',
    norm: 'output_norm.weight',
    norm1: 'attn_norm.weight',
    q: 'attn_q.weight',
    k: 'attn_k.weight',
    v: 'attn_v.weight',
    o: 'attn_output.weight',
    norm2: 'ffn_norm.weight',
    gate: 'ffn_gate.weight',
    up: 'ffn_up.weight',
    down: 'ffn_down.weight'
  }
  const tokens = Array.from({ length: TINY.vocabulary }, (_, i) => i < 3 ? `<${i}>` : String.fromCharCode(61 + i))
  const metadata: Array<[string, GgufField]> = [
    ['general.architecture', text(arch)],
    [`${arch}.block_count`, u32(TINY.layers)],
    [`${arch}.context_length`, u32(128)],
    [`${arch}.embedding_length`, u32(TINY.hidden)],
    [`${arch}.feed_forward_length`, u32(TINY.feedForward)],
    [`${arch}.attention.head_count`, u32(TINY.heads)],
    [`${arch}.attention.head_count_kv`, u32(TINY.keyValueHeads)],
    [`${arch}.attention.layer_norm_rms_epsilon`, f32(1e-5)],
    [`${arch}.rope.freq_base`, f32(10000)],
    ['tokenizer.ggml.model', text('gpt2')],
    ['tokenizer.ggml.pre', text('gpt-2')],
    ['tokenizer.ggml.tokens', list('string', tokens)],
    ['tokenizer.ggml.token_type', list('int32', tokens.map((_, i) => i < 3 ? 3 : 1))],
    ['tokenizer.ggml.merges', list('string', [])],
    ['tokenizer.ggml.bos_token_id', u32(1)],
    ['tokenizer.ggml.eos_token_id', u32(2)]
  ]
  const added = new Set(more.metadata?.map(([key]) => key))
  return {
    metadata: [...metadata.filter(([key]) => !added.has(key)), ...more.metadata ?? []],
    tensors: [
      ...shapes(layer => `blk.${layer}.`, names).map(([name, shape], i) => ({
        name, type: 0, shape, data: bytesOf(floats(shape.reduce((a, b) => a * b, 1), i + 1))
      })),
      ...more.tensors ?? []
    ]
  }
}

export function tinyGgufBytes (more?: Parameters<typeof tinyGguf>[0]): Uint8Array {
  return writeGguf(tinyGguf(more))
}
