import { join } from 'node:path'
import { Option } from 'commander'
import type { Command } from 'commander'
import type { Engine, EngineInit } from '../engine/index.ts'
import type { Model, UnitRange } from '../model/index.ts'
import type { Progress } from './progress.ts'

/** `wasm` serves; the other two check it. */
export type EngineName = 'wasm' | 'oracle' | 'reference'

export interface StartEngineInit {
  model: Model
  range?: UnitRange
  name?: EngineName
  threads?: number
  /** positions of KV cache */
  positions?: number
  /** variables that say where caches are */
  env: Record<string, string | undefined>
  progress: Progress
  signal: AbortSignal
}

export function addEngineOption (command: Command): Command {
  return command.addOption(new Option('-e, --engine <engine>', 'wasm serves; oracle is the slow scalar engine that must give the same bits; reference computes in float32')
    .choices(['wasm', 'oracle', 'reference']).default('wasm'))
}

/** An engine of a kind over a range of the model, all of it by default. */
export async function startEngine ({ model, range, name = 'wasm', threads, positions, env, progress, signal }: StartEngineInit): Promise<Engine> {
  const { createEngine, createOracleEngine, createReferenceEngine } = await import('../engine/index.ts')
  const { cacheDirectory } = await import('../model/index.ts')
  const init: EngineInit = {
    architecture: model.architecture,
    range: range ?? { from: 0, to: model.architecture.layerCount + 2 },
    unit: index => model.unit(index),
    threads,
    keyValuePositions: positions,
    kernelCache: join(cacheDirectory(env), 'kernels.json'),
    onProgress: ({ loaded, total }) => progress.update('loading', loaded, total)
  }
  const factories = { wasm: createEngine, oracle: createOracleEngine, reference: createReferenceEngine }
  try {
    return await factories[name](init, { signal })
  } finally {
    progress.stop()
  }
}
