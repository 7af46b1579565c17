import { parentPort, workerData } from 'node:worker_threads'
import { Arena } from './arena.ts'
import { loadUnit, ownMatrices } from './load.ts'
import { Program } from './program.ts'
import { fastestVariant } from './race.ts'
import type { Architecture, UnitSource } from '../../model/index.ts'
import type { ArenaLayout } from './arena-layout.ts'
import type { KernelVariant } from './kernels.ts'
import type { Step, StepResult } from './step.ts'

export interface WorkerInit {
  architecture: Architecture
  arenas: Array<{ layout: ArenaLayout, memory: WebAssembly.Memory }>
  module: WebAssembly.Module
  variant: KernelVariant
  thread: number
  threads: number
}

export type Request =
  | { type: 'load', arena: number, unit: number, source: UnitSource }
  | { type: 'race' }
  | { type: 'variant', variant: KernelVariant }
  | { type: 'step', step: Step }

export type Reply =
  | { type: 'done', variant?: KernelVariant, result?: StepResult }
  | { type: 'failed', error: unknown }

const init = workerData as WorkerInit
const arenas = init.arenas.map(({ layout, memory }) => new Arena(layout, memory, init.module, init.variant, init.thread, init.threads))
const program = new Program(init.architecture, arenas)

function handle (request: Request): Reply {
  switch (request.type) {
    case 'load': {
      const { layout, memory } = arenas[request.arena]
      const unit = layout.units.find(unit => unit.unit === request.unit)!
      loadUnit(ownMatrices(layout, unit), request.source, memory)
      return { type: 'done' }
    }
    case 'race':
      return { type: 'done', variant: fastestVariant(arenas[0]) }
    case 'variant':
      for (const arena of arenas) arena.variant = request.variant
      return { type: 'done' }
    case 'step':
      return { type: 'done', result: program.run(request.step) }
  }
}

parentPort!.on('message', (request: Request) => {
  try {
    parentPort!.postMessage(handle(request))
  } catch (error) {
    parentPort!.postMessage({ type: 'failed', error } satisfies Reply)
  }
})
