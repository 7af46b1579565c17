import { expect } from 'chai'
import { ChatTemplateError, createTokenizerFromFiles, createTokenizerFromGguf, NoChatTemplateError, TokenizerFormatError } from '../../../src/model/tokenizer/index.ts'
import type { LoadedTokenizer } from '../../../src/model/tokenizer/index.ts'
import { byteLevelJson, byteLevelMetadata } from '../../support/tokenizer-samples.ts'

const withConfig = (tokenizerConfig: unknown, chatTemplate?: string): LoadedTokenizer =>
  createTokenizerFromFiles({ tokenizerJson: byteLevelJson(), tokenizerConfig, chatTemplate })
const withTemplate = (template: string): LoadedTokenizer => withConfig({ bos_token: 'h', eos_token: { content: '<|end|>' }, chat_template: template })
const hi = [{ role: 'user', content: 'hi' }]

describe('tokenizer: chat templates', () => {
  it('says so where there is none, or none of a name', () => {
    const loaded = withConfig({})
    expect(loaded.chatTemplate).to.equal(null)
    expect(() => loaded.renderChat(hi)).to.throw(NoChatTemplateError, 'no chat template')
    expect(() => withTemplate('x').renderChat(hi, { templateName: 'tool_use' })).to.throw(NoChatTemplateError, '"tool_use"')
    expect(() => withTemplate('x').renderChat(hi, { templateName: 'toString' })).to.throw(NoChatTemplateError)
  })

  it('refuses templates that are too long, do not parse, fail, or raise', () => {
    expect(() => withTemplate('x'.repeat(300_000))).to.throw(TokenizerFormatError, 'chat_template')
    expect(() => withTemplate('{% for %}').renderChat(hi)).to.throw(ChatTemplateError)
    expect(() => withTemplate('{{ messages | no_such_filter }}').renderChat(hi)).to.throw(ChatTemplateError)
    expect(() => withTemplate('{{ raise_exception("only two roles") }}').renderChat(hi)).to.throw(ChatTemplateError, 'only two roles')
  })

  it('ends templates that would take for ever or make a text without end', () => {
    const loop = '{% for a in range(9000) %}'
    expect(() => withTemplate(`${loop}${loop}${loop}x{% endfor %}{% endfor %}{% endfor %}`).renderChat(hi)).to.throw(ChatTemplateError, 'steps')
    expect(() => withTemplate('{% for a in range(1000000000) %}{% endfor %}').renderChat(hi)).to.throw(ChatTemplateError, 'range')
    expect(() => withTemplate('{% for a in range(0, 9, 0) %}{% endfor %}').renderChat(hi)).to.throw(ChatTemplateError, 'range')
    const doubling = '{% set ns = namespace(x="x") %}{% for a in range(28) %}{% set ns.x = ns.x ~ ns.x %}{% endfor %}{{ ns.x }}'
    expect(() => withTemplate(doubling).renderChat(hi)).to.throw(ChatTemplateError, 'characters')
    expect(() => withTemplate('{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}').renderChat(hi)).to.throw(ChatTemplateError)
  })

  it('gives messages, special tokens and further variables to the template', () => {
    const loaded = withTemplate('{{ bos_token }}{% for m in messages %}{{ m.role }}:{{ m.content }}{{ eos_token }}{% endfor %}{% if add_generation_prompt %}assistant:{% endif %}{{ extra }}')
    expect(loaded.renderChat(hi)).to.equal('huser:hi<|end|>assistant:')
    expect(loaded.renderChat(hi, { addGenerationPrompt: false, variables: { extra: 7, messages: [] } })).to.equal('huser:hi<|end|>7')
    expect(loaded.bosTokenId).to.equal(loaded.tokenizer.tokenToId('h'))
    expect(loaded.eosTokenIds).to.deep.equal([loaded.tokenizer.tokenToId('<|end|>')])
  })

  it('takes the time it is given', () => {
    const now = new Date(2024, 6, 4, 15, 5, 9)
    expect(withTemplate('{{ strftime_now("%d %b %Y, %A %B %I:%M:%S %p %% %H %y %e %a %Q") }}').renderChat(hi, { now }))
      .to.equal('04 Jul 2024, Thursday July 03:05:09 PM % 15 24  4 Thu %Q')
  })

  it('iterates ranges as Python does', () => {
    expect(withTemplate('{% for i in range(3) %}{{ i }}{% endfor %} {% for i in range(5, 0, -2) %}{{ i }}{% endfor %} {% for i in range(2, 2) %}x{% endfor %}').renderChat(hi))
      .to.equal('012 531 ')
  })

  it('takes chat_template.jinja first, and templates by name', () => {
    const named = { chat_template: [{ name: 'default', template: 'D' }, { name: 'tool_use', template: 'T' }] }
    const loaded = withConfig(named)
    expect([loaded.chatTemplate, loaded.renderChat(hi), loaded.renderChat(hi, { templateName: 'tool_use' })]).to.deep.equal(['D', 'D', 'T'])
    expect(withConfig(named, 'F').renderChat(hi)).to.equal('F')
    expect(withConfig(named, 'F').renderChat(hi, { templateName: 'tool_use' })).to.equal('T')
    expect(() => withConfig({ chat_template: [{ name: 'x' }] })).to.throw(TokenizerFormatError, 'chat_template[0].template')
  })

  it('reads the templates of GGUF metadata', () => {
    const metadata = byteLevelMetadata()
    metadata.set('tokenizer.chat_template', 'D{{ eos_token }}').set('tokenizer.chat_templates', ['tool_use']).set('tokenizer.chat_template.tool_use', 'T')
    const loaded = createTokenizerFromGguf(metadata)
    expect([loaded.renderChat(hi), loaded.renderChat(hi, { templateName: 'tool_use' })]).to.deep.equal(['D<|end|>', 'T'])
  })
})

describe('tokenizer: what a loaded tokenizer says about itself', () => {
  it('has canonical bytes that change with whatever changes its behaviour, and with nothing else', () => {
    const bytes = (json: unknown, config: unknown = {}, template?: string): string =>
      Buffer.from(createTokenizerFromFiles({ tokenizerJson: json, tokenizerConfig: config, chatTemplate: template }).canonical).toString()
    const base = bytes(byteLevelJson())
    const reordered = Object.fromEntries(Object.entries(byteLevelJson()).reverse())
    expect(bytes({ ...reordered, truncation: { max_length: 3 } }, { model_max_length: 5 })).to.equal(base)
    const others = [
      bytes({ ...byteLevelJson(), normalizer: { type: 'NFC' } }),
      bytes(byteLevelJson([['h', 'e']])),
      bytes({ ...byteLevelJson(), added_tokens: [] }),
      bytes(byteLevelJson(), { eos_token: 'h' }),
      bytes(byteLevelJson(), {}, 'template')
    ]
    expect(new Set([base, ...others]).size).to.equal(6)
    expect(JSON.parse(base)).to.have.property('version', 1)
  })

  it('names its kind', () => {
    expect(createTokenizerFromGguf(byteLevelMetadata('smollm')).kind).to.equal('gguf gpt2/smollm')
    expect(withConfig({}).kind).to.equal('tokenizer.json BPE, byte level')
  })

  it('ends turns with eos, eot and eom, and with a control token that the template ends them with', () => {
    const metadata = byteLevelMetadata()
    const tokens = metadata.get('tokenizer.ggml.tokens') as string[]
    const end = tokens.length - 2
    metadata.set('tokenizer.ggml.eot_token_id', 5).set('tokenizer.ggml.eos_token_id', 7n)
    expect(createTokenizerFromGguf(metadata).eosTokenIds).to.deep.equal([7, 5])
    metadata.set('tokenizer.chat_template', '…<|end|>…')
    expect(createTokenizerFromGguf(metadata).eosTokenIds).to.deep.equal([7, 5, end])
  })

  it('adds bos by default where the pre-tokenizer is Llama 3\'s, and where Llama\'s configuration says so', () => {
    const metadata = byteLevelMetadata('llama-bpe').set('tokenizer.ggml.bos_token_id', 9)
    expect(createTokenizerFromGguf(metadata).tokenizer.encode('a')).to.deep.equal([9, 0x61])
    metadata.set('tokenizer.ggml.add_bos_token', false)
    expect(createTokenizerFromGguf(metadata).tokenizer.encode('a')).to.deep.equal([0x61])
    const config = { tokenizer_class: 'LlamaTokenizerFast', bos_token: 'h', add_bos_token: true }
    expect(withConfig(config).tokenizer.encode('a')).to.deep.equal([0x68, 0x61])
    expect(withConfig({ ...config, tokenizer_class: 'Qwen2Tokenizer' }).tokenizer.encode('a')).to.deep.equal([0x61])
  })
})
