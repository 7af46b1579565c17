import { expect } from 'chai'
import fc from 'fast-check'
import { createTokenizerFromFiles, createTokenizerFromGguf } from '../../../src/model/tokenizer/index.ts'
import type { Tokenizer } from '../../../src/model/types.ts'
import { byteLevelJson, byteLevelMetadata, markedJson, sentencePieceMetadata, type Piece } from '../../support/tokenizer-samples.ts'

const fromJson = (json: unknown): Tokenizer => createTokenizerFromFiles({ tokenizerJson: json }).tokenizer
const plain = { addSpecialTokens: false, parseSpecialTokens: false }

describe('tokenizer: special and added tokens', () => {
  const tokenizer = fromJson(byteLevelJson())
  const end = tokenizer.tokenToId('<|end|>') as number
  const user = end + 1

  it('finds special tokens by default and leaves them as text where told to', () => {
    expect(tokenizer.encode('a<|end|>b')).to.deep.equal([0x61, end, 0x62])
    expect(tokenizer.encode('a<|end|>b', plain)).to.not.include(end)
    expect(tokenizer.decode(tokenizer.encode('a<|end|>b', plain))).to.equal('a<|end|>b')
  })

  it('finds added tokens that are not special in either case', () => {
    expect(tokenizer.encode('a[USER]', plain)).to.deep.equal([0x61, user])
  })

  it('cannot be talked into a special token, even where merges or whole words lead to one', () => {
    const json = byteLevelJson([['E', 'O'], ['EO', 'T'], ['Ġ', 'EOT']])
    const id = json.model.vocab.EOT
    json.added_tokens.push({ id, content: 'EOT', special: true, normalized: false })
    for (const ignoreMerges of [false, true]) {
      json.model.ignore_merges = ignoreMerges
      const tokenizer = fromJson(json)
      expect(tokenizer.encode('EOT')).to.deep.equal([id])
      expect(tokenizer.encode('EOT', plain)).to.deep.equal([json.model.vocab.EO, 0x54])
    }
    const text = fc.array(fc.constantFrom('<|', 'end', '|>', '<|end|>', 'E', 'O', 'T', 'EOT', ' ')).map(parts => parts.join(''))
    fc.assert(fc.property(text, value => {
      const ids = fromJson(json).encode(value, plain)
      expect(ids).to.not.include(id)
      expect(ids).to.not.include(fromJson(json).tokenToId('<|end|>'))
    }), { seed: 7, numRuns: 200 })
  })

  it('takes the longest of the tokens that start at a place', () => {
    const json = byteLevelJson()
    const add = (id: number, content: string): unknown => json.added_tokens.push({ id, content, special: true, normalized: false })
    add(300, '<|e')
    add(301, '<|end|>2')
    expect(fromJson(json).encode('<|end|>2<|end|><|e')).to.deep.equal([301, end, 300])
  })

  it('honours single_word, lstrip and rstrip', () => {
    const json = byteLevelJson()
    json.added_tokens.push(
      { id: 300, content: 'ab', special: true, single_word: true },
      { id: 301, content: '[L]', special: true, lstrip: true },
      { id: 302, content: '[R]', special: true, rstrip: true }
    )
    const tokenizer = fromJson(json)
    expect(tokenizer.encode('ab,xab')).to.deep.equal([300, 0x2c, 0x78, 0x61, 0x62])
    expect(tokenizer.encode('éab ab')).to.deep.equal([0xc3, 0xa9, 0x61, 0x62, 0x20, 300])
    expect(tokenizer.encode('x \n[L] y')).to.deep.equal([0x78, 301, 0x20, 0x79])
    expect(tokenizer.encode('x [R] \ny')).to.deep.equal([0x78, 0x20, 302, 0x79])
  })

  it('looks for normalized ones in normalised text', () => {
    const json = byteLevelJson()
    json.normalizer = { type: 'Lowercase' }
    json.added_tokens.push({ id: 300, content: '[Mixed]', special: false, normalized: true })
    expect(fromJson(json).encode('A[MIXED]<|END|>').slice(0, 2)).to.deep.equal([0x61, 300])
    expect(fromJson(json).encode('<|END|>')).to.not.include(end)
  })

  it('adds bos of a template only where special tokens are added', () => {
    const tokenizer = fromJson(markedJson())
    expect(tokenizer.encode('a')).to.deep.equal([1, 263])
    expect(tokenizer.encode('a', { addSpecialTokens: false })).to.deep.equal([263])
    expect(tokenizer.encode('')).to.deep.equal([1])
    expect(tokenizer.encode('', { addSpecialTokens: false })).to.deep.equal([])
  })
})

describe('tokenizer: BPE', () => {
  it('joins by rank and looks ids of bytes up', () => {
    const json = byteLevelJson()
    expect(fromJson(json).encode('hello wé')).to.deep.equal([json.model.vocab.hello, json.model.vocab['Ġw'], 0xc3, 0xa9])
  })

  it('takes a whole word before merges where ignore_merges says so', () => {
    const json = byteLevelJson([['a', 'b'], ['c', 'd']])
    json.model.vocab.abc = 400
    expect(fromJson(json).encode('abc')).to.deep.equal([json.model.vocab.ab, 0x63])
    json.model.ignore_merges = true
    expect(fromJson(json).encode('abc')).to.deep.equal([400])
  })

  it('reads merges as pairs as well as strings', () => {
    const json = byteLevelJson()
    const before = fromJson(json).encode('hello wow')
    json.model.merges = json.model.merges.map((merge: string) => merge.split(' '))
    expect(fromJson(json).encode('hello wow')).to.deep.equal(before)
  })

  it('falls back to bytes, then to one unknown token for neighbours', () => {
    const json = markedJson()
    expect(fromJson(json).encode('aé', { addSpecialTokens: false })).to.deep.equal([263, 3 + 0xc3, 3 + 0xa9])
    json.model.byte_fallback = false
    expect(fromJson(json).encode('aéüc', { addSpecialTokens: false })).to.deep.equal([263, 0, 262])
    json.model.fuse_unk = false
    expect(fromJson(json).encode('aéüc', { addSpecialTokens: false })).to.deep.equal([263, 0, 0, 262])
  })

  it('replaces lone surrogates rather than failing', () => {
    expect(fromJson(byteLevelJson()).encode('\ud83d')).to.deep.equal([0xef, 0xbf, 0xbd])
    expect(fromJson(markedJson()).encode('\ude00', plain)).to.deep.equal([259, 3 + 0xef, 3 + 0xbf, 3 + 0xbd])
  })

  it('gives the same from GGUF metadata as from tokenizer.json', () => {
    const gguf = createTokenizerFromGguf(byteLevelMetadata()).tokenizer
    const json = fromJson(byteLevelJson())
    fc.assert(fc.property(fc.array(fc.constantFrom('he', 'l', 'lo', ' w', 'é', '<|end|>', '[USER]', '12', '\n')).map(parts => parts.join('')), text => {
      expect(gguf.encode(text)).to.deep.equal(json.encode(text))
      expect(gguf.encode(text, plain)).to.deep.equal(json.encode(text, plain))
    }), { seed: 8 })
  })
})

describe('tokenizer: SentencePiece', () => {
  const make = (pieces: readonly Piece[], more: Array<[string, unknown]> = []): Tokenizer =>
    createTokenizerFromGguf(new Map([...sentencePieceMetadata(pieces), ...more.map(([key, value]) => [`tokenizer.ggml.${key}`, value] as const)])).tokenizer
  const bare = { addSpecialTokens: false }
  const noPrefix: Array<[string, unknown]> = [['add_space_prefix', false]]

  it('joins the highest score first, not the longest', () => {
    const pieces: Piece[] = [['a', -10], ['b', -10], ['c', -10], ['ab', -2], ['bc', -1], ['abc', -3]]
    expect(make(pieces, noPrefix).encode('abc', bare)).to.deep.equal([264])
    expect(make(pieces.slice(0, 5), noPrefix).encode('abc', bare)).to.deep.equal([259, 263])
  })

  it('joins the leftmost of equal scores', () => {
    expect(make([['a', -10], ['aa', -1]], noPrefix).encode('aaa', bare)).to.deep.equal([260, 259])
  })

  it('puts a space before the text and after a special token, or not at all', () => {
    const pieces: Piece[] = [['▁', -5], ['a', -10], ['▁a', -1]]
    expect(make(pieces).encode('a a')).to.deep.equal([1, 261, 261])
    expect(make(pieces).encode('a</s>a', bare)).to.deep.equal([261, 2, 261])
    expect(make(pieces, noPrefix).encode('a a', bare)).to.deep.equal([260, 261])
    expect(make(pieces).encode('', bare)).to.deep.equal([])
  })

  it('obeys add_bos_token and add_eos_token', () => {
    const pieces: Piece[] = [['▁a', -1]]
    expect(make([['▁', -5], ['a', -5], ...pieces], [['add_bos_token', false], ['add_eos_token', true]]).encode('a')).to.deep.equal([261, 2])
  })

  it('falls back to bytes, or to the unknown token where bytes are missing', () => {
    const metadata = sentencePieceMetadata([['▁', -5]])
    expect(createTokenizerFromGguf(metadata).tokenizer.encode('é', bare)).to.deep.equal([259, 3 + 0xc3, 3 + 0xa9])
    const types = metadata.get('tokenizer.ggml.token_type') as Int32Array
    types[3 + 0xa9] = 5
    expect(createTokenizerFromGguf(metadata).tokenizer.encode('é', bare)).to.deep.equal([259, 0])
  })

  it('joins through unknown characters', () => {
    // neither x nor y is a piece by itself
    expect(make([['xy', -1], ['xyxy', -2]], noPrefix).encode('xyxyx', bare)).to.deep.equal([260, 3 + 0x78])
  })

  it('goes through unused pieces and takes them apart again', () => {
    const pieces: Piece[] = [['a', -10], ['b', -10], ['c', -10], ['ab', -1, 5], ['abc', -2]]
    expect(make(pieces, noPrefix).encode('abc', bare)).to.deep.equal([263])
    expect(make(pieces, noPrefix).encode('abb', bare)).to.deep.equal([259, 260, 260])
  })

  it('does not make control or byte tokens out of text', () => {
    const pieces: Piece[] = [['<', -1], ['s', -1], ['>', -1], ['<s', -1], ['0', -1], ['x', -1], ['<0', -1], ['<0x', -1], ['<0x0', -1], ['<0x00', -1]]
    const tokenizer = make(pieces, noPrefix)
    expect(tokenizer.encode('<s>', plain)).to.deep.equal([262, 261])
    expect(tokenizer.encode('<s>', bare)).to.deep.equal([1])
    expect(tokenizer.encode('<0x00>', bare)).to.deep.equal([268, 261])
  })

  it('finds user-defined pieces first', () => {
    expect(make([['▁', -1], ['a', -1], ['b', -1], ['ab', -1], ['ba', -9, 4]], noPrefix).encode('aba', bare)).to.deep.equal([260, 263])
  })

  it('cuts at spaces without changing anything', () => {
    const pieces: Piece[] = [['▁', -9], ['a', -8], ['b', -7], ['▁a', -3], ['ab', -2], ['▁▁', -1], ['▁ab', -4], ['▁▁a', -5]]
    const cutting = make(pieces)
    // A piece with a space inside forbids cutting; this one cannot be reached.
    const whole = make([...pieces, ['z▁z', -20]])
    fc.assert(fc.property(fc.string({ unit: fc.constantFrom('a', 'b', ' ', ' ', 'é'), maxLength: 40 }), text => {
      expect(cutting.encode(text)).to.deep.equal(whole.encode(text))
    }), { seed: 9, numRuns: 1000 })
  })

  it('cuts where words are marked but not split, too', () => {
    const json = markedJson()
    json.normalizer = null
    json.pre_tokenizer = { type: 'Metaspace', replacement: '▁', prepend_scheme: 'first', split: false }
    const cutting = fromJson(json)
    json.model.vocab['z▁z'] = 300
    const whole = fromJson(json)
    fc.assert(fc.property(fc.string({ unit: fc.constantFrom('a', 'b', ' ', ' ', '</s>', '日'), maxLength: 40 }), text => {
      expect(cutting.encode(text)).to.deep.equal(whole.encode(text))
    }), { seed: 11, numRuns: 1000 })
    expect(cutting.encode('ab ab</s>ab', { addSpecialTokens: false })).to.deep.equal([265, 265, 2, 264])
  })

  it('joins across spaces where a piece spans them', () => {
    expect(make([['▁', -9], ['a', -8], ['a▁', -1], ['a▁a', -2]], noPrefix).encode('a a', bare)).to.deep.equal([262])
  })
})
