import { createEngine, createOracleEngine } from '../../src/engine/index.ts'
import type { BatchItem, Engine, EngineInit } from '../../src/engine/index.ts'
import type { Weights } from './open-weights.ts'
import { wholeModel } from './open-weights.ts'

export interface EngineKind {
  name: string
  create: (init: EngineInit) => Promise<Engine>
}

/** All engines that must give the bits of profile `exact-1`. */
export const exactEngines: EngineKind[] = [
  { name: 'oracle', create: createOracleEngine },
  { name: 'real engine', create: createEngine }
]

/** Opens an engine over a whole model (or `to` units of it), uses it, and stops it. */
export async function withEngine<T> (
  create: EngineKind['create'], weights: Weights, use: (engine: Engine) => Promise<T>, options: Partial<EngineInit> = {}
): Promise<T> {
  const engine = await create({ ...wholeModel(weights), ...options })
  try {
    return await use(engine)
  } finally {
    await engine.stop()
  }
}

/** Outputs that ask for the logits of every row. */
export function allLogits (rows: number): BatchItem['outputs'] {
  return Array.from({ length: rows }, (_, row) => ({ row, output: { kind: 'logits' } }))
}

/** Logits of all positions, rows one after another, computed in chunks of the given size. */
export async function logitsOf (engine: Engine, session: number, ids: Uint32Array, chunk = ids.length, from = 0): Promise<Float32Array> {
  const { vocabularySize } = engine.architecture
  const all = new Float32Array((ids.length - from) * vocabularySize)
  for (let position = from; position < ids.length; position += chunk) {
    const tokens = ids.slice(position, position + chunk)
    const [result] = await engine.run([{ session, position, tokens, outputs: allLogits(tokens.length) }])
    for (const { row, logits } of result.rows!) all.set(logits!, (position - from + row) * vocabularySize)
  }
  return all
}

/** Hidden state of all positions after the last unit of an engine without head. */
export async function hiddenOf (engine: Engine, ids: Uint32Array): Promise<Float32Array> {
  const session = engine.openSession()
  const [result] = await engine.run([{ session, position: 0, tokens: ids }])
  engine.closeSession(session)
  return result.hidden!
}

/** Greedy continuation of a session that holds nothing yet. */
export async function greedy (engine: Engine, ids: Uint32Array, count: number): Promise<number[]> {
  const session = engine.openSession()
  const tokens: number[] = []
  let input = ids
  let position = 0
  while (tokens.length < count) {
    const [result] = await engine.run([{
      session, position, tokens: input, outputs: [{ row: input.length - 1, output: { kind: 'top', count: 1 } }]
    }])
    position += input.length
    tokens.push(result.rows![0].ids![0])
    input = Uint32Array.of(tokens[tokens.length - 1])
  }
  engine.closeSession(session)
  return tokens
}

/** ‖a − b‖ ÷ ‖b‖ */
export function relativeDistance (a: Float32Array, b: Float32Array): number {
  let difference = 0
  let size = 0
  for (let i = 0; i < b.length; i++) {
    difference += (a[i] - b[i]) ** 2
    size += b[i] ** 2
  }
  return Math.sqrt(difference / size)
}
