import { UsageError } from './errors.ts'
import type { UnitRange } from '../model/index.ts'

const layersHint = 'layers are numbered from 0 and the end is not included: --layers 0:4 hosts layers 0, 1, 2 and 3'

/**
 * Units for `--layers a:b`, layers counted from 0, b excluded. A range that
 * starts with layer 0 takes the embedding along, one that ends with the last
 * layer the head.
 */
export function parseLayers (text: string, layerCount: number): UnitRange {
  const { from, to } = parseBounds(text, '--layers', layersHint)
  if (to > layerCount) {
    throw new UsageError(`--layers ${text}: the model has ${layerCount} layers`, layersHint)
  }
  return { from: from === 0 ? 0 : from + 1, to: to === layerCount ? layerCount + 2 : to + 1 }
}

/**
 * Contiguous runs of units, ascending and merged, for a list such as
 * `embed,head`, `0:3,head`, `layer 4` or `all`. Numbers are unit numbers:
 * 0 is the embedding, i + 1 is layer i, layerCount + 1 the head.
 */
export function parseUnitList (text: string, layerCount: number, option: string): UnitRange[] {
  const unitCount = layerCount + 2
  const chosen = new Set<number>()
  for (const part of text.split(',').map(part => part.trim())) {
    const { from, to } = parseUnitPart(part, layerCount, option)
    if (to > unitCount) {
      throw new UsageError(`${option} ${part}: the model has ${unitCount} units, 0 (embed) to ${unitCount - 1} (head)`)
    }
    for (let unit = from; unit < to; unit++) chosen.add(unit)
  }
  return runs([...chosen].sort((a, b) => a - b))
}

/** One contiguous range for `--units`. */
export function parseUnits (text: string, layerCount: number): UnitRange {
  const ranges = parseUnitList(text, layerCount, '--units')
  if (ranges.length !== 1) {
    throw new UsageError(`--units ${text}: a peer hosts one contiguous range, these are ${ranges.length}`)
  }
  return ranges[0]
}

function parseUnitPart (part: string, layerCount: number, option: string): UnitRange {
  if (part === 'all') return { from: 0, to: layerCount + 2 }
  if (part === 'embed') return { from: 0, to: 1 }
  if (part === 'head') return { from: layerCount + 1, to: layerCount + 2 }
  const layer = /^layer ?(\d{1,6})$/.exec(part)
  if (layer !== null) {
    const index = Number(layer[1])
    if (index >= layerCount) throw new UsageError(`${option} ${part}: the model has ${layerCount} layers, 0 to ${layerCount - 1}`)
    return { from: index + 1, to: index + 2 }
  }
  return parseBounds(part, option, 'units are named embed, "layer N" and head, or given by number as from:to (0 is embed, N + 1 is layer N)')
}

function parseBounds (text: string, option: string, hint: string): UnitRange {
  const match = /^(\d{1,6}):(\d{1,6})$/.exec(text.trim())
  if (match === null) throw new UsageError(`${option} ${text}: not a range of the form from:to`, hint)
  const [from, to] = [Number(match[1]), Number(match[2])]
  if (from >= to) throw new UsageError(`${option} ${text}: the range is empty`, hint)
  return { from, to }
}

export function runs (units: readonly number[]): UnitRange[] {
  const ranges: UnitRange[] = []
  for (const unit of units) {
    const last = ranges.at(-1)
    if (last?.to === unit) last.to = unit + 1
    else ranges.push({ from: unit, to: unit + 1 })
  }
  return ranges
}

/** `embed, layers 0:3`, `layer 4`, `layers 5:8, head`; ends of ranges are excluded, as on the command line. */
export function describeUnits ({ from, to }: UnitRange, layerCount: number): string {
  const layers = [Math.max(from - 1, 0), Math.min(to - 1, layerCount)]
  const parts = from === 0 ? ['embed'] : []
  if (layers[1] - layers[0] === 1) parts.push(`layer ${layers[0]}`)
  else if (layers[1] > layers[0]) parts.push(`layers ${layers[0]}:${layers[1]}`)
  if (to === layerCount + 2) parts.push('head')
  return parts.join(', ')
}

/**
 * Splits the layers over peers as evenly as they go; earlier peers get the
 * larger parts, the last one has the head to carry. Gives `--layers` values.
 */
export function splitLayers (layerCount: number, peers: number): string[] {
  if (peers > layerCount) {
    throw new UsageError(`--peers ${peers}: the model has ${layerCount} layers, so at most ${layerCount} peers can share them`)
  }
  const bound = (peer: number): number => Math.ceil(peer * layerCount / peers)
  return Array.from({ length: peers }, (_, peer) => `${bound(peer)}:${bound(peer + 1)}`)
}

/** Numbers of the units that the fewest peers serve, of how many serve each. */
export function weakestUnits (holders: readonly number[]): number[] {
  const least = Math.min(...holders)
  return holders.flatMap((count, unit) => count === least ? [unit] : [])
}
