import { checkMatrix } from '../low-rank.ts'
import { ScalarEngine } from '../scalar/scalar-engine.ts'
import { loadUnits } from '../scalar/weights.ts'
import type { AbortOptions, Engine, EngineInit } from '../types.ts'
import { loadMatrix } from './matrix.ts'
import { ReferenceArithmetic } from './reference-arithmetic.ts'
import type { ReferenceOptions } from './reference-arithmetic.ts'

/**
 * The float32 reference engine: is the model right? Weights are dequantised to
 * float32 (4 bytes a weight of memory), sums are binary64. It never serves.
 *
 * @throws UnsupportedModelError where a unit lacks a tensor; errors of `readTensor`
 */
export async function createReferenceEngine (init: EngineInit & ReferenceOptions, options: AbortOptions = {}): Promise<Engine> {
  const units = await loadUnits(init, (source, role) => {
    if (source.shape.length > 1) checkMatrix(role, source)
    return loadMatrix(source)
  }, options)
  return new ScalarEngine(init, new ReferenceArithmetic(init.architecture, units, init))
}
