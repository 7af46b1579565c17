/**
 * Reading plain data of unknown shape. Every failure names the field; elements
 * of long arrays give their index apart, since a name for each would cost more
 * than the reading.
 */
import { MAX_VOCABULARY } from './constants.ts'
import { TokenizerFormatError } from './errors.ts'

export type Fields = Record<string, unknown>

export function asObject (value: unknown, field: string): Fields {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new TokenizerFormatError(field, `is ${describe(value)}, an object is expected`)
  }
  return value as Fields
}

export function asArray (value: unknown, field: string, maximum: number): ArrayLike<unknown> {
  if (!Array.isArray(value) && !(ArrayBuffer.isView(value) && !(value instanceof DataView))) {
    throw new TokenizerFormatError(field, `is ${describe(value)}, an array is expected`)
  }
  const array = value as ArrayLike<unknown>
  if (array.length > maximum) {
    throw new TokenizerFormatError(field, `has ${array.length} elements, more than ${maximum}`)
  }
  return array
}

export function asString (value: unknown, field: string, maximum: number, index?: number | string): string {
  if (typeof value !== 'string') {
    throw new TokenizerFormatError(element(field, index), `is ${describe(value)}, a string is expected`)
  }
  if (value.length > maximum) {
    throw new TokenizerFormatError(element(field, index), `is ${value.length} characters long, more than ${maximum}`)
  }
  return value
}

export function asBoolean (value: unknown, field: string): boolean {
  if (typeof value !== 'boolean') throw new TokenizerFormatError(field, `is ${describe(value)}, true or false is expected`)
  return value
}

export function asNumber (value: unknown, field: string, index?: number): number {
  if (typeof value !== 'number' || !Number.isFinite(value)) {
    throw new TokenizerFormatError(element(field, index), `is ${describe(value)}, a finite number is expected`)
  }
  return value
}

/** A token id below `limit`; 64-bit integers may come as bigint. */
export function asId (value: unknown, field: string, limit: number = MAX_VOCABULARY, index?: number | string): number {
  const id = typeof value === 'bigint' ? Number(value) : value
  if (typeof id !== 'number' || !Number.isInteger(id) || id < 0 || id >= limit) {
    throw new TokenizerFormatError(element(field, index), `is ${describe(value)}, a token id below ${limit} is expected`)
  }
  return id
}

/** Treats a missing field as one that is null. */
export function optional<T> (value: unknown, read: (value: unknown) => T): T | null {
  return value === undefined || value === null ? null : read(value)
}

/** Name of an element, such as `merges[3]`. */
export function element (field: string, index: number | string | undefined): string {
  if (index === undefined) return field
  return `${field}[${typeof index === 'string' ? JSON.stringify(index.slice(0, 80)) : index}]`
}

function describe (value: unknown): string {
  if (value === undefined) return 'missing'
  if (value === null || typeof value === 'number' || typeof value === 'bigint' || typeof value === 'boolean') return String(value)
  return Array.isArray(value) ? 'an array' : `of type ${typeof value}`
}
