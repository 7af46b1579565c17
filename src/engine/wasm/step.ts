import type { UnitRange } from '../../model/index.ts'
import type { RowOutput, RowResult } from '../types.ts'

/**
 * One pass over the weights: at most MAX_ROWS rows of any sessions that run the
 * same units. The same message goes to every thread. No two rows write the same
 * position.
 */
export interface Step {
  /** units that run */
  range: UnitRange
  rows: number
  /** position of each row in its session */
  positions: number[]
  /** number of the page table of each row's session */
  tables: number[]
  /** no two rows are of one session */
  apart: boolean
  /** rows that want an output, ascending */
  outputs: Array<{ row: number, output: RowOutput }>
}

/** What a thread found out in a step. */
export interface StepResult {
  rows: RowResult[]
  /** first row, and in it the first unit, that was not finite */
  notFinite: { row: number, unit: number } | null
  milliseconds: number
}
