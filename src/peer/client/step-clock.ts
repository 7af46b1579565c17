import { DECODE_ROWS, STALL_FACTOR, STALL_MEMORY } from '../constants.ts'

/**
 * Tells when a step takes so much longer than the ones before that its stage
 * must have stalled. It remembers the slowest of late, for a few rows and for a
 * row of many apart, since they cost so differently.
 */
export interface StepClock {
  /** a step of `rows` rows has been answered after `milliseconds` */
  observe (rows: number, milliseconds: number): void
  /** milliseconds after which one has stalled; undefined as long as nothing is known */
  limit (rows: number): number | undefined
}

/** `least`: no limit is shorter */
export function createStepClock (least: number): StepClock {
  let few: number | undefined
  let perRow: number | undefined
  const slowest = (before: number | undefined, now: number): number => Math.max(now, before === undefined ? 0 : STALL_MEMORY * before + (1 - STALL_MEMORY) * now)

  return {
    observe (rows, milliseconds) {
      if (rows <= DECODE_ROWS) few = slowest(few, milliseconds)
      else perRow = slowest(perRow, milliseconds / rows)
    },
    limit (rows) {
      // a row of many costs less than one alone; what is known of the other kind is better than nothing
      const usual = rows <= DECODE_ROWS
        ? few ?? (perRow === undefined ? undefined : perRow * DECODE_ROWS)
        : perRow === undefined ? (few === undefined ? undefined : few * rows) : perRow * rows
      return usual === undefined ? undefined : Math.max(least, STALL_FACTOR * usual)
    }
  }
}
