/**
 * SentencePiece's BPE (Kudo & Richardson 2018): starting from code points, of
 * all neighbours whose union is a token the pair with the highest score is
 * joined, the leftmost of equals. What is left over and is no token becomes
 * bytes, or the unknown token.
 */
import { mergePairs, type PairRules } from './pair-merge.ts'
import type { SentencePieceDefinition, TokenizerDefinition } from './types.ts'
import type { Model } from './byte-pair-model.ts'
import type { Vocabulary } from './vocabulary.ts'

export function createSentencePieceModel (
  definition: TokenizerDefinition, model: SentencePieceDefinition, vocabulary: Vocabulary
): Model {
  const { tokens, byteTokens } = definition
  const order = orderOfScores(model.scores)
  const encoder = new TextEncoder()

  const leftOver = (text: string, out: number[]): void => {
    const bytes = Array.from(encoder.encode(text), byte => byteTokens[byte] ?? -1)
    if (!bytes.includes(-1)) out.push(...bytes)
    else if (model.unknownId !== null) out.push(model.unknownId)
  }

  return piece => {
    // Code points that are no token get ids of their own for the time of this call.
    const strangers: string[] = []
    const strangerIds = new Map<string, number>()
    const symbolOf = (character: string): number => {
      const id = vocabulary.findOrUnused(character)
      if (id >= 0) return id
      let stranger = strangerIds.get(character)
      if (stranger === undefined) {
        stranger = tokens.length + strangers.length
        strangers.push(character)
        strangerIds.set(character, stranger)
      }
      return stranger
    }
    const textOf = (symbol: number): string =>
      symbol < tokens.length ? tokens[symbol] ?? '' : strangers[symbol - tokens.length]

    // Unused tokens take part and are taken apart again at the end.
    const parts = new Map<number, [number, number]>()
    const rules: PairRules = {
      find: (left, right) => {
        const id = vocabulary.findOrUnused(textOf(left) + textOf(right))
        if (id >= 0 && vocabulary.isUnused(id)) parts.set(id, [left, right])
        return id
      },
      priority: id => order[id],
      result: id => id
    }

    const out: number[] = []
    const emit = (symbol: number): void => {
      if (symbol >= tokens.length) leftOver(strangers[symbol - tokens.length], out)
      else if (!vocabulary.isUnused(symbol)) out.push(symbol)
      else {
        const pair = parts.get(symbol)
        if (pair === undefined) leftOver(textOf(symbol), out)
        else pair.forEach(emit)
      }
    }
    mergePairs(Array.from(piece, symbolOf), rules).forEach(emit)
    return out
  }
}

/** For each id the place of its score among the distinct scores, highest first: equal scores have equal places. */
function orderOfScores (scores: readonly number[]): Int32Array {
  const places = new Map<number, number>()
  for (const score of [...new Set(scores)].sort((a, b) => b - a)) places.set(score, places.size)
  return Int32Array.from(scores, score => places.get(score) as number)
}
