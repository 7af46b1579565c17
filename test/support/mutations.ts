import { integerGenerator } from './random-bytes.ts'

/** Numbers at which counts, offsets and types tend to break. */
const ODD_NUMBERS = [0n, 1n, 2n, 7n, 31n, 255n, 65_535n, 2n ** 31n, 2n ** 32n - 1n, 2n ** 40n, 2n ** 53n, 2n ** 63n, 2n ** 64n - 1n]

/** Characters that mean something in JSON. */
const ODD_CHARACTERS = Buffer.from('{}[]",:0-9.eE\\nulltruefalse ')

/**
 * An endless row of broken copies: bits turned, bytes replaced, odd numbers
 * written over others, pieces cut, doubled or moved. Most of it in the first
 * `front` bytes, where the headers are.
 */
export function createMutator (original: Uint8Array, front: number, seed: number): () => Uint8Array {
  const below = integerGenerator(seed)
  const position = (bytes: Uint8Array): number => below(below(20) === 0 ? bytes.length : Math.min(front, bytes.length))

  function once (bytes: Uint8Array): Uint8Array {
    if (bytes.length < 16) return bytes
    const at = position(bytes)
    switch (below(8)) {
      case 0:
        bytes[at] ^= 1 << below(8)
        return bytes
      case 1:
        bytes[at] = below(256)
        return bytes
      case 2:
        bytes[at] = ODD_CHARACTERS[below(ODD_CHARACTERS.length)]
        return bytes
      case 3:
      case 4: {
        const width = [1, 2, 4, 8][below(4)]
        const number = ODD_NUMBERS[below(ODD_NUMBERS.length)]
        for (let i = 0; i < width && at + i < bytes.length; i++) bytes[at + i] = Number(number >> BigInt(8 * i) & 255n)
        return bytes
      }
      case 5:
        return bytes.slice(0, at)
      case 6: {
        const length = below(64)
        return Buffer.concat([bytes.subarray(0, at), bytes.subarray(Math.min(bytes.length, at + length))])
      }
      default: {
        const from = position(bytes)
        return Buffer.concat([bytes.subarray(0, at), bytes.subarray(from, from + below(64)), bytes.subarray(at)])
      }
    }
  }

  return () => {
    let bytes: Uint8Array = Uint8Array.from(original)
    for (let count = 1 + below(3); count > 0; count--) bytes = once(bytes)
    return bytes
  }
}
