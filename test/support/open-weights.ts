import type { Architecture, UnitSource } from '../../src/model/index.ts'
export { openWeights } from '../../src/model/index.ts'

/** What an engine needs of a model. */
export interface Weights {
  architecture: Architecture
  unit: (index: number) => UnitSource
}

/** All units of a model, for an engine. */
export function wholeModel ({ architecture, unit }: Weights) {
  return { architecture, unit, range: { from: 0, to: architecture.layerCount + 2 } }
}
