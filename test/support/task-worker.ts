// not by the door: each worker would load all of it
import { DecompositionError } from '../../src/svd/errors.ts'
import { serveTasks } from '../../src/svd/serve-tasks.ts'

/** What the worker of the pool's tests can be asked. */
export type TestTask =
  | { kind: 'echo', value: unknown }
  | { kind: 'spin', counter: Int32Array }
  | { kind: 'throw' | 'throwOther' | 'exit' | 'crash' | 'progress' }

serveTasks<TestTask, unknown>(async (task, onProgress) => {
  switch (task.kind) {
    case 'echo': return task.value
    case 'spin':
      // never ends by itself
      for (;;) Atomics.add(task.counter, 0, 1)
    case 'throw': throw new DecompositionError('on purpose')
    case 'throwOther': throw Object.assign(new TypeError('of another kind'), { code: 'ERR_OTHER' })
    case 'exit': return process.exit(3)
    case 'crash': return await new Promise(() => { setImmediate(() => { throw new Error('outside of a task') }) })
    case 'progress':
      for (let i = 0; i <= 1000; i++) onProgress(i / 1000)
      return undefined
  }
})
