/** Text to ids: added tokens, normalizer, pre-tokenizer, model, then what the post-processor adds. */
import type { EncodeOptions, TextStream, Tokenizer } from '../types.ts'
import { createAddedTokenSplitter, type AddedTokenSplitter } from './added-tokens.ts'
import { createBytePairModel, type Model } from './byte-pair-model.ts'
import { CACHED_PIECE_LENGTH, CACHED_PIECES } from './constants.ts'
import { cutBeforeMarker, mayCutBeforeMarker } from './marker-split.ts'
import { createNormalizer, type Normalizer } from './normalizer.ts'
import { createPieceDecoder, type PieceDecoder } from './piece-decoder.ts'
import { createPreTokenizer, type PreTokenizer } from './pre-tokenizer.ts'
import { createSentencePieceModel } from './sentencepiece-model.ts'
import { createTextStream, decodeIds } from './text-stream.ts'
import type { LoadedDefinition, TokenizerDefinition } from './types.ts'
import { createVocabulary, type Vocabulary } from './vocabulary.ts'

/** @throws TokenizerFormatError, UnsupportedTokenizerError where a pattern does not compile */
export function createTokenizer (loaded: LoadedDefinition): Tokenizer {
  return new TextTokenizer(loaded)
}

class TextTokenizer implements Tokenizer {
  readonly #definition: TokenizerDefinition
  readonly #vocabulary: Vocabulary
  readonly #model: Model
  readonly #normalizer: Normalizer
  readonly #preTokenizer: PreTokenizer
  readonly #pieces: PieceDecoder
  /** of tokens looked for in the text as it is: all of them, and those that are not special */
  readonly #splitters: Record<'all' | 'plain', AddedTokenSplitter>
  /** of tokens looked for in normalised text */
  readonly #normalizedSplitters: Record<'all' | 'plain', AddedTokenSplitter>
  readonly #cache = new Map<string, number[]>()

  constructor (loaded: LoadedDefinition) {
    const { definition } = loaded
    const { model } = definition
    this.#definition = definition
    this.#vocabulary = createVocabulary(loaded)
    this.#model = model.kind === 'bpe'
      ? createBytePairModel(definition, model, this.#vocabulary)
      : createSentencePieceModel(definition, model, this.#vocabulary)
    this.#normalizer = createNormalizer(definition.normalizer)
    const preTokenizer = createPreTokenizer(definition.preTokenizer)
    this.#preTokenizer = mayCutBeforeMarker(definition, this.#vocabulary)
      ? (text, atStart) => preTokenizer(text, atStart).flatMap(cutBeforeMarker)
      : preTokenizer
    this.#pieces = createPieceDecoder(definition)
    const normalizing = definition.normalizer.length > 0
    const raw = definition.added.filter(token => !(token.normalized && normalizing))
    const normalized = definition.added.filter(token => token.normalized && normalizing)
    this.#splitters = {
      all: createAddedTokenSplitter(raw),
      plain: createAddedTokenSplitter(raw.filter(token => !token.special))
    }
    this.#normalizedSplitters = {
      all: createAddedTokenSplitter(normalized, token => this.#normalizer(token.content)),
      plain: createAddedTokenSplitter(normalized.filter(token => !token.special), token => this.#normalizer(token.content))
    }
  }

  get vocabularySize (): number {
    return this.#vocabulary.size
  }

  encode (text: string, options: EncodeOptions = {}): number[] {
    const { addSpecialTokens = true, parseSpecialTokens = true } = options
    const which = parseSpecialTokens ? 'all' : 'plain'
    const ids: number[] = addSpecialTokens ? [...this.#definition.prefix] : []
    // A lone surrogate has no UTF-8.
    const sections = this.#splitters[which](text.toWellFormed())
    sections.forEach((section, i) => {
      if (typeof section === 'number') ids.push(section)
      else this.#encodeSection(section, i === 0, which, ids)
    })
    if (addSpecialTokens) ids.push(...this.#definition.suffix)
    return ids
  }

  #encodeSection (section: string, atStart: boolean, which: 'all' | 'plain', ids: number[]): void {
    const parts = this.#normalizedSplitters[which](this.#normalizer(section))
    parts.forEach((part, i) => {
      if (typeof part === 'number') {
        ids.push(part)
        return
      }
      for (const piece of this.#preTokenizer(part, atStart && i === 0)) {
        for (const id of this.#encodePiece(piece)) ids.push(id)
      }
    })
  }

  #encodePiece (piece: string): number[] {
    if (piece.length > CACHED_PIECE_LENGTH) return this.#model(piece)
    let ids = this.#cache.get(piece)
    if (ids === undefined) {
      ids = this.#model(piece)
      // Starting afresh costs one more joining of each word: cheaper than keeping an order of use.
      if (this.#cache.size >= CACHED_PIECES) this.#cache.clear()
      this.#cache.set(piece, ids)
    }
    return ids
  }

  decode (ids: number[], options: { skipSpecialTokens?: boolean } = {}): string {
    return decodeIds(this.#pieces, ids, options.skipSpecialTokens ?? true)
  }

  tokenToId (token: string): number | undefined {
    return this.#vocabulary.idOf(token)
  }

  createTextStream (options: { skipSpecialTokens?: boolean } = {}): TextStream {
    return createTextStream(this.#pieces, options.skipSpecialTokens ?? true)
  }
}
