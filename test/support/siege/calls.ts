import { fork } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'

/** What a process of the siege can be asked for, by name; everything must survive structured cloning. */
export type Calls = Record<string, (...args: never[]) => unknown>

interface Question { number: number, name: string, args: never[] }
interface Reply { number: number, value?: unknown, error?: string }

/** A process that was started from here. */
export interface Remote<Served extends Calls> {
  readonly child: ChildProcess
  call<Name extends keyof Served & string> (name: Name, ...args: Parameters<Served[Name]>): Promise<Awaited<ReturnType<Served[Name]>>>
  kill (): Promise<void>
}

export function startRemote<Served extends Calls> (script: URL, execArgv: string[] = []): Remote<Served> {
  const child = fork(fileURLToPath(script), [], { execArgv, serialization: 'advanced' })
  const ended = once(child, 'exit')
  const waiting = new Map<number, PromiseWithResolvers<unknown>>()
  let numbers = 0
  child.on('message', ({ number, value, error }: Reply) => {
    const promise = waiting.get(number)
    waiting.delete(number)
    if (error === undefined) promise?.resolve(value)
    else promise?.reject(new Error(error))
  })
  ended.then(([code, signal]) => {
    for (const promise of waiting.values()) promise.reject(new Error(`the process ended with ${signal ?? code}`))
  })
  return {
    child,
    async call (name, ...args) {
      const promise = Promise.withResolvers<unknown>()
      if (child.exitCode !== null || child.signalCode !== null) throw new Error(`the process ended with ${child.signalCode ?? child.exitCode}`)
      waiting.set(++numbers, promise)
      child.send({ number: numbers, name, args })
      return await promise.promise as never
    },
    async kill () {
      child.kill('SIGKILL')
      if (child.exitCode === null && child.signalCode === null) await ended
    }
  }
}

/** The other side: answers whoever started this process, and ends with it. */
export function serveCalls (calls: Calls): void {
  process.on('message', ({ number, name, args }: Question) => {
    Promise.resolve().then(() => calls[name](...args)).then(
      value => { process.send!({ number, value } satisfies Reply) },
      error => { process.send!({ number, error: error instanceof Error ? error.stack ?? error.message : String(error) } satisfies Reply) }
    )
  })
  process.on('disconnect', () => process.exit(0))
}
