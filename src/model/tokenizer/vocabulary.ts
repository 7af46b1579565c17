/** Lookup from strings to ids, with what a model may not produce from plain text left out. */
import type { LoadedDefinition } from './types.ts'

export interface Vocabulary {
  /** ids, gaps included */
  readonly size: number
  /** id of any token, special ones included */
  idOf (token: string): number | undefined
  /** id that the model may make out of plain text, or -1: no special, byte or unused token */
  find (token: string): number
  /** the same, unused tokens included */
  findOrUnused (token: string): number
  isUnused (id: number): boolean
  isSpecial (id: number): boolean
}

const SPECIAL = 1
const BYTE = 2
const UNUSED = 3

export function createVocabulary ({ definition, ids }: LoadedDefinition): Vocabulary {
  const { tokens, added, unused, byteTokens } = definition
  const flags = new Uint8Array(tokens.length)
  for (const id of unused) flags[id] = UNUSED
  for (const id of byteTokens) if (id >= 0) flags[id] = BYTE
  for (const token of added) if (token.special) flags[token.id] = SPECIAL

  const lookUp = (token: string, barredTo: number): number => {
    const id = ids.get(token)
    return id === undefined || (flags[id] !== 0 && flags[id] <= barredTo) ? -1 : id
  }
  return {
    size: tokens.length,
    idOf: token => ids.get(token),
    find: token => lookUp(token, UNUSED),
    findOrUnused: token => lookUp(token, BYTE),
    isUnused: id => flags[id] === UNUSED,
    isSpecial: id => flags[id] === SPECIAL
  }
}
