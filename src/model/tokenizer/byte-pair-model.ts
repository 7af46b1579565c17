/**
 * Byte-pair encoding (Sennrich et al. 2016), over bytes (GPT-2) or over code
 * points with a fall-back to bytes.
 */
import { CHARACTER_OF_BYTE, toAlphabet } from './byte-alphabet.ts'
import { mergePairs, type PairRules } from './pair-merge.ts'
import { createPairTable } from './pair-table.ts'
import type { BytePairDefinition, TokenizerDefinition } from './types.ts'
import type { Vocabulary } from './vocabulary.ts'

/** Ids of one pre-token. */
export type Model = (piece: string) => number[]

export function createBytePairModel (
  definition: TokenizerDefinition, model: BytePairDefinition, vocabulary: Vocabulary
): Model {
  const rules = createRules(definition, model, vocabulary)
  const symbolsOf = model.byteLevel
    ? byteSymbols(vocabulary, model.unknownId)
    : codePointSymbols(definition, model, vocabulary)
  return piece => {
    if (model.ignoreMerges) {
      const whole = vocabulary.find(model.byteLevel ? toAlphabet(piece) : piece)
      if (whole >= 0) return [whole]
    }
    return mergePairs(symbolsOf(piece), rules)
  }
}

function createRules (definition: TokenizerDefinition, model: BytePairDefinition, vocabulary: Vocabulary): PairRules {
  const { tokens } = definition
  const { merges } = model
  const ranks = createPairTable(merges)
  const results = new Int32Array(merges.length / 2).fill(NOT_YET)
  // Most merges are never used: their results are looked up when first needed.
  const resultOf = (rank: number): number => {
    const id = vocabulary.idOf((tokens[merges[2 * rank]] ?? '') + (tokens[merges[2 * rank + 1]] ?? ''))
    // No merge may end in a special token: text that is only text cannot make one.
    return id === undefined || vocabulary.isSpecial(id) ? NO_TOKEN : id
  }
  return {
    find: (left, right) => {
      const rank = ranks.find(left, right)
      if (rank < 0) return -1
      if (results[rank] === NOT_YET) results[rank] = resultOf(rank)
      return results[rank] === NO_TOKEN ? -1 : rank
    },
    priority: rank => rank,
    result: rank => results[rank]
  }
}

const NOT_YET = -1
const NO_TOKEN = -2

const encoder = new TextEncoder()

/** A byte without a token is left out where there is no unknown token, as the reference implementation does. */
function byteSymbols (vocabulary: Vocabulary, unknownId: number | null): (piece: string) => number[] {
  const idOfByte = CHARACTER_OF_BYTE.map(character => vocabulary.find(character))
  return piece => {
    const symbols: number[] = []
    for (const byte of encoder.encode(piece)) {
      const id = idOfByte[byte] >= 0 ? idOfByte[byte] : unknownId
      if (id !== null) symbols.push(id)
    }
    return symbols
  }
}

function codePointSymbols (
  definition: TokenizerDefinition, model: BytePairDefinition, vocabulary: Vocabulary
): (piece: string) => number[] {
  const { byteTokens } = definition
  return piece => {
    const symbols: number[] = []
    let afterUnknown = false
    for (const character of piece) {
      const id = vocabulary.find(character)
      const bytes = id < 0 && byteTokens.length > 0 ? Array.from(encoder.encode(character), byte => byteTokens[byte]) : []
      const unknown = id < 0 && (bytes.length === 0 || bytes.includes(-1))
      if (id >= 0) symbols.push(id)
      else if (!unknown) symbols.push(...bytes)
      else if (model.unknownId !== null && !(afterUnknown && model.fuseUnknown)) symbols.push(model.unknownId)
      afterUnknown = unknown
    }
    return symbols
  }
}
