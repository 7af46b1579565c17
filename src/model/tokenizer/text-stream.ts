/**
 * Decoding, whole and step by step. Both read the same bytes; broken UTF-8
 * becomes U+FFFD by the rules of the WHATWG Encoding Standard, which never
 * take back what an incomplete sequence may still become.
 *
 * There is no cleaning up of spaces before punctuation: it damages code, and a
 * stream could not do it without holding text back.
 */
import type { TextStream } from '../types.ts'
import type { PieceDecoder } from './piece-decoder.ts'

/** A byte order mark is text like any other. */
const UTF8 = { fatal: false, ignoreBOM: true }

export function decodeIds (pieces: PieceDecoder, ids: readonly number[], skipSpecialTokens: boolean): string {
  const parts: Uint8Array[] = []
  let length = 0
  for (const id of ids) {
    const bytes = pieces.bytes(id, skipSpecialTokens)
    parts.push(bytes)
    length += bytes.length
  }
  const all = new Uint8Array(length)
  let offset = 0
  for (const bytes of parts) {
    all.set(bytes, offset)
    offset += bytes.length
  }
  const text = new TextDecoder('utf-8', UTF8).decode(all)
  let start = 0
  while (start < pieces.stripStart && text[start] === ' ') start++
  return text.slice(start)
}

/** Constant work for each id. A stream is for one text: nothing can be pushed after `flush`. */
export function createTextStream (pieces: PieceDecoder, skipSpecialTokens: boolean): TextStream {
  const decoder = new TextDecoder('utf-8', UTF8)
  let spacesToStrip = pieces.stripStart
  const strip = (text: string): string => {
    let start = 0
    while (spacesToStrip > 0 && start < text.length) {
      if (text[start] !== ' ') {
        spacesToStrip = 0
        break
      }
      spacesToStrip--
      start++
    }
    return text.slice(start)
  }
  return {
    push: id => {
      const bytes = pieces.bytes(id, skipSpecialTokens)
      return bytes.length === 0 ? '' : strip(decoder.decode(bytes, { stream: true }))
    },
    flush: () => strip(decoder.decode())
  }
}
