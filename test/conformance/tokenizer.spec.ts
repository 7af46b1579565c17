/**
 * Token ids and texts of real tokenizers. Expected values come from
 * transformers (sotu-4m, SmolLM2) and from the test vocabularies of llama.cpp.
 */
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { Tokenizer as LibraryTokenizer } from '@huggingface/tokenizers'
import { expect } from 'chai'
import { readGguf } from '../../src/model/gguf/index.ts'
import { createTokenizerFromFiles, createTokenizerFromGguf } from '../../src/model/tokenizer/index.ts'
import type { LoadedTokenizer } from '../../src/model/tokenizer/index.ts'
import type { ChatMessage } from '../../src/model/types.ts'
import { sharedPath } from '../support/shared-data.ts'

const projectPath = (path: string): string => fileURLToPath(new URL(`../../${path}`, import.meta.url))
const readText = (path: string): string => readFileSync(path, 'utf8')

interface Golden {
  tokenizer: Array<{ text: string, ids: number[], with_bos?: number[] }>
  greedy: Array<{ prompt: string, ids: number[], greedy: number[], text: string }>
  chat_template?: Array<{ messages: ChatMessage[], text: string }>
}
const readGolden = (name: string): Golden => JSON.parse(readText(projectPath(`test/fixtures/golden/${name}.json`)))

const bare = { addSpecialTokens: false }
const all = { skipSpecialTokens: false }

/** Decodes at once and step by step, which must agree. */
function decode ({ tokenizer }: LoadedTokenizer, ids: number[]): string {
  const stream = tokenizer.createTextStream(all)
  const streamed = ids.map(id => stream.push(id)).join('') + stream.flush()
  expect(streamed).to.equal(tokenizer.decode(ids, all))
  return streamed
}

describe('tokenizer of sotu-4m (tokenizer.json)', () => {
  const golden = readGolden('sotu-4m')
  const json = JSON.parse(readText(projectPath('models/sotu-4m/tokenizer.json')))
  const config = JSON.parse(readText(projectPath('models/sotu-4m/tokenizer_config.json')))
  const loaded = createTokenizerFromFiles({ tokenizerJson: json, tokenizerConfig: config })

  for (const { text, ids, with_bos: withBos } of golden.tokenizer) {
    it(`encodes ${JSON.stringify(text.slice(0, 40))}`, () => {
      expect(loaded.tokenizer.encode(text)).to.deep.equal(withBos)
      expect(loaded.tokenizer.encode(text, bare)).to.deep.equal(ids)
      expect(decode(loaded, ids)).to.equal(text)
    })
  }

  it('encodes the prompts and decodes the texts of the greedy runs', () => {
    for (const { prompt, ids, greedy, text } of golden.greedy) {
      expect(loaded.tokenizer.encode(prompt)).to.deep.equal(ids)
      expect(decode(loaded, greedy)).to.equal(text)
    }
  })

  it('agrees with @huggingface/tokenizers on a book', () => {
    const text = readText(projectPath('models/sotu-4m/heldout.txt'))
    const library = new LibraryTokenizer(json, config)
    expect(loaded.tokenizer.encode(text)).to.deep.equal(library.encode(text).ids)
  })
})

describe('tokenizer of SmolLM2-135M-Instruct (GGUF)', () => {
  const golden = readGolden('smollm2')
  let loaded: LoadedTokenizer

  before(function () {
    const path = sharedPath('models', 'smollm2-135m-instruct', 'SmolLM2-135M-Instruct.Q4_1.gguf')
    if (path === undefined) {
      console.log('      skipped: the SmolLM2 model is not beside the project')
      this.skip()
    }
    loaded = createTokenizerFromGguf(readGguf(path).metadata)
  })

  it(`encodes and decodes all ${golden.tokenizer.length} cases`, () => {
    expect(golden.tokenizer).to.have.length(30)
    for (const { text, ids } of golden.tokenizer) {
      expect(loaded.tokenizer.encode(text), JSON.stringify(text)).to.deep.equal(ids)
      expect(decode(loaded, ids)).to.equal(text)
    }
  })

  it('encodes the prompts and decodes the texts of the greedy runs', () => {
    for (const { prompt, ids, greedy, text } of golden.greedy) {
      expect(loaded.tokenizer.encode(prompt)).to.deep.equal(ids)
      expect(decode(loaded, greedy)).to.equal(text)
    }
  })

  it('renders both chats', () => {
    expect(golden.chat_template).to.have.length(2)
    for (const { messages, text } of golden.chat_template ?? []) expect(loaded.renderChat(messages)).to.equal(text)
  })

  it('encodes the whole WikiText-2 test set into 312,144 ids and decodes it again', function () {
    const path = sharedPath('data', 'wikitext-2-test.txt')
    if (path === undefined) {
      console.log('      skipped: WikiText-2 is not beside the project')
      this.skip()
    }
    const text = readText(path)
    const ids = loaded.tokenizer.encode(text)
    expect(ids).to.have.length(312_144)
    expect(decode(loaded, ids)).to.equal(text)
  })
})

describe('vocabularies of llama.cpp (GGUF)', () => {
  for (const name of ['llama-spm', 'llama-bpe', 'qwen2', 'gpt-2']) {
    it(`encodes and decodes every case of ${name}`, function () {
      const path = sharedPath('golden', 'vocab', `ggml-vocab-${name}.gguf`)
      if (path === undefined) {
        console.log('      skipped: the test vocabularies are not beside the project')
        this.skip()
      }
      const loaded = createTokenizerFromGguf(readGguf(path).metadata)
      // Every case and every line ends with its separator.
      const texts = readText(`${path}.inp`).split('\n__ggml_vocab_test__\n').slice(0, -1)
      const lines = readText(`${path}.out`).split('\n').slice(0, -1)
      expect([texts.length, lines.length]).to.deep.equal([46, 46])
      texts.forEach((text, i) => {
        const expected = lines[i].split(' ').filter(word => word !== '').map(Number)
        expect(loaded.tokenizer.encode(text, bare), JSON.stringify(text)).to.deep.equal(expected)
        expect(decode(loaded, expected)).to.equal(text)
      })
    })
  }
})
