import type { Architecture, UnitName } from '../model/index.ts'

/** Name of a unit by its number: 0 is `embed`, i + 1 is `layer i`, the last is `head`. */
export function unitName (unit: number, { layerCount }: Pick<Architecture, 'layerCount'>): UnitName {
  return unit === 0 ? 'embed' : unit === layerCount + 1 ? 'head' : `layer ${unit - 1}`
}
