import { expect } from 'chai'
import { readFileSync } from 'node:fs'

/** Examples of docs/json.md, by the word after `json`. */
export const examples = new Map([...readFileSync(new URL('../../../docs/json.md', import.meta.url), 'utf8').matchAll(/^```json (\w+)\n([^]*?)^```/gm)]
  .map(([, name, text]) => [name, JSON.parse(text) as unknown]))

/** A value has exactly the fields of its example, of the same types. */
export function expectAsDocumented (value: unknown, name: string): void {
  const example = examples.get(name)
  expect(shape(value, example)).to.deep.equal(shape(example, example))
}

/** Names and types of fields, of objects in arrays too; an empty object in the example stands for any. */
function shape (value: unknown, example: unknown): unknown {
  if (Array.isArray(value)) return value.length === 0 ? [] : [shape(value[0], Array.isArray(example) ? example[0] : undefined)]
  if (value === null) return 'null'
  if (typeof value !== 'object') return typeof value
  const fields = example as Record<string, unknown> | undefined
  if (fields !== undefined && Object.keys(fields).length === 0) return {}
  return Object.fromEntries(Object.entries(value).map(([key, field]) => [key, shape(field, fields?.[key])]))
}
