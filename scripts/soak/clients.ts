import { fork } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { emptyOutcome } from './client.ts'
import type { Outcome } from './client.ts'
import type { ClientsInit, FromClients, ToClients } from './client-process.ts'
import { openHandles } from './needs.ts'
import type { Needs } from './needs.ts'

/** Clients in processes of their own. */
export interface SoakClients {
  readonly outcome: Outcome
  readonly needs: ReadonlyArray<{ name: string, samples: readonly Needs[] }>
  /** processes that ended by themselves */
  readonly oddities: string[]
  measure (seconds: number): Promise<void>
  /** lets them come to the end of what they write; false where some did not in time */
  end (milliseconds: number): Promise<boolean>
  stop (): void
}

interface Group {
  child: ChildProcess
  latest: FromClients
  samples: Needs[]
  ended: Promise<void>
}

const ANSWER_MILLISECONDS = 10_000

/** Resolves when they have begun to ask peers. */
export async function startClients (init: Omit<ClientsInit, 'clients'>, processes: number, clients: number): Promise<SoakClients> {
  const oddities: string[] = []
  let stopped = false
  const groups = await Promise.all(Array.from({ length: processes }, async (_value, number): Promise<Group> => {
    const child = fork(fileURLToPath(new URL('client-process.ts', import.meta.url)), { execArgv: ['--expose-gc'] })
    const first = once(child, 'message')
    const { promise: ended, resolve } = Promise.withResolvers<void>()
    const group: Group = { child, latest: { outcome: emptyOutcome(), memory: process.memoryUsage(), ended: false }, samples: [], ended }
    child.on('message', message => {
      group.latest = message as FromClients
      if (group.latest.ended) resolve()
    })
    child.on('exit', (code, signal) => {
      if (!stopped) oddities.push(`clients ${number + 1} ended by themselves: ${signal ?? `code ${code}`}`)
      resolve()
    })
    send(child, { type: 'start', init: { ...init, clients: clients / processes, seed: init.seed + number } })
    await first
    return group
  }))

  function send (child: ChildProcess, message: ToClients): void {
    if (child.connected) child.send(message)
  }

  return {
    get outcome () {
      return groups.map(({ latest }) => latest.outcome).reduce(sum, emptyOutcome())
    },
    get needs () {
      return groups.map(({ samples }, index) => ({ name: `clients ${index + 1}`, samples }))
    },
    oddities,
    async measure (seconds) {
      await Promise.all(groups.map(async ({ child, samples }) => {
        const answer = once(child, 'message', { signal: AbortSignal.timeout(ANSWER_MILLISECONDS) })
        send(child, { type: 'ask' })
        const [{ memory }] = await answer as [FromClients]
        samples.push({ seconds, residentBytes: memory.rss, heapBytes: memory.heapUsed, externalBytes: memory.external, handles: openHandles(child.pid!) })
      }))
    },
    async end (milliseconds) {
      for (const { child } of groups) send(child, { type: 'end' })
      const limit = new Promise<boolean>(resolve => setTimeout(resolve, milliseconds, false).unref())
      return await Promise.race([limit, Promise.all(groups.map(async ({ ended }) => await ended)).then(() => true)])
    },
    stop () {
      stopped = true
      for (const { child } of groups) child.kill('SIGKILL')
    }
  }
}

function sum (one: Outcome, other: Outcome): Outcome {
  const counts = (a: Record<string, number>, b: Record<string, number>): Record<string, number> =>
    Object.fromEntries([...new Set([...Object.keys(a), ...Object.keys(b)])].map(key => [key, (a[key] ?? 0) + (b[key] ?? 0)]))
  return {
    tokens: one.tokens + other.tokens,
    sessions: one.sessions + other.sessions,
    texts: one.texts + other.texts,
    wrong: [...one.wrong, ...other.wrong],
    refused: counts(one.refused, other.refused),
    interrupted: counts(one.interrupted, other.interrupted),
    interruptions: [...one.interruptions, ...other.interruptions],
    lost: one.lost + other.lost,
    unclear: [...one.unclear, ...other.unclear],
    pauses: [...one.pauses, ...other.pauses],
    waits: [...one.waits, ...other.waits],
    repairs: one.repairs + other.repairs,
    repairMilliseconds: [...one.repairMilliseconds, ...other.repairMilliseconds]
  }
}
