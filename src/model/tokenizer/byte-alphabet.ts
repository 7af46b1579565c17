/**
 * The alphabet of byte-level BPE (GPT-2): every byte is written as one
 * printable character, so that tokens are strings. Bytes that are printable in
 * Latin-1 stand for themselves, the other 68 are U+0100 onwards in order.
 */

/** Character of each byte. */
export const CHARACTER_OF_BYTE: readonly string[] = characters()

const BYTE_OF_UNIT = new Int16Array(0x144).fill(-1)
CHARACTER_OF_BYTE.forEach((character, byte) => { BYTE_OF_UNIT[character.charCodeAt(0)] = byte })

const encoder = new TextEncoder()

/** UTF-8 of a text, written in the alphabet. */
export function toAlphabet (text: string): string {
  let written = ''
  for (const byte of encoder.encode(text)) written += CHARACTER_OF_BYTE[byte]
  return written
}

/** Bytes that a token stands for. One with a character outside the alphabet stands for its own UTF-8. */
export function fromAlphabet (token: string): Uint8Array {
  const bytes = new Uint8Array(token.length)
  for (let i = 0; i < token.length; i++) {
    const byte = BYTE_OF_UNIT[token.charCodeAt(i)] ?? -1
    if (byte < 0) return encoder.encode(token)
    bytes[i] = byte
  }
  return bytes
}

function characters (): string[] {
  const list: string[] = []
  let substitute = 0x100
  for (let byte = 0; byte < 256; byte++) {
    const printable = (byte > 0x20 && byte < 0x7f) || (byte > 0xa0 && byte !== 0xad)
    list.push(String.fromCharCode(printable ? byte : substitute++))
  }
  return list
}
