/**
 * JSON with keys in code unit order and without spaces: equal values have
 * equal text. For plain data of known shape only.
 */
export function canonicalJson (value: unknown): string {
  return JSON.stringify(value, (_, item: unknown) => {
    if (typeof item !== 'object' || item === null || Array.isArray(item)) return item
    const record = item as Record<string, unknown>
    const sorted: Record<string, unknown> = {}
    for (const key of Object.keys(record).sort()) sorted[key] = record[key]
    return sorted
  })
}
