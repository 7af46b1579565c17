import { readFileSync } from 'node:fs'
import { Tokenizer as LibraryTokenizer } from '@huggingface/tokenizers'
import { expect } from 'chai'
import fc from 'fast-check'
import { createTokenizerFromFiles, createTokenizerFromGguf } from '../../../src/model/tokenizer/index.ts'
import type { Tokenizer } from '../../../src/model/types.ts'
import { byteLevelJson, byteToken, markedJson, sentencePieceMetadata } from '../../support/tokenizer-samples.ts'

/** any: plain data of a file */
const readJson = (path: string): any => JSON.parse(readFileSync(new URL(`../../../${path}`, import.meta.url), 'utf8'))

const sotuJson = readJson('models/sotu-4m/tokenizer.json')
const sotuConfig = readJson('models/sotu-4m/tokenizer_config.json')

function streamed (tokenizer: Tokenizer, ids: readonly number[], options?: { skipSpecialTokens?: boolean }): string[] {
  const stream = tokenizer.createTextStream(options)
  return [...ids.map(id => stream.push(id)), stream.flush()]
}

/** any: the library's declarations do not resolve */
const samples: Array<[name: string, Tokenizer, library: any]> = [
  ['byte-level BPE', createTokenizerFromFiles({ tokenizerJson: sotuJson, tokenizerConfig: sotuConfig }).tokenizer, new LibraryTokenizer(sotuJson, sotuConfig)],
  ['byte-level BPE with added tokens', createTokenizerFromFiles({ tokenizerJson: byteLevelJson() }).tokenizer, new LibraryTokenizer(byteLevelJson(), {})],
  ['BPE with byte fall-back', createTokenizerFromFiles({ tokenizerJson: markedJson() }).tokenizer, new LibraryTokenizer(markedJson(), {})],
  ['SentencePiece of GGUF', createTokenizerFromGguf(sentencePieceMetadata([['▁', -1], ['a', -2], ['▁a', -3], ['日', -4], ['日本', -5], ['▁▁', -6]])).tokenizer, undefined]
]

describe('tokenizer: decoding step by step', () => {
  it('decodes nothing, and ids that are none, as nothing', () => {
    for (const [, tokenizer] of samples) {
      expect(tokenizer.decode([])).to.equal('')
      expect(tokenizer.decode([-1, tokenizer.vocabularySize, 1e9, 0.5, NaN])).to.equal('')
      expect(streamed(tokenizer, [-1, NaN])).to.deep.equal(['', '', ''])
    }
  })

  it('turns what is broken at the end into U+FFFD on flush, and not before', () => {
    const [, tokenizer] = samples[1]
    expect(streamed(tokenizer, [0xe6, 0x97])).to.deep.equal(['', '', '\ufffd'])
    expect(streamed(tokenizer, [0xe6, 0x97, 0x61])).to.deep.equal(['', '', '\ufffda', ''])
    expect(streamed(tokenizer, [0xf0, 0x9f, 0x98, 0x80])).to.deep.equal(['', '', '', '😀', ''])
  })

  it('keeps a byte order mark', () => {
    const [, tokenizer] = samples[1]
    expect(streamed(tokenizer, [0xef, 0xbb, 0xbf, 0x61]).join('')).to.equal('\ufeffa')
    expect(tokenizer.decode([0xef, 0xbb, 0xbf, 0x61])).to.equal('\ufeffa')
  })

  it('takes the space off the start that encoding put there, and only that one', () => {
    const [, tokenizer] = samples[2]
    expect(streamed(tokenizer, [1, 259, 259, 260])).to.deep.equal(['', '', ' ', 'a', ''])
    expect(streamed(tokenizer, [263, 263])).to.deep.equal(['a', ' a', ''])
    // a space that comes as a byte
    expect(streamed(tokenizer, [3 + 0x20, 260])).to.deep.equal(['', 'a', ''])
  })

  for (const [name, tokenizer] of samples) {
    const id = fc.oneof({ weight: 9, arbitrary: fc.nat(tokenizer.vocabularySize - 1) }, { weight: 3, arbitrary: fc.integer({ min: 0, max: 270 }) }, fc.constant(tokenizer.vocabularySize))
    const ids = fc.array(id, { maxLength: 60 })

    it(`gives the same as decoding at once: ${name}`, () => {
      fc.assert(fc.property(ids, fc.boolean(), (list, skipSpecialTokens) => {
        expect(streamed(tokenizer, list, { skipSpecialTokens }).join('')).to.equal(tokenizer.decode(list, { skipSpecialTokens }))
      }), { seed: 4, numRuns: 2000 })
    })

    it(`emits whole characters only, and brings any text back: ${name}`, () => {
      const text = fc.string({ unit: 'grapheme', maxLength: 40 }).filter(value => !value.includes('\ufffd'))
      fc.assert(fc.property(text, value => {
        const list = tokenizer.encode(value, { parseSpecialTokens: false })
        const parts = streamed(tokenizer, list)
        for (const part of parts) expect(part.isWellFormed() && !part.includes('\ufffd')).to.equal(true)
        expect(parts.join('')).to.equal(value)
        expect(tokenizer.decode(list)).to.equal(value)
      }), { seed: 5, numRuns: 1000 })
    })
  }

  for (const [name, tokenizer, library] of samples.filter(([, , library]) => library !== undefined)) {
    it(`decodes as @huggingface/tokenizers does: ${name}`, () => {
      const ids = fc.array(fc.nat(tokenizer.vocabularySize - 1), { minLength: 1, maxLength: 40 })
      fc.assert(fc.property(ids, fc.boolean(), (list, skip) => {
        const expected = library.decode(list, { skip_special_tokens: skip, clean_up_tokenization_spaces: false })
        expect(tokenizer.decode(list, { skipSpecialTokens: skip })).to.equal(expected)
      }), { seed: 6, numRuns: 1000 })
    })
  }

  it('writes special tokens out where asked to', () => {
    const [, tokenizer] = samples[1]
    const end = tokenizer.tokenToId('<|end|>') as number
    expect(tokenizer.decode([0x61, end, 0x62])).to.equal('ab')
    expect(tokenizer.decode([0x61, end, 0x62], { skipSpecialTokens: false })).to.equal('a<|end|>b')
    expect(tokenizer.decode([end + 1])).to.equal('[USER]')
  })

  it('leaves characters outside the byte alphabet as they are', () => {
    const json = byteLevelJson()
    json.model.vocab['日 a'] = 400
    const { tokenizer } = createTokenizerFromFiles({ tokenizerJson: json })
    expect(tokenizer.decode([0x61, 400])).to.equal('a日 a')
    expect(tokenizer.decode([399])).to.equal('')
  })

  it('has the bytes of byte tokens by their names', () => {
    const { tokenizer } = createTokenizerFromFiles({ tokenizerJson: markedJson() })
    expect(tokenizer.tokenToId(byteToken(0xe6))).to.equal(3 + 0xe6)
    expect(tokenizer.decode([0xe6, 0x97, 0xa5].map(byte => 3 + byte))).to.equal('日')
  })
})
