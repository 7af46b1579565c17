import { createHash } from 'node:crypto'
import { endianness } from 'node:os'
import type { Engine } from '../../src/engine/types.ts'
import { greedy, logitsOf } from './engines.ts'
import { GOLDEN_DIRECTORIES, GOLDEN_FILES, goldenModel, goldenPath, RANDOM_MODELS, readJson } from './golden-models.ts'
import { randomIds } from './random-weights.ts'

/** Bits of the outputs of one input: SHA-256 of float32, little-endian. */
export interface GoldenHash {
  ids: number[]
  /** logits of the last position */
  last: string
  /** logits of all positions, one after another */
  all: string
  /** greedy continuation, decoded one by one */
  greedy: number[]
}

/** SHA-256, hex, of float32 values in little-endian order. */
export function sha256 (values: Float32Array): string {
  const bytes = Buffer.from(values.buffer, values.byteOffset, values.byteLength)
  return createHash('sha256').update(endianness() === 'LE' ? bytes : Buffer.from(bytes).swap32()).digest('hex')
}

/** Runs one input in one piece. */
export async function hashOf (engine: Engine, ids: number[], decode: number): Promise<GoldenHash> {
  const session = engine.openSession({ capacity: ids.length })
  const logits = await logitsOf(engine, session, Uint32Array.from(ids))
  engine.closeSession(session)
  return {
    ids,
    last: sha256(logits.slice(-engine.architecture.vocabularySize)),
    all: sha256(logits),
    greedy: await greedy(engine, Uint32Array.from(ids), decode)
  }
}

/** Names of all models with golden hashes, and the inputs of each; those whose files are absent are left out. */
export function goldenInputs (): Map<string, number[][]> {
  const inputs = new Map<string, number[][]>()
  for (const name of [...GOLDEN_DIRECTORIES, ...GOLDEN_FILES]) {
    const golden = goldenModel(name)
    if (golden !== undefined) inputs.set(name, golden.cases.map(({ ids }) => ids))
  }
  for (const name of Object.keys(RANDOM_MODELS)) inputs.set(name, [1, 33, 100].map(count => [...randomIds(count, 320, count)]))
  const sotu = goldenPath('sotu-4m.json')
  if (sotu !== undefined) {
    const prompts = readJson<{ greedy: Array<{ ids: number[] }> }>(sotu).greedy.map(({ ids }) => ids)
    for (const name of ['sotu-4m', 'sotu-4m-compressed']) inputs.set(name, [...prompts, [...randomIds(150, 4096, 7)]])
  }
  return inputs
}
