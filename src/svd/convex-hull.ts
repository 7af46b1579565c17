import type { Candidate } from './types.ts'

/** The candidates that no other beats in both bytes and error, by rising bytes and falling error. */
export function undominated<C extends Candidate> (candidates: readonly C[]): C[] {
  const kept: C[] = []
  for (const candidate of [...candidates].sort((a, b) => a.bytes - b.bytes || a.error - b.error)) {
    if (kept.length === 0 || candidate.error < kept[kept.length - 1].error) kept.push(candidate)
  }
  return kept
}

/** Of undominated candidates those on the lower convex hull: each step down costs more bytes per error than the one before. */
export function lowerHull<C extends Candidate> (candidates: readonly C[]): C[] {
  const hull: C[] = []
  for (const candidate of candidates) {
    while (hull.length > 1 && slope(hull[hull.length - 2], candidate) >= slope(hull[hull.length - 2], hull[hull.length - 1])) hull.pop()
    hull.push(candidate)
  }
  return hull
}

/** Error saved by a byte from a to b. */
function slope (a: Candidate, b: Candidate): number {
  return (a.error - b.error) / (b.bytes - a.bytes)
}
