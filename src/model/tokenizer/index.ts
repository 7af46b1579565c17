/**
 * Tokenizers: text to token ids and back, and chat templates.
 *
 * A tokenizer.json or the metadata of a GGUF file is brought into one checked
 * form (`types.ts`), on which one encoder and one decoder work: byte-level BPE,
 * BPE over code points with byte fall-back, and SentencePiece BPE by score.
 * Pre-tokenizer patterns, written for Oniguruma, are translated by
 * `@huggingface/tokenizers`; the rest of that library is not used because it
 * cannot leave special tokens unparsed, does not decode step by step, treats
 * `Digits`, `Punctuation`, `Whitespace` and white space differently from the
 * implementation that models were trained with, and takes three times as long
 * to load a vocabulary.
 *
 * Deliberate differences from transformers: no cleaning up of spaces before
 * punctuation; broken UTF-8 from byte tokens becomes U+FFFD by the rules of
 * WHATWG rather than one for every byte of the run.
 */
import { createChatRenderer } from './chat-template.ts'
import { definitionFromCanonical, encodeDefinition } from './definition-json.ts'
import { definitionFromGguf, type GgufMetadata } from './from-gguf.ts'
import { definitionFromFiles, type TokenizerFiles } from './from-files.ts'
import { createTokenizer } from './text-tokenizer.ts'
import type { LoadedDefinition, LoadedTokenizer } from './types.ts'

export type { LoadedTokenizer, RenderChatOptions } from './types.ts'
export type { GgufMetadata } from './from-gguf.ts'
export type { TokenizerFiles } from './from-files.ts'
export { ChatTemplateError, NoChatTemplateError, TokenizerFormatError, UnsupportedTokenizerError } from './errors.ts'

/**
 * From parsed tokenizer.json, tokenizer_config.json and the text of chat_template.jinja.
 * @throws TokenizerFormatError, UnsupportedTokenizerError
 */
export function createTokenizerFromFiles (files: TokenizerFiles): LoadedTokenizer {
  return load(definitionFromFiles(files))
}

/**
 * From the metadata of a GGUF file.
 * @throws TokenizerFormatError, UnsupportedTokenizerError
 */
export function createTokenizerFromGguf (metadata: GgufMetadata): LoadedTokenizer {
  return load(definitionFromGguf(metadata))
}

/**
 * From the canonical encoding of a tokenizer (`LoadedTokenizer.canonical`), which a package holds.
 * @throws TokenizerFormatError, UnsupportedTokenizerError
 */
export function createTokenizerFromCanonical (bytes: Uint8Array): LoadedTokenizer {
  return load(definitionFromCanonical(bytes))
}

function load (loaded: LoadedDefinition): LoadedTokenizer {
  const { definition, kind } = loaded
  const { tokens, chatTemplates, bosTokenId, eosTokenIds, unknownTokenId, padTokenId } = definition
  const text = (id: number | null | undefined): string => id === null || id === undefined ? '' : tokens[id] ?? ''
  let canonical: Uint8Array | undefined
  return {
    tokenizer: createTokenizer(loaded),
    get canonical () {
      return (canonical ??= encodeDefinition(definition))
    },
    chatTemplate: chatTemplates.find(({ name }) => name === 'default')?.source ?? null,
    renderChat: createChatRenderer(chatTemplates, {
      bos_token: text(bosTokenId),
      eos_token: text(eosTokenIds[0]),
      unk_token: text(unknownTokenId),
      pad_token: text(padTokenId)
    }),
    bosTokenId,
    eosTokenIds,
    kind
  }
}
