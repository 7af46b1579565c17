import { expect } from 'chai'
import { UnsupportedTokenizerError } from '../../../src/model/tokenizer/errors.ts'
import { GGUF_PRE_TOKENIZERS } from '../../../src/model/tokenizer/gguf-pre-tokenizers.ts'
import { createPreTokenizer } from '../../../src/model/tokenizer/pre-tokenizer.ts'
import { readPreTokenizer } from '../../../src/model/tokenizer/pre-tokenizer-json.ts'

const cut = (json: unknown, text: string, atStart = true): string[] =>
  createPreTokenizer(readPreTokenizer(json, 'pre_tokenizer').preTokenizer)(text, atStart)

const split = (behavior: string, more: object = {}): object => ({ type: 'Split', pattern: { String: '-' }, behavior, invert: false, ...more })

describe('tokenizer: pre-tokenizers', () => {
  it('names one that it does not know, and ByteLevel in the middle', () => {
    expect(() => cut({ type: 'UnicodeScripts' }, 'a')).to.throw(UnsupportedTokenizerError, 'UnicodeScripts')
    expect(() => cut({ type: 'Sequence', pretokenizers: [{ type: 'ByteLevel' }, { type: 'Digits' }] }, 'a'))
      .to.throw(UnsupportedTokenizerError, 'pretokenizers[0].type')
    expect(() => cut(split('Sideways'), 'a')).to.throw(UnsupportedTokenizerError, 'Sideways')
  })

  // The five cases are those of the documentation of the Rust crate.
  for (const [behavior, expected] of Object.entries({
    Removed: ['the', 'final', 'countdown'],
    Isolated: ['the', '-', 'final', '-', '-', 'countdown'],
    MergedWithPrevious: ['the-', 'final-', '-', 'countdown'],
    MergedWithNext: ['the', '-final', '-', '-countdown'],
    Contiguous: ['the', '-', 'final', '--', 'countdown']
  })) {
    it(`splits with behaviour ${behavior}`, () => {
      expect(cut(split(behavior), 'the-final--countdown')).to.deep.equal(expected)
    })
  }

  it('inverts: what the pattern matches is kept, the rest is the delimiter', () => {
    expect(cut({ type: 'Split', pattern: { Regex: '[a-z]+' }, behavior: 'Removed', invert: true }, 'ab1cd23e')).to.deep.equal(['ab', 'cd', 'e'])
  })

  it('survives a pattern that matches nothing at all places, by whole characters', () => {
    expect(cut({ type: 'Split', pattern: { Regex: 'x*' }, behavior: 'Isolated', invert: false }, 'a😀xxb').join('')).to.equal('a😀xxb')
  })

  it('takes all of Unicode\'s numbers for digits', () => {
    expect(cut({ type: 'Digits', individual_digits: true }, 'a4½b٣')).to.deep.equal(['a', '4', '½', 'b', '٣'])
    expect(cut({ type: 'Digits', individual_digits: false }, 'a4½b٣٣')).to.deep.equal(['a', '4½', 'b', '٣٣'])
  })

  it('isolates ASCII symbols and Unicode punctuation', () => {
    expect(cut({ type: 'Punctuation' }, 'a+b。。c')).to.deep.equal(['a', '+', 'b', '。', '。', 'c'])
  })

  it('knows white space as Unicode does: U+0085 is, U+FEFF is not', () => {
    const json = { type: 'ByteLevel', add_prefix_space: false, use_regex: true }
    expect(cut(json, 'a \ufeffb')).to.deep.equal(['a', ' \ufeff', 'b'])
    expect(cut(json, 'a!\u0085b')).to.deep.equal(['a', '!', '\u0085', 'b'])
  })

  it('puts a space before the text where ByteLevel asks for it', () => {
    expect(cut({ type: 'ByteLevel', add_prefix_space: true, use_regex: true }, 'a b')).to.deep.equal([' a', ' b'])
    expect(cut({ type: 'ByteLevel', add_prefix_space: true, use_regex: true }, ' a')).to.deep.equal([' a'])
  })

  it('marks words: always, at the start of the text only, never; split or whole', () => {
    const json = (scheme: string, split = true): object => ({ type: 'Metaspace', replacement: '▁', prepend_scheme: scheme, split })
    expect(cut(json('always'), 'a  b', false)).to.deep.equal(['▁a', '▁', '▁b'])
    expect(cut(json('first'), 'a b', true)).to.deep.equal(['▁a', '▁b'])
    expect(cut(json('first'), 'a b', false)).to.deep.equal(['a', '▁b'])
    expect(cut(json('never', false), 'a b')).to.deep.equal(['a▁b'])
    expect(cut({ type: 'Metaspace', replacement: '▁', add_prefix_space: false }, 'a')).to.deep.equal(['a'])
  })

  it('cuts by the patterns of GGUF names', () => {
    const by = (name: string, text: string): string[] => {
      const pre = GGUF_PRE_TOKENIZERS.get(name)
      if (pre === undefined) throw new Error(name)
      return createPreTokenizer(pre.preTokenizer)(text, true)
    }
    const text = "I'LL pay 12345, NeMo/x\n\n  ok"
    expect(by('gpt-2', text)).to.deep.equal(['I', "'", 'LL', ' pay', ' 12345', ',', ' NeMo', '/', 'x', '\n\n ', ' ok'])
    expect(by('smollm', text)).to.deep.equal(['I', "'", 'LL', ' pay', ' ', '1', '2', '3', '4', '5', ',', ' NeMo', '/', 'x', '\n\n ', ' ok'])
    expect(by('llama-bpe', text)).to.deep.equal(['I', "'LL", ' pay', ' ', '123', '45', ',', ' NeMo', '/x', '\n\n', ' ', ' ok'])
    expect(by('qwen2', text)).to.deep.equal(['I', "'LL", ' pay', ' ', '1', '2', '3', '4', '5', ',', ' NeMo', '/x', '\n\n', ' ', ' ok'])
    expect(by('tekken', text)).to.deep.equal(['I', "'LL", ' pay', ' ', '1', '2', '3', '4', '5', ',', ' Ne', 'Mo', '/x', '\n\n', ' ', ' ok'])
    expect(by('default', '<b> 12345')).to.deep.equal(['<', 'b', '>', ' ', '123', '45'])
  })
})
