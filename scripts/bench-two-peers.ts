/**
 * Two peers with one thread each, over encrypted libp2p on 127.0.0.1, beside
 * one peer with one thread and its engine alone: time of a decoded token, and
 * of a prompt in chunks of several sizes. Runs in turn.
 *
 *   node scripts/bench-two-peers.ts --model MODEL [--decode 64] [--prefill 512] [--chunks 16,32,64,128] [--runs 5] [--json]
 */
import { parseArgs } from 'node:util'
import { connectRoute, createPeerNode, openModel } from '../src/index.ts'
import { describeMachine, machineLines } from '../src/cli/machine.ts'
import { maximum, median, minimum, tableLines } from './figures.ts'
import { startPeer, tokensAt } from './peer-process.ts'
import type { RouteSession } from '../src/peer/index.ts'
import type { PeerProcess } from './peer-process.ts'

const { values } = parseArgs({
  options: {
    model: { type: 'string' },
    decode: { type: 'string', default: '64' },
    prefill: { type: 'string', default: '512' },
    chunks: { type: 'string', default: '16,32,64,128' },
    runs: { type: 'string', default: '5' },
    json: { type: 'boolean', default: false }
  }
})
if (values.model === undefined) {
  console.error('usage: node scripts/bench-two-peers.ts --model MODEL [--decode 64] [--prefill 512] [--chunks 16,32,64,128] [--runs 5] [--json]')
  process.exit(2)
}
const decodeTokens = Number(values.decode)
const promptTokens = Number(values.prefill)
const runs = Number(values.runs)
const chunkSizes = values.chunks.split(',').map(Number)

/** Positions before the decoded tokens. */
const DEPTH = 32
/** What a hop may cost at decode, in milliseconds; each way counts, and so does the one to the client. */
const HOP = 0.6
const HOPS = 3

interface Contestant {
  name: string
  /** milliseconds */
  run: () => Promise<number>
}

interface Measured {
  name: string
  median: number
  least: number
  most: number
}

const modelPath = values.model
const model = await openModel(modelPath)
const { architecture } = model
const middle = 1 + (architecture.layerCount >> 1)
const end = architecture.layerCount + 2
const positions = Math.ceil(Math.max(promptTokens, DEPTH + decodeTokens) / 1024) * 1024 * (chunkSizes.length + 4)
const [whole, first, second] = await Promise.all([undefined, { from: 0, to: middle }, { from: middle, to: end }]
  .map(async range => await startPeer({ model: modelPath, threads: 1, range, positions })))
const node = createPeerNode({})
await node.start()

async function connect (peers: PeerProcess[], chunkRows?: number): Promise<RouteSession> {
  return await connectRoute({ node, model, chunkRows, addresses: peers.map(({ address }) => address), capacity: Math.max(promptTokens, DEPTH + decodeTokens) })
}

async function decode (session: RouteSession): Promise<number> {
  await session.step({ position: 0, tokens: tokensAt(0, DEPTH, architecture.vocabularySize) })
  const started = performance.now()
  for (let token = 0; token < decodeTokens; token++) {
    await session.step({ tokens: tokensAt(DEPTH + token, 1, architecture.vocabularySize), outputs: [{ row: 0, output: { kind: 'top', count: 1 } }] })
  }
  return (performance.now() - started) / decodeTokens
}

async function prefill (session: RouteSession): Promise<number> {
  const started = performance.now()
  await session.step({ position: 0, tokens: tokensAt(0, promptTokens, architecture.vocabularySize), outputs: [{ row: promptTokens - 1, output: { kind: 'top', count: 1 } }] })
  return performance.now() - started
}

/** Whoever comes first in one run comes last in the next; the first run warms up. */
async function inTurn (contestants: Contestant[]): Promise<Measured[]> {
  const times = new Map(contestants.map(contestant => [contestant, [] as number[]]))
  for (let run = 0; run <= runs; run++) {
    for (const contestant of run % 2 === 0 ? contestants : contestants.toReversed()) {
      const milliseconds = await contestant.run()
      if (run > 0) times.get(contestant)!.push(milliseconds)
    }
  }
  return contestants.map(contestant => {
    const list = times.get(contestant)!
    return { name: contestant.name, median: median(list), least: minimum(list), most: maximum(list) }
  })
}

const one = await connect([whole])
const two = await connect([first, second])
const decoded = await inTurn([
  { name: 'engine alone', run: async () => await whole.measure({ type: 'decode', sessions: 1, tokens: decodeTokens, depth: DEPTH }) / decodeTokens },
  { name: 'one peer', run: async () => await decode(one) },
  { name: 'two peers', run: async () => await decode(two) }
])
const prompts = promptTokens === 0
  ? []
  : await inTurn([
    { name: 'engine alone, chunks of 64', run: async () => await whole.measure({ type: 'prefill', tokens: promptTokens, chunk: 64 }) },
    { name: 'one peer', run: async () => await prefill(one) },
    { name: 'two peers', run: async () => await prefill(two) },
    ...await Promise.all(chunkSizes.map(async rows => {
      const session = await connect([first, second], rows)
      return { name: `two peers, chunks of ${rows}`, run: async () => await prefill(session) }
    }))
  ])
await node.stop()
for (const peer of [whole, first, second]) peer.close()

const bar = decoded[0].median + HOPS * HOP
const machine = describeMachine()
if (values.json) {
  console.log(JSON.stringify({ machine, kernels: whole.kernels, decode: { tokens: decodeTokens, depth: DEPTH, bar, results: decoded }, prefill: { tokens: promptTokens, results: prompts } }))
} else {
  const figure = (value: number): string => value.toPrecision(4)
  console.log([
    ...machineLines(machine), `kernels ${whole.kernels}`, '',
    ...tableLines([
      [`decode, ${decodeTokens} tokens after ${DEPTH}`, 'ms a token', 'least to most', 'tokens/s', 'more than the engine, ms'],
      ...decoded.map(({ name, median, least, most }) => [name, figure(median), `${figure(least)} to ${figure(most)}`, figure(1000 / median), (median - decoded[0].median).toFixed(2)])
    ]),
    `two peers: ${decoded[2].median <= bar ? 'within' : 'beyond'} the bar of ${figure(bar)} ms (engine + ${HOPS} hops of ${HOP} ms)`, '',
    ...tableLines([
      [`prefill ${promptTokens}`, 'ms', 'least to most', 'tokens/s', 'times one peer'],
      ...prompts.map(({ name, median, least, most }) => [name, figure(median), `${figure(least)} to ${figure(most)}`, figure(promptTokens * 1000 / median), (prompts[1].median / median).toFixed(2)])
    ])
  ].join('\n'))
}
process.exit(0)
