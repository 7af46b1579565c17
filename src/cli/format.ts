import { describeUnits } from './units.ts'
import type { GenerationResult, Reachability, StageDescription } from '../peer/index.ts'

/** Last characters of a peer id: its beginning is the same for all keys of a kind. */
export function shortPeerId (peerId: string): string {
  return `…${peerId.slice(-8)}`
}

/** `1.2 MB`; decimal units, as disks and networks are sold. */
export function bytes (count: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB']
  let value = count
  let unit = 0
  while (value >= 999.5 && unit < units.length - 1) {
    value /= 1000
    unit++
  }
  return `${unit === 0 ? value : value < 10 ? value.toFixed(1) : Math.round(value)} ${units[unit]}`
}

/** `640 ms`, `3.42 s`, `2 min 5 s` */
export function milliseconds (value: number): string {
  if (value < 999.5) return `${value < 10 ? value.toFixed(1) : Math.round(value)} ms`
  if (value < 99_950) return `${(value / 1000).toFixed(value < 9995 ? 2 : 1)} s`
  const seconds = Math.round(value / 1000)
  return `${Math.floor(seconds / 60)} min ${seconds % 60} s`
}

/** Three figures, or whole numbers where there are more. */
export function rate (value: number): string {
  return value >= 99.95 ? String(Math.round(value)) : value.toFixed(1)
}

/** Three figures; nothing for what was not measured. */
export function percent (share: number | null): string {
  return share === null ? '' : `${(share * 100).toPrecision(3)} %`
}

/** `directly: a peer reached it at 203.0.113.5, port 4001` */
export function reachabilityWords ({ status, reason }: Pick<Reachability, 'status' | 'reason'>): string {
  return `${{ direct: 'directly', relayed: 'through a relay', unreachable: 'not at all', unknown: 'nobody knows' }[status]}: ${reason}`
}

export function plural (count: number, noun: string): string {
  return `${count.toLocaleString('en')} ${noun}${count === 1 ? '' : 's'}`
}

/** Columns of text, padded; the last column is left as it is. */
export function table (rows: string[][], indent = '  '): string[] {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map(row => row[column].length)))
  return rows.map(row => (indent + row.map((cell, column) => cell.padEnd(widths[column])).join('  ')).trimEnd())
}

/** The stages of a route, one line each: number, units, peer, address. */
export function routeLines (route: StageDescription[], layerCount: number): string[] {
  return table(route.map(({ stage, range, local, peerId, addresses }) => [
    `stage ${stage}`,
    describeUnits(range, layerCount),
    local ? 'here' : `peer ${shortPeerId(peerId ?? '')}`,
    local ? '' : (addresses?.[0] ?? '').replace(/\/p2p\/[^/]+$/, '')
  ]))
}

const endings: Record<GenerationResult['stopReason'], string> = {
  'stop-token': 'the model ended the text',
  'stop-string': 'stop string',
  length: '--max-tokens reached',
  context: 'the context is full',
  aborted: 'interrupted'
}

/** What a generation took, in one line. */
export function timingsLine ({ tokenIds, promptTokens, reusedTokens, stopReason, timings }: GenerationResult): string {
  const computed = promptTokens - reusedTokens
  const parts = [
    `${plural(tokenIds.length, 'token')} in ${milliseconds(timings.firstTokenMilliseconds + timings.decodeMilliseconds)}`,
    timings.tokensPerSecond > 0 ? `${rate(timings.tokensPerSecond)} tokens/s` : '',
    tokenIds.length > 0 ? `first after ${milliseconds(timings.firstTokenMilliseconds)}` : '',
    `prompt ${plural(computed, 'token')}${reusedTokens > 0 ? ` (${reusedTokens.toLocaleString('en')} kept)` : ''}`,
    endings[stopReason]
  ]
  return parts.filter(part => part !== '').join(' · ')
}
