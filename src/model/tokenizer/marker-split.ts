/**
 * Cuts a text of a SentencePiece-style model into words, where that changes
 * nothing: these models take a text as one piece, and joining symbols over a
 * whole book at once would find no word in the cache.
 */
import type { TokenizerDefinition } from './types.ts'
import type { Vocabulary } from './vocabulary.ts'

/** Stands for a space in SentencePiece vocabularies. */
export const SPACE_MARKER = '\u2581'

/**
 * Whether a text may be cut before every marker that follows another character.
 * True where no token has a marker after another character, since then no
 * joining can ever cross such a place.
 */
export function mayCutBeforeMarker (definition: TokenizerDefinition, vocabulary: Vocabulary): boolean {
  const { model, tokens } = definition
  if (model.kind === 'bpe' && (model.byteLevel || model.ignoreMerges)) return false
  // Neighbouring unknown characters may become one token: the marker must be known.
  if (vocabulary.find(SPACE_MARKER) < 0) return false
  return !tokens.some(token => token !== null && INNER_MARKER.test(token))
}

const INNER_MARKER = /[^\u2581]\u2581/

export function cutBeforeMarker (text: string): string[] {
  const pieces: string[] = []
  let start = 0
  for (let at = text.indexOf(SPACE_MARKER, 1); at >= 0; at = text.indexOf(SPACE_MARKER, at + 1)) {
    if (text[at - 1] === SPACE_MARKER) continue
    pieces.push(text.slice(start, at))
    start = at
  }
  pieces.push(text.slice(start))
  return pieces
}
