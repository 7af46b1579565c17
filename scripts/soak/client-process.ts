/** Some clients in a process of their own, each with its own identity; the parent asks how they fare. */
import { createPeerNode, openModel } from '../../src/index.ts'
import { createRandom } from '../../test/support/simulation/random.ts'
import { emptyOutcome, runClient } from './client.ts'
import type { Outcome } from './client.ts'
import { createTasks } from './tasks.ts'

export interface ClientsInit {
  model: string
  text: string
  clients: number
  addresses: string[]
  seed: number
}

export type ToClients = { type: 'start', init: ClientsInit } | { type: 'ask' } | { type: 'end' }

export interface FromClients {
  outcome: Outcome
  memory: NodeJS.MemoryUsage
  ended: boolean
}

const outcome = emptyOutcome()
const ending = new AbortController()
let ended = false

async function start ({ model: path, text, clients, addresses, seed }: ClientsInit): Promise<void> {
  const model = await openModel(path)
  const tasks = await createTasks(model, text, seed)
  tell()
  await Promise.all(Array.from({ length: clients }, async (_value, number) => {
    const node = createPeerNode({ discovery: {} })
    await node.start()
    await runClient({ node, model, addresses, tasks, random: createRandom(seed * 1000 + number), outcome }, ending.signal)
    await node.stop()
  }))
  ended = true
  tell()
}

function tell (): void {
  globalThis.gc?.()
  const answer: FromClients = { outcome, memory: process.memoryUsage(), ended }
  process.send?.(answer)
}

process.on('message', message => {
  const { type, init } = message as { type: ToClients['type'], init: ClientsInit }
  if (type === 'start') start(init).catch(error => { throw error })
  else if (type === 'end') ending.abort()
  else tell()
})
process.on('disconnect', () => process.exit(0))
