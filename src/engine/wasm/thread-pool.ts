import { workerGroup } from './worker-group.ts'
import type { KernelChoice } from './kernels.ts'
import type { Done, Member, WorkerGroup } from './worker-group.ts'
import type { EngineSetup, Request } from './worker.ts'

/** An engine's share of the threads that all engines of this process with as many threads use. */
export class ThreadPool {
  readonly #group: WorkerGroup
  readonly #member: Member

  constructor (setup: EngineSetup, threads: number) {
    this.#group = workerGroup(threads)
    this.#member = this.#group.attach(setup)
  }

  get threads (): number {
    return this.#group.threads
  }

  /** Sends a request to one thread. The process stays alive until the answer. */
  async ask (thread: number, request: Extract<Request, { type: 'load' | 'race' }>): Promise<Done> {
    return await this.#group.ask(this.#member, thread, request)
  }

  /** Chooses the kernels that all threads run from now on. */
  async useKernels (kernels: KernelChoice): Promise<void> {
    this.#member.setup = { ...this.#member.setup, kernels }
    await Promise.all(Array.from({ length: this.threads }, async (_, thread) => await this.#group.ask(this.#member, thread, { type: 'kernels', kernels })))
  }

  /** Runs a step on all threads; the answers are in the order of the threads. */
  async step (request: Extract<Request, { type: 'step' }>): Promise<Done[]> {
    return await this.#group.step(this.#member, request)
  }

  /** Afterwards no thread uses the engine's memory any more. */
  async stop (): Promise<void> {
    await this.#group.detach(this.#member)
  }
}
