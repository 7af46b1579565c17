import { expect } from 'chai'
import fc from 'fast-check'
import {
  createTokenizerFromFiles, createTokenizerFromGguf, TokenizerFormatError, UnsupportedTokenizerError
} from '../../../src/model/tokenizer/index.ts'
import { byteLevelJson, byteLevelMetadata, markedJson, sentencePieceMetadata } from '../../support/tokenizer-samples.ts'

type Failure = typeof TokenizerFormatError | typeof UnsupportedTokenizerError

/** Sets a value deep inside; `undefined` deletes. */
function set (json: any, path: Array<string | number>, value: unknown): unknown {
  const last = path[path.length - 1]
  const parent = path.slice(0, -1).reduce((node, key) => node[key], json)
  if (value === undefined) delete parent[last]
  else parent[last] = value
  return json
}

const ofJson: Array<[path: Array<string | number>, value: unknown, failure: Failure, field: string]> = [
  [['model'], undefined, TokenizerFormatError, 'tokenizer.json: model'],
  [['model', 'type'], 'WordPiece', UnsupportedTokenizerError, 'tokenizer.json: model.type'],
  [['model', 'dropout'], 0.1, UnsupportedTokenizerError, 'tokenizer.json: model.dropout'],
  [['model', 'end_of_word_suffix'], '</w>', UnsupportedTokenizerError, 'tokenizer.json: model.end_of_word_suffix'],
  [['model', 'ignore_merges'], 'yes', TokenizerFormatError, 'tokenizer.json: model.ignore_merges'],
  [['model', 'vocab'], {}, TokenizerFormatError, 'tokenizer.json: model.vocab'],
  [['model', 'vocab', 'he'], -1, TokenizerFormatError, 'tokenizer.json: model.vocab["he"]'],
  [['model', 'vocab', 'he'], 2_000_000, TokenizerFormatError, 'tokenizer.json: model.vocab["he"]'],
  [['model', 'vocab', 'he'], 1, TokenizerFormatError, 'tokenizer.json: model.vocab'],
  [['model', 'merges'], undefined, TokenizerFormatError, 'tokenizer.json: model.merges'],
  [['model', 'merges', 1], 'l', TokenizerFormatError, 'tokenizer.json: model.merges[1]'],
  [['model', 'merges', 1], ['l'], TokenizerFormatError, 'tokenizer.json: model.merges[1]'],
  [['model', 'merges', 1], 'l missing', TokenizerFormatError, 'tokenizer.json: model.merges[1]'],
  [['model', 'merges', 1], 'l x', TokenizerFormatError, 'tokenizer.json: model.merges[1]'],
  [['model', 'unk_token'], 'missing', TokenizerFormatError, 'tokenizer.json: model.unk_token'],
  [['added_tokens', 0, 'id'], 1.5, TokenizerFormatError, 'tokenizer.json: added_tokens[0].id'],
  [['added_tokens', 0, 'content'], 'x'.repeat(2000), TokenizerFormatError, 'tokenizer.json: added_tokens[0].content'],
  [['normalizer'], { type: 'Precompiled' }, UnsupportedTokenizerError, 'tokenizer.json: normalizer.type'],
  [['normalizer'], { type: 'Replace', pattern: {}, content: '' }, TokenizerFormatError, 'tokenizer.json: normalizer.pattern.String'],
  [['normalizer'], { type: 'Replace', pattern: { Regex: '(' }, content: '' }, TokenizerFormatError, 'normalizer.pattern'],
  [['pre_tokenizer'], { type: 'Sequence', pretokenizers: [{ type: 'Split', pattern: { Regex: '[' }, behavior: 'Isolated' }, { type: 'ByteLevel' }] },
    TokenizerFormatError, 'pre_tokenizer.pattern'],
  [['pre_tokenizer'], null, UnsupportedTokenizerError, 'tokenizer.json: decoder'],
  [['decoder'], null, UnsupportedTokenizerError, 'tokenizer.json: decoder'],
  [['decoder'], { type: 'WordPiece' }, UnsupportedTokenizerError, 'tokenizer.json: decoder.type'],
  [['post_processor'], { type: 'Odd' }, UnsupportedTokenizerError, 'tokenizer.json: post_processor.type'],
  [['post_processor'], { type: 'TemplateProcessing', single: [] }, TokenizerFormatError, 'tokenizer.json: post_processor.single'],
  [['post_processor'], { type: 'TemplateProcessing', single: [{ SpecialToken: { id: 'toString' } }], special_tokens: {} },
    TokenizerFormatError, 'tokenizer.json: post_processor.special_tokens["toString"]']
]

const ofMetadata: Array<[key: string, value: unknown, failure: Failure, field: string]> = [
  ['model', 'bert', UnsupportedTokenizerError, 'tokenizer.ggml.model'],
  ['model', undefined, TokenizerFormatError, 'tokenizer.ggml.model'],
  ['pre', 'made-up', UnsupportedTokenizerError, 'tokenizer.ggml.pre'],
  ['pre', '__proto__', UnsupportedTokenizerError, 'tokenizer.ggml.pre'],
  ['tokens', undefined, TokenizerFormatError, 'tokenizer.ggml.tokens'],
  ['tokens', [], TokenizerFormatError, 'tokenizer.ggml.tokens'],
  ['tokens', ['a', 1], TokenizerFormatError, 'tokenizer.ggml.token_type'],
  ['tokens', new Array(2_000_001), TokenizerFormatError, 'tokenizer.ggml.tokens'],
  ['token_type', [1], TokenizerFormatError, 'tokenizer.ggml.token_type'],
  ['merges', ['ab'], TokenizerFormatError, 'tokenizer.ggml.merges[0]'],
  ['merges', [1], TokenizerFormatError, 'tokenizer.ggml.merges[0]'],
  ['merges', undefined, TokenizerFormatError, 'tokenizer.ggml.merges'],
  ['eos_token_id', 1000, TokenizerFormatError, 'tokenizer.ggml.eos_token_id'],
  ['bos_token_id', -1n, TokenizerFormatError, 'tokenizer.ggml.bos_token_id'],
  ['add_bos_token', 1, TokenizerFormatError, 'tokenizer.ggml.add_bos_token'],
  ['add_bos_token', true, TokenizerFormatError, 'tokenizer.ggml.add_bos_token']
]

describe('tokenizer: malformed and unsupported data', () => {
  for (const [path, value, failure, field] of ofJson) {
    it(`refuses tokenizer.json with ${path.join('.')} = ${JSON.stringify(value)?.slice(0, 60)}`, () => {
      expect(() => createTokenizerFromFiles({ tokenizerJson: set(byteLevelJson(), path, value) }))
        .to.throw(failure).with.property('field', field)
    })
  }

  for (const [key, value, failure, field] of ofMetadata) {
    const shown = Array.isArray(value) ? `${value.length} elements` : String(value)
    it(`refuses GGUF metadata with ${key} = ${shown}`, () => {
      const metadata = byteLevelMetadata()
      if (value === undefined) metadata.delete(`tokenizer.ggml.${key}`)
      else metadata.set(`tokenizer.ggml.${key}`, value)
      expect(() => createTokenizerFromGguf(metadata)).to.throw(failure).with.property('field', field)
    })
  }

  it('refuses a tokenizer.json that is no object, and sequences without end', () => {
    for (const tokenizerJson of [null, undefined, 1, 'x', []]) {
      expect(() => createTokenizerFromFiles({ tokenizerJson })).to.throw(TokenizerFormatError, 'tokenizer.json')
    }
    let nested: unknown = { type: 'NFC' }
    for (let i = 0; i < 100; i++) nested = { type: 'Sequence', normalizers: [nested] }
    expect(() => createTokenizerFromFiles({ tokenizerJson: { ...byteLevelJson(), normalizer: nested } })).to.throw(TokenizerFormatError, 'nested')
  })

  it('refuses scores that are missing, too few or no numbers, and byte tokens without a byte', () => {
    const refused = (key: string, value: unknown): Chai.Assertion => {
      const metadata = sentencePieceMetadata([['a', -1]])
      metadata.set(key, value)
      return expect(() => createTokenizerFromGguf(metadata)).to.throw(TokenizerFormatError, key)
    }
    const { length } = sentencePieceMetadata([['a', -1]]).get('tokenizer.ggml.tokens') as string[]
    refused('tokenizer.ggml.scores', undefined)
    refused('tokenizer.ggml.scores', [0])
    refused('tokenizer.ggml.scores', new Float32Array(length).fill(NaN))
    refused('tokenizer.ggml.scores', new Array(length).fill('0'))
    refused('tokenizer.ggml.tokens', new Array(length).fill('<0xZZ>'))
  })

  it('ends in a tokenizer that works or in a typed error, whatever is put where', () => {
    const junk = fc.oneof(
      fc.constantFrom(null, undefined, true, -1, 0, 1, 2_000_000, 1.5, NaN, '', 'x', '<s>', 'Sequence', 'BPE', 'NFC', '__proto__', [], {}, [[]], 10n),
      fc.jsonValue({ maxDepth: 2 })
    )
    const steps = fc.array(fc.nat(400), { minLength: 1, maxLength: 5 })
    fc.assert(fc.property(fc.nat(3), steps, junk, (which, picks, value) => {
      const samples = [byteLevelJson(), markedJson(), byteLevelMetadata(), sentencePieceMetadata([['▁', -1], ['a', -2], ['▁a', -3]])]
      const sample = samples[which]
      mutate(sample, picks, value)
      try {
        const { tokenizer, canonical } = sample instanceof Map
          ? createTokenizerFromGguf(sample)
          : createTokenizerFromFiles({ tokenizerJson: sample, tokenizerConfig: sample })
        const ids = tokenizer.encode('hello <s>é\n')
        for (const id of ids) expect(id >= 0 && id < tokenizer.vocabularySize).to.equal(true)
        expect(tokenizer.decode(ids)).to.be.a('string')
        expect(canonical.length).to.be.greaterThan(0)
      } catch (error) {
        if (!(error instanceof TokenizerFormatError) && !(error instanceof UnsupportedTokenizerError)) throw error
      }
    }), { seed: 10, numRuns: 2000 })
  })
})

/** Walks down by the picks as far as there are containers and replaces what is there. */
function mutate (sample: any, picks: readonly number[], value: unknown): void {
  let node = sample
  picks.forEach((pick, i) => {
    const keys = node instanceof Map ? [...node.keys()] : Object.keys(node)
    if (keys.length === 0) return
    const key = keys[pick % keys.length]
    const child = node instanceof Map ? node.get(key) : node[key]
    const deeper = typeof child === 'object' && child !== null && i < picks.length - 1
    if (deeper) node = child
    else if (node instanceof Map) node.set(key, value)
    else if (!ArrayBuffer.isView(node)) node[key] = value
  })
}
