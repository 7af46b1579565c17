import { parentPort, workerData } from 'node:worker_threads'
import { Arena } from './arena.ts'
import { loadUnit, ownMatrices } from './load.ts'
import { Program } from './program.ts'
import { fastestKernels } from './race.ts'
import type { Architecture, UnitSource } from '../../model/index.ts'
import type { ArenaLayout } from './arena-layout.ts'
import type { KernelChoice } from './kernels.ts'
import type { Step, StepResult } from './step.ts'

/** Which of the threads of its group a worker is. */
export interface WorkerInit {
  thread: number
  threads: number
}

/** What the threads need to know of an engine. */
export interface EngineSetup {
  architecture: Architecture
  arenas: Array<{ layout: ArenaLayout, memory: WebAssembly.Memory }>
  module: WebAssembly.Module
  kernels: KernelChoice
}

export type Request =
  | { type: 'attach', setup: EngineSetup }
  | { type: 'detach' }
  | { type: 'load', arena: number, unit: number, source: UnitSource }
  | { type: 'race' }
  | { type: 'kernels', kernels: KernelChoice }
  | { type: 'step', step: Step }

/** A request on behalf of one of the engines that share the threads. */
export interface EngineRequest {
  engine: number
  request: Request
}

export type Reply =
  | { type: 'done', kernels?: KernelChoice, result?: StepResult }
  | { type: 'failed', error: unknown }

const { thread, threads } = workerData as WorkerInit
const engines = new Map<number, { arenas: Arena[], program: Program }>()

function attach (engine: number, { architecture, arenas: layouts, module, kernels }: EngineSetup): void {
  const arenas = layouts.map(({ layout, memory }) => new Arena(layout, memory, module, kernels, thread, threads))
  engines.set(engine, { arenas, program: new Program(architecture, arenas) })
}

function handle ({ engine, request }: EngineRequest): Reply {
  if (request.type === 'attach') attach(engine, request.setup)
  if (request.type === 'detach') engines.delete(engine)
  const { arenas, program } = engines.get(engine) ?? { arenas: [] }
  switch (request.type) {
    case 'load': {
      const { layout, memory } = arenas[request.arena]
      const unit = layout.units.find(unit => unit.unit === request.unit)!
      loadUnit(ownMatrices(layout, unit), request.source, memory)
      break
    }
    case 'race':
      return { type: 'done', kernels: fastestKernels(arenas[0]) }
    case 'kernels':
      for (const arena of arenas) arena.choice = request.kernels
      break
    case 'step':
      return { type: 'done', result: program!.run(request.step) }
  }
  return { type: 'done' }
}

parentPort!.on('message', (request: EngineRequest) => {
  try {
    parentPort!.postMessage(handle(request))
  } catch (error) {
    parentPort!.postMessage({ type: 'failed', error } satisfies Reply)
  }
})
