import type { UnitRange } from '../model/index.ts'

export function sameRange (a: UnitRange, b: UnitRange): boolean {
  return a.from === b.from && a.to === b.to
}

/** Whether a part is a range of at least one unit, all of them of the whole. */
export function isWithin (part: UnitRange, whole: UnitRange): boolean {
  return Number.isInteger(part.from) && Number.isInteger(part.to) && part.from >= whole.from && part.from < part.to && part.to <= whole.to
}
