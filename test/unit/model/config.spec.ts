import { expect } from 'chai'
import { configFromJson } from '../../../src/model/config/index.ts'
import { ModelFileError, UnsupportedModelError } from '../../../src/model/index.ts'
import { tinyConfig } from '../../support/tiny-models.ts'

const read = (more: Record<string, unknown>) => configFromJson(tinyConfig(more), 'config.json')
const qwen = (model: 'qwen2' | 'qwen3', more: Record<string, unknown> = {}) => read({
  model_type: model, architectures: [model === 'qwen2' ? 'Qwen2ForCausalLM' : 'Qwen3ForCausalLM'], ...more
})
const mistral = (more: Record<string, unknown> = {}) => read({ model_type: 'mistral', architectures: ['MistralForCausalLM'], ...more })

function broken (more: Record<string, unknown>, field: string, reason = ''): void {
  expect(() => read(more)).to.throw(ModelFileError, reason).with.property('field', field)
}

function unsupported (more: Record<string, unknown>, field: string, reason = ''): void {
  expect(() => read(more)).to.throw(UnsupportedModelError, reason).with.property('field', field)
}

describe('config.json', function () {
  it('refuses unknown architectures by their name', function () {
    unsupported({ model_type: 'gpt_neox' }, 'model_type', '"gpt_neox" is not supported, only llama, mistral, qwen2, qwen3')
    unsupported({ architectures: ['LlamaForSequenceClassification'] }, 'architectures', 'does not include LlamaForCausalLM')
    broken({ model_type: null }, 'model_type')
  })

  it('refuses variants that would give wrong results', function () {
    unsupported({ hidden_act: 'gelu' }, 'hidden_act', '"gelu" is not supported')
    unsupported({ mlp_bias: true }, 'mlp_bias')
    unsupported({ quantization_config: { quant_method: 'gptq' } }, 'quantization_config')
    unsupported({ partial_rotary_factor: 0.5 }, 'partial_rotary_factor')
    unsupported({ rope_parameters: { rope_type: 'default', partial_rotary_factor: 0.5 } }, 'rope_parameters.partial_rotary_factor')
  })

  it('refuses unknown RoPE types by their name, in all styles', function () {
    unsupported({ rope_scaling: { type: 'dynamic', factor: 2 } }, 'rope_scaling.type', '"dynamic"')
    unsupported({ rope_scaling: { rope_type: 'yarn', factor: 2 } }, 'rope_scaling.rope_type', '"yarn"')
    unsupported({ rope_parameters: { rope_type: 'longrope' } }, 'rope_parameters.rope_type', '"longrope"')
    unsupported({ rope_parameters: { full_attention: { rope_type: 'default' } } }, 'rope_parameters', 'different layers')
  })

  it('refuses fields that are missing or of another type', function () {
    for (const field of ['num_hidden_layers', 'hidden_size', 'intermediate_size', 'num_attention_heads', 'vocab_size', 'max_position_embeddings']) {
      broken({ [field]: undefined }, field, 'nothing is not a positive integer')
      broken({ [field]: '12' }, field, '"12"')
      broken({ [field]: 1.5 }, field)
      broken({ [field]: 0 }, field)
    }
    broken({ rms_norm_eps: 'small' }, 'rms_norm_eps')
    broken({ tie_word_embeddings: 1 }, 'tie_word_embeddings')
    broken({ rope_scaling: 'linear' }, 'rope_scaling')
    broken({ rope_scaling: { type: 'linear' } }, 'rope_scaling.factor')
    broken({ rope_scaling: { rope_type: 'llama3', factor: 8, low_freq_factor: 1, high_freq_factor: 4 } }, 'rope_scaling.original_max_position_embeddings')
  })

  it('refuses sizes that the engine cannot compute, before it reserves anything', function () {
    unsupported({ num_hidden_layers: 1e12 }, 'layerCount')
    unsupported({ vocab_size: 1e12 }, 'vocabularySize')
    unsupported({ num_attention_heads: 4, num_key_value_heads: 3, head_dim: 16 }, 'keyValueHeadCount', 'evenly')
    unsupported({ hidden_size: 48, head_dim: 16 }, 'hiddenSize', 'multiple of 32')
    unsupported({ head_dim: 80 }, 'headSize', 'multiple of 32')
    unsupported({ intermediate_size: 100 }, 'feedForwardSize', 'multiple of 32')
    unsupported({ rope_theta: -1 }, 'ropeTheta')
  })

  it('reads the style of transformers 4', function () {
    const { architecture, attentionBias } = read({ head_dim: null, rope_scaling: null, tie_word_embeddings: undefined })
    expect(attentionBias).to.equal('none')
    expect(architecture).to.deep.equal({
      family: 'llama',
      layerCount: 2,
      hiddenSize: 32,
      feedForwardSize: 64,
      headCount: 2,
      keyValueHeadCount: 1,
      headSize: 16,
      vocabularySize: 40,
      contextLength: 128,
      normEpsilon: 1e-5,
      ropeTheta: 10000,
      ropeScaling: null,
      queryKeyNorm: false,
      slidingWindows: [null, null],
      tiedEmbedding: false
    })
  })

  it('gives missing fields the defaults of transformers', function () {
    const { architecture } = read({ rope_theta: undefined, rms_norm_eps: undefined, num_key_value_heads: undefined, hidden_act: undefined })
    expect(architecture).to.include({ ropeTheta: 10000, normEpsilon: 1e-6, keyValueHeadCount: 2 })
    expect(qwen('qwen3').architecture.headSize).to.equal(128)
    expect(qwen('qwen2').architecture.headSize).to.equal(16)
  })

  it('reads the style of transformers 5, whose rope_parameters win', function () {
    const { architecture } = read({ rope_theta: 1, rope_parameters: { rope_theta: 500000, rope_type: 'default' } })
    expect(architecture).to.include({ ropeTheta: 500000, ropeScaling: null })
  })

  it('reads linear and llama3 scaling in both styles', function () {
    const llama3 = { factor: 8, low_freq_factor: 1, high_freq_factor: 4, original_max_position_embeddings: 64 }
    const expected = { kind: 'llama3', factor: 8, lowFrequencyFactor: 1, highFrequencyFactor: 4, originalContextLength: 64 }
    expect(read({ rope_scaling: { type: 'linear', factor: 2 } }).architecture.ropeScaling).to.deep.equal({ kind: 'linear', factor: 2 })
    expect(read({ rope_scaling: { rope_type: 'llama3', ...llama3 } }).architecture.ropeScaling).to.deep.equal(expected)
    expect(read({ rope_parameters: { rope_type: 'llama3', rope_theta: 10000, ...llama3 } }).architecture.ropeScaling).to.deep.equal(expected)
  })

  it('knows which biases an architecture has', function () {
    expect(read({ attention_bias: true }).attentionBias).to.equal('all')
    expect(mistral({ attention_bias: true }).attentionBias).to.equal('none')
    expect(qwen('qwen2').attentionBias).to.equal('queryKeyValue')
    expect(qwen('qwen3').attentionBias).to.equal('none')
    expect(qwen('qwen3', { attention_bias: true })).to.have.property('attentionBias', 'all')
    expect(qwen('qwen3').architecture.queryKeyNorm).to.equal(true)
  })

  describe('sliding windows', function () {
    it('refuses contradictions', function () {
      expect(() => qwen('qwen2', { layer_types: ['full_attention'] })).to.throw(ModelFileError, 'list of 2')
      expect(() => qwen('qwen2', { layer_types: ['full_attention', 'linear_attention'] })).to.throw(UnsupportedModelError, 'linear_attention')
      expect(() => qwen('qwen2', { layer_types: ['full_attention', 'sliding_attention'] })).to.throw(ModelFileError, 'no sliding window')
      expect(() => mistral({ layer_types: ['full_attention', 'sliding_attention'], sliding_window: 8 })).to.throw(UnsupportedModelError, 'mixes')
      expect(() => mistral({ sliding_window: 0 })).to.throw(ModelFileError)
    })

    it('has them in all layers of Mistral, unless null or wider than the context', function () {
      expect(mistral({ sliding_window: 8 }).architecture.slidingWindows).to.deep.equal([8, 8])
      expect(mistral({ sliding_window: null }).architecture.slidingWindows).to.deep.equal([null, null])
      expect(mistral({}).architecture.slidingWindows).to.deep.equal([null, null])
      expect(mistral({ max_position_embeddings: 8192 }).architecture.slidingWindows).to.deep.equal([4096, 4096])
    })

    it('has none in Llama', function () {
      expect(read({ sliding_window: 8 }).architecture.slidingWindows).to.deep.equal([null, null])
    })

    it('has them in the layers of Qwen that the config names', function () {
      const windows = (more: Record<string, unknown>) => qwen('qwen2', { sliding_window: 8, ...more }).architecture.slidingWindows
      expect(windows({ use_sliding_window: false })).to.deep.equal([null, null])
      expect(windows({ use_sliding_window: true, max_window_layers: 1 })).to.deep.equal([null, 8])
      expect(windows({ use_sliding_window: true, max_window_layers: 0 })).to.deep.equal([8, 8])
      expect(windows({ use_sliding_window: true })).to.deep.equal([null, null])
      expect(windows({ use_sliding_window: true, layer_types: ['sliding_attention', 'full_attention'] })).to.deep.equal([8, null])
    })
  })
})
