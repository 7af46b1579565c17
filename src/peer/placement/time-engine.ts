import type { BatchItem, Engine } from '../../engine/index.ts'
import type { Architecture, UnitRange } from '../../model/index.ts'
import { LEAST_SECONDS, TIMED_STEPS } from './constants.ts'

/** One row for a range, at a position: its numbers mean nothing, and are those of an activation in size. */
export function timedRow ({ hiddenSize, layerCount }: Architecture, { from, to }: UnitRange): Pick<BatchItem, 'tokens' | 'hidden'> & { outputs: NonNullable<BatchItem['outputs']> } {
  const outputs: NonNullable<BatchItem['outputs']> = to === layerCount + 2 ? [{ row: 0, output: { kind: 'top', count: 1 } }] : []
  if (from === 0) return { tokens: Uint32Array.of(1), outputs }
  return { hidden: Float32Array.from({ length: hiddenSize }, (_value, index) => (index * 37 % 64 - 32) / 32), outputs }
}

/** Seconds that an engine which does nothing else takes for one row. Throws what the engine throws. */
export async function timeEngine (engine: Engine, { signal }: { signal: AbortSignal }): Promise<number> {
  const { architecture, range } = engine
  const session = engine.openSession()
  let least = Infinity
  try {
    for (let position = 0; position <= TIMED_STEPS; position++) {
      const started = performance.now()
      await engine.run([{ session, position, ...timedRow(architecture, range) }], { signal })
      if (position > 0) least = Math.min(least, performance.now() - started)
    }
  } finally {
    engine.closeSession(session)
  }
  return Math.max(least / 1000, LEAST_SECONDS)
}
