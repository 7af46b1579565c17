/**
 * Finds added tokens in a text: leftmost first, the longest of those that
 * start at the same place.
 */
import type { AddedToken } from './types.ts'

/** Text between tokens is a string, a token found is its id. Never holds empty strings. */
export type Fragment = string | number

export type AddedTokenSplitter = (text: string) => Fragment[]

/** `contentOf` gives the form in which a token stands in the text (normalised or not). */
export function createAddedTokenSplitter (
  tokens: readonly AddedToken[], contentOf: (token: AddedToken) => string = token => token.content
): AddedTokenSplitter {
  const byContent = new Map<string, AddedToken>()
  for (const token of tokens) {
    const content = contentOf(token)
    if (content !== '') byContent.set(content, token)
  }
  if (byContent.size === 0) return text => text === '' ? [] : [text]

  const lengths = lengthsByFirstUnit(byContent.keys())
  const find = (text: string, at: number): { token: AddedToken, end: number } | undefined => {
    for (const length of lengths.get(text.charCodeAt(at)) ?? []) {
      const token = byContent.get(text.slice(at, at + length))
      if (token === undefined || at + length > text.length) continue
      if (!token.singleWord || standsAlone(text, at, at + length)) return { token, end: at + length }
    }
  }

  return text => {
    const fragments: Fragment[] = []
    let start = 0
    for (let at = 0; at < text.length;) {
      const found = lengths.has(text.charCodeAt(at)) ? find(text, at) : undefined
      if (found === undefined) {
        at++
        continue
      }
      const { token } = found
      const end = token.rstrip ? skipSpace(text, found.end) : found.end
      const keptEnd = token.lstrip ? skipSpaceBackwards(text, at, start) : at
      if (keptEnd > start) fragments.push(text.slice(start, keptEnd))
      fragments.push(token.id)
      start = at = end
    }
    if (start < text.length) fragments.push(text.slice(start))
    return fragments
  }
}

/** For each first code unit, the lengths of the contents that start with it, longest first. */
function lengthsByFirstUnit (contents: Iterable<string>): Map<number, number[]> {
  const sets = new Map<number, Set<number>>()
  for (const content of contents) {
    const unit = content.charCodeAt(0)
    const set = sets.get(unit) ?? new Set()
    sets.set(unit, set.add(content.length))
  }
  return new Map([...sets].map(([unit, set]) => [unit, [...set].sort((a, b) => b - a)]))
}

const WORD_BEFORE = /[\p{Alphabetic}\p{M}\p{Nd}\p{Pc}]$/u
const WORD_AFTER = /^[\p{Alphabetic}\p{M}\p{Nd}\p{Pc}]/u
const SPACE = /\p{White_Space}/u

function standsAlone (text: string, start: number, end: number): boolean {
  return !WORD_BEFORE.test(text.slice(Math.max(0, start - 2), start)) && !WORD_AFTER.test(text.slice(end, end + 2))
}

function skipSpace (text: string, at: number): number {
  while (at < text.length && SPACE.test(text[at])) at++
  return at
}

function skipSpaceBackwards (text: string, at: number, start: number): number {
  while (at > start && SPACE.test(text[at - 1])) at--
  return at
}
