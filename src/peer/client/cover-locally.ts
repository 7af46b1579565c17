import type { UnitRange } from '../../model/index.ts'

/**
 * Which engine of this machine runs which units, where they overlap: from the
 * first unit on always the one that goes furthest, so that there are few
 * stages. Units that none has are left out.
 */
export function coverLocally<T extends { range: UnitRange }> (engines: readonly T[]): Array<{ engine: T, range: UnitRange }> {
  const cover: Array<{ engine: T, range: UnitRange }> = []
  const starts = engines.map(({ range }) => range.from).sort((a, b) => a - b)
  let unit = 0
  for (;;) {
    const furthest = engines.filter(({ range }) => range.from <= unit && range.to > unit).reduce((best: T | undefined, engine) => best === undefined || engine.range.to > best.range.to ? engine : best, undefined)
    if (furthest !== undefined) {
      cover.push({ engine: furthest, range: { from: unit, to: furthest.range.to } })
      unit = furthest.range.to
      continue
    }
    const next = starts.find(start => start > unit)
    if (next === undefined) return cover
    unit = next
  }
}

/** Units that none of the ranges has. */
export function missingUnits (ranges: ReadonlyArray<{ range: UnitRange }>, unitCount: number): number[] {
  return Array.from({ length: unitCount }, (_value, unit) => unit).filter(unit => !ranges.some(({ range }) => range.from <= unit && unit < range.to))
}
