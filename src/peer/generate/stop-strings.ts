/** What a piece of text leads to. */
export interface StopStringResult {
  /** text that can no longer be part of a stop string */
  text: string
  /** the stop string that was found; then `text` ends before it and nothing more is to be pushed */
  stopString?: string
}

/** Finds stop strings in text that comes in pieces. */
export interface StopStringFinder {
  push (piece: string): StopStringResult
  /** text still held back, at the end of all text */
  flush (): string
}

/**
 * Text is held back while it could be the beginning of a stop string. The
 * result does not depend on how the text is cut into pieces: the stop string
 * that ends first counts, and among those that end together the longest.
 */
export function createStopStringFinder (stopStrings: readonly string[]): StopStringFinder {
  let held = ''
  return {
    push (piece) {
      const text = held + piece
      const found = findFirst(text, stopStrings)
      if (found !== undefined) {
        held = ''
        return { text: text.slice(0, found.start), stopString: found.stopString }
      }
      const certain = text.length - heldLength(text, stopStrings)
      held = text.slice(certain)
      return { text: text.slice(0, certain) }
    },
    flush () {
      const text = held
      held = ''
      return text
    }
  }
}

function findFirst (text: string, stopStrings: readonly string[]): { start: number, stopString: string } | undefined {
  let best: { start: number, end: number, stopString: string } | undefined
  for (const stopString of stopStrings) {
    const start = text.indexOf(stopString)
    if (start < 0) continue
    const end = start + stopString.length
    if (best === undefined || end < best.end || (end === best.end && start < best.start)) best = { start, end, stopString }
  }
  return best
}

/** Length of the longest end of `text` that begins a stop string. */
function heldLength (text: string, stopStrings: readonly string[]): number {
  let longest = 0
  for (const stopString of stopStrings) {
    for (let length = Math.min(stopString.length - 1, text.length); length > longest; length--) {
      if (text.endsWith(stopString.slice(0, length))) {
        longest = length
        break
      }
    }
  }
  return longest
}
