/** What benchmark scripts do with their figures. */

export function median (values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
}

export function minimum (values: readonly number[]): number {
  return values.reduce((a, b) => Math.min(a, b), Infinity)
}

export function maximum (values: readonly number[]): number {
  return values.reduce((a, b) => Math.max(a, b), -Infinity)
}

/** A table in Markdown, which can be read as it is; the first row is the head. */
export function tableLines (rows: string[][]): string[] {
  const widths = rows[0].map((_, column) => maximum(rows.map(row => row[column].length)))
  const line = (cells: string[]) => `| ${cells.map((cell, column) => cell.padEnd(widths[column])).join(' | ')} |`
  return [line(rows[0]), line(widths.map(width => '-'.repeat(width))), ...rows.slice(1).map(line)]
}
