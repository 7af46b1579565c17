import { Worker } from 'node:worker_threads'
import { EngineStoppedError, WorkerFailedError } from '../errors.ts'
import { YOUNG_GENERATION_MEGABYTES } from './constants.ts'
import type { EngineRequest, EngineSetup, Reply, Request, WorkerInit } from './worker.ts'

export type Done = Extract<Reply, { type: 'done' }>
type Step = Extract<Request, { type: 'step' }>

/** An engine that uses the threads of a group. */
export interface Member {
  readonly id: number
  /** kept as it is now, for threads that are started anew */
  setup: EngineSetup
  /** set once the engine is of no more use */
  failure: Error | undefined
}

interface Pending {
  member: Member
  request: Request
  resolve: (reply: Done) => void
  reject: (error: unknown) => void
}

/** A thread and what it was asked, in order. */
interface Lane {
  worker: Worker
  pending: Pending[]
}

interface StepTurn {
  member: Member
  request: Step
  resolve: (replies: Done[]) => void
  reject: (error: unknown) => void
}

const groups = new Map<number, WorkerGroup>()

/** The group of so many threads, which all engines of this process share. */
export function workerGroup (threads: number): WorkerGroup {
  let group = groups.get(threads)
  if (group === undefined) {
    group = new WorkerGroup(threads)
    groups.set(threads, group)
  }
  return group
}

/**
 * Worker threads that run the kernels of one or more engines. A step takes all
 * threads, which wait for each other, so there is one at a time and engines
 * take turns; everything else goes to a thread by itself. Threads keep nothing
 * but views of the engines' memories: where one fails, the engine that it
 * worked for fails, and the others go on with new threads.
 */
export class WorkerGroup {
  readonly threads: number
  readonly #members = new Set<Member>()
  readonly #turns: StepTurn[] = []
  #lanes: Lane[] = []
  /** the step that runs, and how many threads are still at it */
  #running: { member: Member, threads: number } | undefined
  #nextId = 1

  constructor (threads: number) {
    this.threads = threads
  }

  /** Threads start with the first engine. */
  attach (setup: EngineSetup): Member {
    const member: Member = { id: this.#nextId++, setup, failure: undefined }
    this.#members.add(member)
    if (this.#lanes.length === 0) this.#startThreads()
    else this.#introduce(member)
    return member
  }

  /** Sends a request to one thread. The process stays alive until the answer. */
  async ask (member: Member, thread: number, request: Exclude<Request, Step>): Promise<Done> {
    return await new Promise((resolve, reject) => { this.#post(this.#lanes[thread], { member, request, resolve, reject }) })
  }

  /** Runs a step on all threads once it is the engine's turn; the answers are in the order of the threads. */
  async step (member: Member, request: Step): Promise<Done[]> {
    return await new Promise((resolve, reject) => {
      if (member.failure !== undefined) return reject(member.failure)
      this.#turns.push({ member, request, resolve, reject })
      this.#nextStep()
    })
  }

  /** Whatever the engine waits for fails. Resolves when no thread uses its memory any more; the last engine takes the threads with it. */
  async detach (member: Member): Promise<void> {
    if (!this.#members.delete(member)) return
    this.#fail(member, new EngineStoppedError())
    if (this.#members.size === 0) {
      groups.delete(this.threads)
      await this.#endThreads()
      return
    }
    await Promise.all(this.#lanes.map(async lane => await new Promise<void>(resolve => {
      const over = (): void => resolve()
      this.#send(lane, { member, request: { type: 'detach' }, resolve: over, reject: over })
    })))
  }

  #startThreads (): void {
    const url = new URL(`./worker${import.meta.url.slice(import.meta.url.lastIndexOf('.'))}`, import.meta.url)
    this.#lanes = Array.from({ length: this.threads }, (_, thread) => {
      const worker = new Worker(url, { resourceLimits: { maxYoungGenerationSizeMb: YOUNG_GENERATION_MEGABYTES }, workerData: { thread, threads: this.threads } satisfies WorkerInit })
      const lane: Lane = { worker, pending: [] }
      worker.on('message', (reply: Reply) => { if (this.#lanes.includes(lane)) this.#answered(lane, reply) })
      worker.on('error', error => { this.#lost(lane, error.message, error) })
      worker.on('exit', code => { this.#lost(lane, `it ended with code ${code}`) })
      worker.unref()
      return lane
    })
    for (const member of this.#members) if (member.failure === undefined) this.#introduce(member)
  }

  #introduce (member: Member): void {
    const request: Request = { type: 'attach', setup: member.setup }
    for (const lane of this.#lanes) {
      this.#post(lane, { member, request, resolve: () => {}, reject: error => { this.#fail(member, failureOf(error)) } })
    }
  }

  #post (lane: Lane, pending: Pending): void {
    if (pending.member.failure !== undefined) pending.reject(pending.member.failure)
    else this.#send(lane, pending)
  }

  #send (lane: Lane, pending: Pending): void {
    lane.worker.ref()
    lane.pending.push(pending)
    lane.worker.postMessage({ engine: pending.member.id, request: pending.request } satisfies EngineRequest)
  }

  #answered (lane: Lane, reply: Reply): void {
    const { member, request, resolve, reject } = lane.pending.shift()!
    if (lane.pending.length === 0) lane.worker.unref()
    if (reply.type === 'failed' && request.type === 'step') {
      // the other threads of the step wait for this one at a barrier for ever
      reject(failureOf(reply.error))
      this.#restart(member, failureOf(reply.error))
      return
    }
    if (reply.type === 'done') resolve(reply)
    else reject(reply.error)
    if (request.type !== 'step' || this.#running === undefined || --this.#running.threads > 0) return
    this.#running = undefined
    this.#nextStep()
  }

  #nextStep (): void {
    if (this.#running !== undefined) return
    const turn = this.#turns.shift()
    if (turn === undefined) return
    const { member, request } = turn
    this.#running = { member, threads: this.threads }
    const replies = this.#lanes.map(async lane => await new Promise<Done>((resolve, reject) => { this.#send(lane, { member, request, resolve, reject }) }))
    Promise.all(replies).then(turn.resolve, turn.reject)
  }

  /** A thread ended by itself. Whoever it worked for has to bear it. */
  #lost (lane: Lane, reason: string, cause?: unknown): void {
    if (!this.#lanes.includes(lane)) return
    const culprit = this.#running?.member ?? lane.pending[0]?.member
    this.#restart(culprit, new WorkerFailedError(reason, { cause }))
  }

  /** Ends all threads, whatever they do, and starts others for the engines that are left. */
  #restart (culprit: Member | undefined, error: Error): void {
    if (culprit !== undefined) this.#fail(culprit, error)
    const old = this.#lanes
    this.#endThreads()
    const left = old.map(({ pending }) => pending.filter(({ member, request }) => member.failure === undefined && request.type !== 'attach'))
    if ([...this.#members].some(({ failure }) => failure === undefined)) this.#startThreads()
    this.#lanes.forEach((lane, thread) => {
      // no step runs but the culprit's, so what is left is loading, which may be done twice
      for (const pending of left[thread]) this.#send(lane, pending)
    })
    this.#nextStep()
  }

  #fail (member: Member, error: Error): void {
    if (member.failure !== undefined) return
    member.failure = error
    for (const { pending } of this.#lanes) {
      for (const request of pending) if (request.member === member) request.reject(error)
    }
    for (const turn of this.#turns.filter(turn => turn.member === member)) {
      this.#turns.splice(this.#turns.indexOf(turn), 1)
      turn.reject(error)
    }
  }

  async #endThreads (): Promise<void> {
    const lanes = this.#lanes
    this.#lanes = []
    this.#running = undefined
    await Promise.all(lanes.map(async ({ worker }) => await worker.terminate()))
    for (const { request, resolve } of lanes.flatMap(({ pending }) => pending)) {
      if (request.type === 'detach') resolve({ type: 'done' })
    }
  }
}

function failureOf (error: unknown): Error {
  return new WorkerFailedError(String(error), { cause: error })
}
