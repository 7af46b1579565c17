/** What each id contributes to decoded text: bytes of UTF-8, possibly half a character. */
import { fromAlphabet } from './byte-alphabet.ts'
import type { TokenizerDefinition } from './types.ts'

export interface PieceDecoder {
  /** Bytes of an id; none for ids without a token. */
  bytes (id: number, skipSpecialTokens: boolean): Uint8Array
  /** spaces taken off the start of a text */
  readonly stripStart: number
}

const NOTHING = new Uint8Array(0)

export function createPieceDecoder (definition: TokenizerDefinition): PieceDecoder {
  const { tokens, added, unused, byteTokens, decoder } = definition
  const encoder = new TextEncoder()
  const special = new Set(added.filter(token => token.special).map(token => token.id))
  const byteOfId = new Map(byteTokens.map((id, byte) => [id, byte]))
  byteOfId.delete(-1)

  const contents = new Map(added.map(token => [token.id, token.content]))
  const known: Array<Uint8Array | undefined> = []
  for (const id of unused) known[id] = NOTHING

  const decode = (id: number): Uint8Array => {
    const content = contents.get(id)
    const token = content ?? tokens[id] ?? ''
    if (special.has(id)) return encoder.encode(token)
    if (decoder.kind === 'byteLevel') return content === undefined ? fromAlphabet(token) : encoder.encode(token)
    const byte = byteOfId.get(id)
    if (byte !== undefined) return Uint8Array.of(byte)
    return encoder.encode(decoder.replacements.reduce((text, { from, to }) => text.replaceAll(from, () => to), token))
  }

  return {
    stripStart: decoder.kind === 'pieces' ? decoder.stripStart : 0,
    bytes: (id, skipSpecialTokens) => {
      if (!Number.isInteger(id) || id < 0 || id >= tokens.length) return NOTHING
      if (skipSpecialTokens && special.has(id)) return NOTHING
      known[id] ??= decode(id)
      return known[id]
    }
  }
}
