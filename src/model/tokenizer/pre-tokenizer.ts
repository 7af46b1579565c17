/**
 * Pre-tokenizers: cut a text into the pieces within which the model joins
 * symbols. Semantics of the Rust crate `tokenizers`, all five behaviours of
 * Split included.
 */
import { compilePattern } from './library.ts'
import type { PreTokenizerStep, SplitBehavior } from './types.ts'

/** `atStart` is true for the section that begins where the text begins. */
export type PreTokenizer = (text: string, atStart: boolean) => string[]

export function createPreTokenizer (steps: readonly PreTokenizerStep[]): PreTokenizer {
  const compiled = steps.map(compileStep)
  return (text, atStart) => {
    let pieces = [text]
    for (const step of compiled) {
      const out: string[] = []
      for (let i = 0; i < pieces.length; i++) step(pieces[i], out, atStart && i === 0)
      pieces = out
    }
    return pieces
  }
}

type Step = (text: string, out: string[], atStart: boolean) => void

function compileStep (step: PreTokenizerStep): Step {
  switch (step.kind) {
    case 'split': {
      const pattern = compilePattern(step.pattern, 'pre_tokenizer.pattern')
      return (text, out) => { splitByPattern(text, pattern, step.behavior, step.invert, out) }
    }
    case 'prefixSpace':
      return (text, out) => { out.push(text.startsWith(' ') ? text : ` ${text}`) }
    case 'metaspace':
      return (text, out, atStart) => {
        let marked = text.replaceAll(' ', step.replacement)
        const wanted = step.prepend === 'always' || (step.prepend === 'first' && atStart)
        if (wanted && !marked.startsWith(step.replacement)) marked = step.replacement + marked
        if (step.split) splitBefore(marked, step.replacement, out)
        else out.push(marked)
      }
  }
}

/** Cuts before every occurrence of a marker. */
function splitBefore (text: string, marker: string, out: string[]): void {
  let start = 0
  for (let at = text.indexOf(marker, 1); at >= 0; at = text.indexOf(marker, at + 1)) {
    out.push(text.slice(start, at))
    start = at
  }
  out.push(text.slice(start))
}

interface Span { start: number, end: number, matched: boolean }

function splitByPattern (text: string, pattern: RegExp, behavior: SplitBehavior, invert: boolean, out: string[]): void {
  const spans = findSpans(text, pattern, invert)
  for (const span of arrange(spans, behavior)) {
    if (span.end > span.start) out.push(text.slice(span.start, span.end))
  }
}

function findSpans (text: string, pattern: RegExp, invert: boolean): Span[] {
  const spans: Span[] = []
  let last = 0
  pattern.lastIndex = 0
  for (let match = pattern.exec(text); match !== null; match = pattern.exec(text)) {
    const end = match.index + match[0].length
    if (match.index > last) spans.push({ start: last, end: match.index, matched: invert })
    spans.push({ start: match.index, end, matched: !invert })
    last = end
    // An empty match still cuts the text; step over it by a whole code point.
    if (match[0].length === 0) pattern.lastIndex += (text.codePointAt(end) ?? 0) > 0xffff ? 2 : 1
  }
  if (last < text.length) spans.push({ start: last, end: text.length, matched: invert })
  return spans
}

function arrange (spans: Span[], behavior: SplitBehavior): Span[] {
  switch (behavior) {
    case 'isolated': return spans
    case 'removed': return spans.filter(span => !span.matched)
    case 'mergedWithPrevious': return join(spans, (span, before) => span.matched && !before.matched)
    case 'mergedWithNext': return join(spans, (span, before) => before.matched && !span.matched)
    case 'contiguous': return join(spans, (span, before) => span.matched === before.matched)
  }
}

/** Joins a span to the one before it where `attach` says so. */
function join (spans: Span[], attach: (span: Span, before: Span) => boolean): Span[] {
  const joined: Span[] = []
  let before: Span | undefined
  for (const span of spans) {
    const current = joined.at(-1)
    if (before !== undefined && current !== undefined && attach(span, before)) current.end = span.end
    else joined.push({ ...span })
    before = span
  }
  return joined
}
