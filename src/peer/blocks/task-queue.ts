/** Something to be fetched by its hash from whoever has it. */
export interface FetchTask {
  /** blob id or modelId */
  hash: string
}

/**
 * Tasks that several sources work on. A task is taken by a source that may have
 * it, and done or put back. Pure bookkeeping; waiting is a promise.
 */
export interface TaskQueue<Task extends FetchTask> {
  /** a task that `lacks` does not rule out, or undefined where there is none now */
  take (lacks: ReadonlySet<string>): Task | undefined
  putBack (task: Task): void
  done (task: Task): void
  /** nothing waits and nothing is under way */
  readonly finished: boolean
  /** hash of a waiting task that none of these sources can have, or undefined while there is hope for all */
  hopeless (sources: Iterable<ReadonlySet<string>>): string | undefined
  /** resolves at the next change */
  changed (): Promise<void>
  /** for what changes outside: a source comes or goes */
  wake (): void
}

export function createTaskQueue<Task extends FetchTask> (tasks: readonly Task[]): TaskQueue<Task> {
  const waiting = [...tasks]
  let underWay = 0
  let change = Promise.withResolvers<void>()
  const wake = (): void => {
    change.resolve()
    change = Promise.withResolvers<void>()
  }
  return {
    take (lacks) {
      const index = waiting.findIndex(({ hash }) => !lacks.has(hash))
      if (index < 0) return undefined
      underWay++
      return waiting.splice(index, 1)[0]
    },
    putBack (task) {
      underWay--
      waiting.unshift(task)
      wake()
    },
    done () {
      underWay--
      wake()
    },
    get finished () {
      return waiting.length === 0 && underWay === 0
    },
    hopeless (sources) {
      const all = [...sources]
      return waiting.find(({ hash }) => all.every(lacks => lacks.has(hash)))?.hash
    },
    changed: async () => await change.promise,
    wake
  }
}
