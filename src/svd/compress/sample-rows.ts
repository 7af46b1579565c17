import type { Matrix } from '../types.ts'

/** At most `count` rows of a matrix, evenly spread. */
export function sampleRows ({ rows, columns, data }: Matrix, count: number): Matrix {
  const chosen = Math.min(rows, count)
  const sample = new Float64Array(chosen * columns)
  for (let i = 0; i < chosen; i++) {
    const at = Math.floor(i * rows / chosen) * columns
    sample.set(data.subarray(at, at + columns), i * columns)
  }
  return { rows: chosen, columns, data: sample }
}
