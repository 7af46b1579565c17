import { unitName } from '../../engine/index.ts'

/** `embed, layer 2 to layer 4`; the units ascend. */
export function unitNames (units: readonly number[], unitCount: number): string {
  const parts: string[] = []
  const name = (i: number) => unitName(units[i], { layerCount: unitCount - 2 })
  for (let start = 0; start < units.length;) {
    let end = start
    while (end + 1 < units.length && units[end + 1] === units[end] + 1) end++
    parts.push(start === end ? name(start) : `${name(start)} to ${name(end)}`)
    start = end + 1
  }
  return parts.join(', ')
}
