import { expect } from 'chai'
import { ModelFileError } from '../../../src/model/index.ts'
import { generationDefaults } from '../../../src/model/open/generation.ts'

const tokenizer = { bosTokenId: 7, eosTokenIds: [8] }
const defaults = (generationJson: Record<string, unknown> | null, configJson: Record<string, unknown> | null = null) =>
  generationDefaults({ generationJson, configJson, tokenizer, file: 'f' })

describe('generation defaults', function () {
  it('refuses what is no token id or no number', function () {
    expect(() => defaults({ eos_token_id: 'x' })).to.throw(ModelFileError).with.property('field', 'eos_token_id')
    expect(() => defaults({ eos_token_id: [1, 1.5] })).to.throw(ModelFileError)
    expect(() => defaults({ eos_token_id: new Array(1000).fill(1) })).to.throw(ModelFileError)
    expect(() => defaults({ do_sample: true, temperature: 'hot' })).to.throw(ModelFileError).with.property('field', 'temperature')
    expect(() => defaults({ repetition_penalty: -1 })).to.throw(ModelFileError)
  })

  it('joins the stop tokens of all sources', function () {
    expect(defaults(null)).to.deep.equal({ stopTokenIds: [8], bosTokenId: 7 })
    expect(defaults({ eos_token_id: [12, 3] }, { eos_token_id: 3, bos_token_id: 4 })).to.deep.equal({ stopTokenIds: [3, 8, 12], bosTokenId: 4 })
    expect(defaults({ eos_token_id: -1, bos_token_id: 2 }, { bos_token_id: 4 })).to.deep.equal({ stopTokenIds: [8], bosTokenId: 2 })
  })

  it('takes sampling values only where the model is meant to be sampled', function () {
    const values = { temperature: 0.6, top_k: 20, top_p: 0.95, repetition_penalty: 1.1 }
    expect(defaults(values)).to.deep.equal({ stopTokenIds: [8], bosTokenId: 7, repetitionPenalty: 1.1 })
    expect(defaults({ ...values, do_sample: true })).to.deep.equal({
      stopTokenIds: [8], bosTokenId: 7, temperature: 0.6, topK: 20, topP: 0.95, repetitionPenalty: 1.1
    })
    expect(defaults({ do_sample: true, top_k: 0, top_p: null })).to.deep.equal({ stopTokenIds: [8], bosTokenId: 7 })
  })
})
