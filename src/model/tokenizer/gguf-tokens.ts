/** Tokens of a GGUF file and what their types say about them. */
import { MAX_ADDED_TOKEN_LENGTH, MAX_TOKEN_LENGTH, MAX_VOCABULARY } from './constants.ts'
import { TokenizerFormatError } from './errors.ts'
import { asArray, asId, asString, element, optional } from './fields.ts'
import type { AddedToken } from './types.ts'

export interface GgufTokens {
  tokens: string[]
  /** id of each token */
  ids: Map<string, number>
  added: AddedToken[]
  unused: number[]
  /** id of the token of each byte, -1 where there is none; empty where there are none at all */
  byteTokens: number[]
}

/** Values of `tokenizer.ggml.token_type`. */
const TOKEN_TYPE = { undefined: 0, normal: 1, unknown: 2, control: 3, userDefined: 4, unused: 5, byte: 6 } as const

/** @throws TokenizerFormatError */
export function readGgufTokens (metadata: ReadonlyMap<string, unknown>): GgufTokens {
  const field = 'tokenizer.ggml.tokens'
  const list = asArray(metadata.get(field), field, MAX_VOCABULARY)
  if (list.length === 0) throw new TokenizerFormatError(field, 'is empty')
  const types = readTypes(metadata, list.length)

  const tokens: string[] = []
  const ids = new Map<string, number>()
  const added: AddedToken[] = []
  const unused: number[] = []
  const byteTokens: number[] = []
  for (let id = 0; id < list.length; id++) {
    const token = asString(list[id], field, MAX_TOKEN_LENGTH, id)
    tokens.push(token)
    ids.set(token, id)
    const type = types?.[id] ?? TOKEN_TYPE.normal
    if (type === TOKEN_TYPE.unused) unused.push(id)
    else if (type === TOKEN_TYPE.byte) addByte(byteTokens, token, id, field)
    else if (type === TOKEN_TYPE.control || type === TOKEN_TYPE.unknown || type === TOKEN_TYPE.userDefined) {
      const content = asString(token, field, MAX_ADDED_TOKEN_LENGTH, id)
      const special = type !== TOKEN_TYPE.userDefined
      added.push({ id, content, special, normalized: false, singleWord: false, lstrip: false, rstrip: false })
    }
  }
  for (const token of added) ids.set(token.content, token.id)
  return { tokens, ids, added, unused, byteTokens }
}

function readTypes (metadata: ReadonlyMap<string, unknown>, count: number): number[] | null {
  const field = 'tokenizer.ggml.token_type'
  const list = optional(metadata.get(field), value => asArray(value, field, MAX_VOCABULARY))
  if (list === null) return null
  if (list.length !== count) throw new TokenizerFormatError(field, `has ${list.length} elements for ${count} tokens`)
  return Array.from(list, (type, id) => asId(type, field, TOKEN_TYPE.byte + 1, id))
}

function addByte (byteTokens: number[], token: string, id: number, field: string): void {
  const match = /^<0x([0-9A-Fa-f]{2})>$/.exec(token)
  if (match === null) {
    throw new TokenizerFormatError(element(field, id), `${JSON.stringify(token.slice(0, 80))} has the type of a byte and is not of the form <0x00>`)
  }
  if (byteTokens.length === 0) byteTokens.push(...new Array<number>(256).fill(-1))
  byteTokens[parseInt(match[1], 16)] = id
}
