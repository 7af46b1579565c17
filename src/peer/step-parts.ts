import type { BatchItem, BatchResult } from '../engine/index.ts'

/** Rows [from, from + count) of an item of `rows` rows, as an item; views, nothing is copied. */
export function partOf (item: BatchItem, rows: number, from: number, count: number): BatchItem {
  if (count === rows) return item
  const width = (item.hidden?.length ?? 0) / rows
  return {
    session: item.session,
    position: item.position + from,
    tokens: item.tokens?.subarray(from, from + count),
    hidden: item.hidden?.subarray(from * width, (from + count) * width),
    outputs: item.outputs?.filter(({ row }) => row >= from && row < from + count).map(({ row, output }) => ({ row: row - from, output }))
  }
}

/** Adds the result of the rows from `from` on to that of the rows before them; gives the result of the rows so far. */
export function addPart (before: BatchResult | undefined, part: BatchResult, rows: number, from: number, count: number): BatchResult {
  if (count === rows) return part
  const result: BatchResult = before ?? { session: part.session, milliseconds: 0, ...(part.rows === undefined ? {} : { rows: [] }) }
  if (part.hidden !== undefined) {
    result.hidden ??= new Float32Array(part.hidden.length / count * rows)
    result.hidden.set(part.hidden, part.hidden.length / count * from)
  }
  for (const row of part.rows ?? []) result.rows!.push({ ...row, row: row.row + from })
  result.milliseconds += part.milliseconds
  return result
}
