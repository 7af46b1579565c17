import { InvalidArgumentError } from 'commander'
import { byteSize } from './byte-size.ts'
import { MAX_IDS } from './constants.ts'

// Parsers for commander: it puts the name of the option before the message.

/** Whole decimal numbers within bounds; `1e3`, `0x10`, `1.0` are refused. */
export function integer (least: number, most = Number.MAX_SAFE_INTEGER): (text: string) => number {
  return text => {
    const value = Number(text)
    if (!/^\d{1,16}$/.test(text) || value < least || value > most) {
      throw new InvalidArgumentError(`It must be a whole number ${bounds(least, most)}.`)
    }
    return value
  }
}

/** Decimal numbers within bounds, both included. */
export function decimal (least: number, most: number): (text: string) => number {
  return text => {
    const value = Number(text)
    if (!/^-?(\d+\.?\d*|\.\d+)(e-?\d{1,3})?$/i.test(text) || !(value >= least && value <= most)) {
      throw new InvalidArgumentError(`It must be a number ${bounds(least, most)}.`)
    }
    return value
  }
}

function bounds (least: number, most: number): string {
  return most >= Number.MAX_SAFE_INTEGER ? `from ${least} up` : `from ${least} to ${most}`
}

/** Milliseconds; `250ms`, `10s`, `2m`, and a bare number is seconds. */
export function duration (text: string): number {
  const value = time(text)
  if (value < 1) throw new InvalidArgumentError('It must be a time such as 10s, 250ms or 2m (a bare number is seconds).')
  return value
}

/** The same, or 0. */
export function time (text: string): number {
  const match = /^(\d{1,9}(?:\.\d{1,3})?)(ms|s|m)?$/.exec(text)
  const unit = { ms: 1, s: 1000, m: 60_000 }[match?.[2] ?? 's'] ?? 1000
  const value = Math.round(Number(match?.[1]) * unit)
  // timers of Node hold 31 bits
  if (match === null || value > 0x7fff_ffff) {
    throw new InvalidArgumentError('It must be a time such as 10s, 250ms or 2m (a bare number is seconds).')
  }
  return value
}

/** Bytes: `8GB`, `1.5GiB`, and a bare number. */
export function size (text: string): number {
  const bytes = byteSize(text)
  if (bytes === undefined || bytes < 1) throw new InvalidArgumentError('It must be a size such as 8GB, 1.5GiB or 900MB.')
  return bytes
}

/** Collects a repeatable option whose values may also be lists with commas. */
export function list (text: string, previous: string[] | undefined): string[] {
  const values = text.split(',').map(value => value.trim()).filter(value => value !== '')
  return [...(previous ?? []), ...values]
}

/** Collects a repeatable option as it is typed; nothing is trimmed. */
export function repeated (text: string, previous: string[] | undefined): string[] {
  if (text === '') throw new InvalidArgumentError('It must not be empty.')
  return [...(previous ?? []), text]
}

/** Token ids with commas between. */
export function idList (text: string): number[] {
  const parts = text.split(',').map(part => part.trim())
  if (parts.length > MAX_IDS) throw new InvalidArgumentError(`At most ${MAX_IDS} ids.`)
  return parts.map(part => {
    if (!/^\d{1,9}$/.test(part)) throw new InvalidArgumentError('It must be token ids with commas between, such as 1,2,3.')
    return Number(part)
  })
}
