import { readTensor } from '../../model/index.ts'
import type { Architecture, TensorRole } from '../../model/index.ts'
import { UnsupportedModelError } from '../errors.ts'
import { checkMatrix } from '../low-rank.ts'
import { ScalarEngine } from '../scalar/scalar-engine.ts'
import { loadUnits } from '../scalar/weights.ts'
import type { AbortOptions, Engine, EngineInit } from '../types.ts'
import { OracleArithmetic } from './oracle-arithmetic.ts'
import { loadMap } from './oracle-low-rank.ts'

const VECTORS: ReadonlySet<TensorRole> = new Set<TensorRole>([
  'attentionNorm', 'feedForwardNorm', 'finalNorm', 'queryNorm', 'keyNorm',
  'queryBias', 'keyBias', 'valueBias', 'attentionOutputBias'
])

/**
 * The scalar `exact-1` oracle: are the bits right? The real engine must equal
 * it bit for bit. It never serves.
 *
 * @throws UnsupportedModelError for shapes the profile does not define, or where a unit lacks a tensor
 */
export async function createOracleEngine (init: EngineInit, options: AbortOptions = {}): Promise<Engine> {
  checkShapes(init.architecture)
  const units = await loadUnits(init, (source, role) => {
    if (VECTORS.has(role)) return readTensor(source)
    checkMatrix(role, source)
    return loadMap(source)
  }, options)
  return new ScalarEngine(init, new OracleArithmetic(init.architecture, units))
}

function checkShapes (architecture: Architecture): void {
  const { hiddenSize, feedForwardSize, headCount, headSize, queryKeyNorm } = architecture
  const multiples: Array<[string, number, number]> = [
    ['hiddenSize', hiddenSize, 32],
    ['feedForwardSize', feedForwardSize, 32],
    ['headCount × headSize', headCount * headSize, 32],
    ['headSize', headSize, headSize > 32 ? 32 : queryKeyNorm ? 16 : 2]
  ]
  for (const [field, value, multiple] of multiples) {
    if (value % multiple !== 0) throw new UnsupportedModelError(field, `${value} is not a multiple of ${multiple}`)
  }
}
