/**
 * Resident memory of a peer process that hosts a whole model and has served a
 * session, against what it must hold: weights, keys and values, kept inputs,
 * and an allowance for Node and libp2p. The peer is `efedllm peer` as it is
 * installed: build it first.
 *
 *   node scripts/bench-memory.ts --model MODEL [--positions 2048] [--threads 1] [--json]
 */
import { readFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { connectRoute, createPeerNode, openModel } from '../src/index.ts'
import { describeMachine, machineLines } from '../src/cli/machine.ts'
import { startPeers } from '../src/cli/peer-processes.ts'
import { tableLines } from './figures.ts'
import { tokensAt } from './peer-process.ts'
import { root } from './set-up.mjs'

const { values } = parseArgs({
  options: {
    model: { type: 'string' },
    positions: { type: 'string', default: '2048' },
    threads: { type: 'string', default: String(availableParallelism()) },
    json: { type: 'boolean', default: false }
  }
})
if (values.model === undefined) {
  console.error('usage: node scripts/bench-memory.ts --model MODEL [--positions 2048] [--threads 1] [--json]')
  process.exit(2)
}
const positions = Number(values.positions)
const threads = Number(values.threads)

/** What Node, libp2p and the rest of the process may hold besides. */
const ALLOWANCE = 200e6

const model = await openModel(values.model)
const { layerCount, keyValueHeadCount, headSize } = model.architecture
const { peers: [{ pid, ready }], stop } = await startPeers({
  program: [process.execPath, join(root, 'bin/efedllm.mjs')],
  peers: [['--model', values.model, '--threads', values.threads, '--listen', '/ip4/127.0.0.1/tcp/0', '--ephemeral', '--exit-with-parent', '--json']],
  signal: new AbortController().signal,
  onExit: action => {
    process.once('exit', action)
    return () => process.off('exit', action)
  }
})
const node = createPeerNode({})
await node.start()
const session = await connectRoute({ node, model, addresses: ready.addresses, capacity: positions })

const started = resident(pid)
await session.step({ position: 0, tokens: tokensAt(0, positions - 8, model.architecture.vocabularySize) })
const prefilled = resident(pid)
for (let token = 0; token < 8; token++) {
  await session.step({ tokens: tokensAt(token, 1, model.architecture.vocabularySize), outputs: [{ row: 0, output: { kind: 'top', count: 1 } }] })
}
const { rss, shared } = resident(pid)
await node.stop()
await stop()

/** Linux: resident bytes of a process, and those of them that are memory shared between its threads (and mapped files). */
function resident (pid: number): { rss: number, shared: number } {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8')
  const kilobytes = (name: string): number => Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(status)?.[1] ?? NaN)
  return { rss: kilobytes('VmRSS') * 1024, shared: (kilobytes('RssFile') + kilobytes('RssShmem')) * 1024 }
}

const units = Array.from({ length: layerCount + 2 }, (_, index) => model.unit(index))
/** Of each place in the files once: a tied head has no bytes of its own. */
const weights = [...new Map(units.flatMap(({ tensors }) => Object.values(tensors)).map(({ path, offset, byteLength }) => [`${path}:${offset}`, byteLength])).values()]
  .reduce((sum, length) => sum + length, 0)
/** A byte an element, and a float32 scale for 32 of them, or for a head that is smaller. */
const block = Math.min(32, headSize)
const keysAndValues = positions * layerCount * 2 * keyValueHeadCount * (headSize + 4 * headSize / block)
/** A stage that begins with the embedding keeps token ids. */
const keptInputs = 4 * positions
const sum = weights + keysAndValues + keptInputs + ALLOWANCE

const machine = describeMachine()
if (values.json) {
  console.log(JSON.stringify({ machine, positions, threads, resident: rss, residentAtStart: started.rss, residentAfterPrompt: prefilled.rss, residentFiles: shared, weights, keysAndValues, keptInputs, allowance: ALLOWANCE, sum, share: rss / sum }))
} else {
  const figure = (bytes: number): string => (bytes / 1e6).toFixed(1)
  console.log([
    ...machineLines(machine), '',
    ...tableLines([
      ['', 'MB'],
      ['weights, as stored', figure(weights)],
      [`keys and values of ${positions} positions`, figure(keysAndValues)],
      ['kept inputs', figure(keptInputs)],
      ['allowance', figure(ALLOWANCE)],
      ['sum', figure(sum)],
      [`resident, ${threads} thread${threads === 1 ? '' : 's'}`, figure(rss)],
      ['of that before the session', figure(started.rss)],
      ['of that files', figure(shared)]
    ]),
    `resident ÷ sum: ${(rss / sum).toFixed(2)}`
  ].join('\n'))
}
process.exit(0)
