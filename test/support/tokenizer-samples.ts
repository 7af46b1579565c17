/** Small tokenizers for tests, as plain data that each test may change. */

type Json = Record<string, any> // any: tests reach into it

/** The 256 characters of byte-level BPE, written out independently of the code under test. */
export function byteCharacters (): string[] {
  const kept = new Set<number>()
  for (const [from, to] of [[33, 126], [161, 172], [174, 255]]) for (let byte = from; byte <= to; byte++) kept.add(byte)
  const others = Array.from({ length: 256 }, (_, byte) => byte).filter(byte => !kept.has(byte))
  return Array.from({ length: 256 }, (_, byte) => String.fromCodePoint(kept.has(byte) ? byte : 256 + others.indexOf(byte)))
}

/** Byte-level BPE: ids 0-255 are the bytes, then one id for each merge, then `<|end|>` (special) and `[USER]` (not special). */
export function byteLevelJson (merges: Array<[string, string]> = [['h', 'e'], ['l', 'l'], ['he', 'll'], ['hell', 'o'], ['Ġ', 'w']]): Json {
  const vocab: Record<string, number> = {}
  byteCharacters().forEach((character, byte) => { vocab[character] = byte })
  for (const [left, right] of merges) vocab[left + right] ??= Object.keys(vocab).length
  const size = Object.keys(vocab).length
  const flags = { single_word: false, lstrip: false, rstrip: false, normalized: false }
  return {
    version: '1.0',
    added_tokens: [
      { id: size, content: '<|end|>', special: true, ...flags },
      { id: size + 1, content: '[USER]', special: false, ...flags }
    ],
    normalizer: null,
    pre_tokenizer: { type: 'ByteLevel', add_prefix_space: false, use_regex: true },
    post_processor: null,
    decoder: { type: 'ByteLevel' },
    model: { type: 'BPE', vocab, merges: merges.map(pair => pair.join(' ')), unk_token: null, ignore_merges: false }
  }
}

/** BPE over code points as Llama 2 and Mistral have it: `<unk> <s> </s>`, 256 bytes, then pieces. */
export function markedJson (): Json {
  const pieces = ['▁', 'a', 'b', 'c', '▁a', 'ab', '▁ab', '日', '本', '日本']
  const vocab: Record<string, number> = { '<unk>': 0, '<s>': 1, '</s>': 2 }
  for (let byte = 0; byte < 256; byte++) vocab[byteToken(byte)] = 3 + byte
  pieces.forEach((piece, i) => { vocab[piece] = 259 + i })
  const flags = { single_word: false, lstrip: false, rstrip: false, normalized: false, special: true }
  return {
    added_tokens: ['<unk>', '<s>', '</s>'].map((content, id) => ({ id, content, ...flags })),
    normalizer: { type: 'Sequence', normalizers: [{ type: 'Prepend', prepend: '▁' }, { type: 'Replace', pattern: { String: ' ' }, content: '▁' }] },
    pre_tokenizer: null,
    post_processor: {
      type: 'TemplateProcessing',
      single: [{ SpecialToken: { id: '<s>', type_id: 0 } }, { Sequence: { id: 'A', type_id: 0 } }],
      pair: [],
      special_tokens: { '<s>': { id: '<s>', ids: [1], tokens: ['<s>'] } }
    },
    decoder: {
      type: 'Sequence',
      decoders: [
        { type: 'Replace', pattern: { String: '▁' }, content: ' ' },
        { type: 'ByteFallback' },
        { type: 'Fuse' },
        { type: 'Strip', content: ' ', start: 1, stop: 0 }
      ]
    },
    model: {
      type: 'BPE',
      vocab,
      merges: ['▁ a', 'a b', '▁a b', '日 本'],
      unk_token: '<unk>',
      fuse_unk: true,
      byte_fallback: true
    }
  }
}

export function byteToken (byte: number): string {
  return `<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`
}

/** Metadata of a GGUF file with byte-level BPE; ids as in `byteLevelJson`. */
export function byteLevelMetadata (pre = 'gpt-2'): Map<string, unknown> {
  const { model, added_tokens: added } = byteLevelJson()
  const tokens = [...Object.keys(model.vocab).sort((a, b) => model.vocab[a] - model.vocab[b]), ...added.map((token: Json) => token.content)]
  return new Map<string, unknown>([
    ['tokenizer.ggml.model', 'gpt2'],
    ['tokenizer.ggml.pre', pre],
    ['tokenizer.ggml.tokens', tokens],
    ['tokenizer.ggml.token_type', tokens.map((_, id) => id === tokens.length - 2 ? 3 : id === tokens.length - 1 ? 4 : 1)],
    ['tokenizer.ggml.merges', model.merges],
    ['tokenizer.ggml.eos_token_id', tokens.length - 2]
  ])
}

/** A piece of a SentencePiece vocabulary: text, score, and its type in GGUF (1 normal, 4 user-defined, 5 unused). */
export type Piece = [text: string, score: number, type?: number]

/** Metadata of a GGUF file with SentencePiece BPE: `<unk> <s> </s>`, 256 bytes from id 3, the pieces from id 259. */
export function sentencePieceMetadata (pieces: readonly Piece[]): Map<string, unknown> {
  const all: Array<Required<Piece>> = [
    ['<unk>', 0, 2], ['<s>', 0, 3], ['</s>', 0, 3],
    ...Array.from({ length: 256 }, (_, byte): Required<Piece> => [byteToken(byte), 0, 6]),
    ...pieces.map(([text, score, type = 1]): Required<Piece> => [text, score, type])
  ]
  return new Map<string, unknown>([
    ['tokenizer.ggml.model', 'llama'],
    ['tokenizer.ggml.tokens', all.map(([text]) => text)],
    ['tokenizer.ggml.scores', Float32Array.from(all, ([, score]) => score)],
    ['tokenizer.ggml.token_type', Int32Array.from(all, ([, , type]) => type)]
  ])
}
