/**
 * Sessions that decode at the same time through one peer, over encrypted libp2p
 * on 127.0.0.1, each from a node of its own: tokens a second of each, the mean,
 * the slowest; beside it the engine alone with as many sessions in a batch.
 *
 *   node scripts/bench-sessions.ts --model MODEL [--sessions 1,8,16] [--threads 1,2] [--seconds 4] [--prompt 2000] [--json]
 */
import { availableParallelism } from 'node:os'
import { parseArgs } from 'node:util'
import { connectRoute, createPeerNode, openModel } from '../src/index.ts'
import { describeMachine, machineLines } from '../src/cli/machine.ts'
import { maximum, median, minimum, tableLines } from './figures.ts'
import { startPeer, tokensAt } from './peer-process.ts'
import type { Model } from '../src/model/index.ts'
import type { PeerNode, RouteSession } from '../src/peer/index.ts'

const { values } = parseArgs({
  options: {
    model: { type: 'string' },
    sessions: { type: 'string', default: '1,8,16' },
    threads: { type: 'string', default: [...new Set([1, availableParallelism()])].join(',') },
    seconds: { type: 'string', default: '4' },
    prompt: { type: 'string', default: '2000' },
    runs: { type: 'string', default: '5' },
    json: { type: 'boolean', default: false }
  }
})
if (values.model === undefined) {
  console.error('usage: node scripts/bench-sessions.ts --model MODEL [--sessions 1,8,16] [--threads 1,2] [--seconds 4] [--runs 5] [--prompt 2000] [--json]')
  process.exit(2)
}
const numbers = (text: string): number[] => text.split(',').map(Number)
const counts = numbers(values.sessions)
const seconds = Number(values.seconds)
const runs = Number(values.runs)
const promptTokens = Number(values.prompt)
const most = Math.max(...counts)

/** Positions that a session has before it is measured. */
const DEPTH = 32
/** Positions of a session that decodes. */
const CAPACITY = 1024
/** Tokens of each session where the engine is measured alone. */
const ENGINE_TOKENS = 24

interface Result {
  threads: number
  sessions: number
  /** tokens a second of all sessions together: of each run, and their median */
  total: number
  runs: number[]
  /** tokens a second of each session, of the run with the median total */
  each: number[]
  mean: number
  slowest: number
  /** mean ÷ slowest */
  ratio: number
  /** tokens a second of the engine alone with as many sessions */
  engine: number
  /** with a prompt of another client being computed: tokens a second of all sessions, the ratio, and those of the prompt */
  besidePrompt?: { total: number, ratio: number, prompt: number }
}

const model = await openModel(values.model)
const results: Result[] = []
for (const threads of numbers(values.threads)) {
  const peer = await startPeer({ model: values.model, threads, positions: 2 * most * CAPACITY + pages(promptTokens) })
  const clients = await Promise.all(Array.from({ length: most + 1 }, async (_, index) => await connect(model, peer.address, index < most ? CAPACITY : Math.max(1, promptTokens))))
  try {
    for (const count of counts) results.push(await measure(threads, count))
  } finally {
    await Promise.all(clients.map(async ({ node }) => await node.stop()))
    peer.close()
  }

  async function measure (threads: number, count: number): Promise<Result> {
    const sessions = clients.slice(0, count).map(({ session }) => session)
    const looks: number[][] = []
    const alone: number[] = []
    for (let run = 0; run <= runs; run++) {
      const each = await decodeTogether(sessions, run === 0 ? 1 : seconds / runs)
      const milliseconds = await peer.measure({ type: 'decode', sessions: count, tokens: ENGINE_TOKENS, depth: DEPTH })
      // the first one warms up
      if (run > 0) {
        looks.push(each)
        alone.push(count * ENGINE_TOKENS * 1000 / milliseconds)
      }
    }
    const totals = looks.map(sum)
    const each = looks.toSorted((a, b) => sum(a) - sum(b))[looks.length >> 1]
    return { threads, sessions: count, total: median(totals), runs: totals, each, ...spread(each), engine: median(alone), ...(promptTokens === 0 ? {} : { besidePrompt: await besidePrompt(sessions) }) }
  }

  async function besidePrompt (sessions: RouteSession[]): Promise<Result['besidePrompt']> {
    const { session } = clients[most]
    const stop = new AbortController()
    const started = performance.now()
    const prompt = session.step({ tokens: tokensAt(0, promptTokens, model.architecture.vocabularySize), position: 0 })
    let milliseconds = 0
    prompt.then(() => {
      milliseconds = performance.now() - started
      stop.abort()
    }, () => stop.abort())
    const each = await decodeTogether(sessions, Infinity, stop.signal)
    await prompt
    return { total: sum(each), ratio: spread(each).ratio, prompt: promptTokens * 1000 / milliseconds }
  }
}

/** Positions of whole pages of the KV cache, of whatever size up to this. */
function pages (positions: number): number {
  return Math.ceil(positions / 1024) * 1024
}

async function connect (model: Model, address: string, capacity: number): Promise<{ node: PeerNode, session: RouteSession }> {
  const node = createPeerNode({})
  await node.start()
  return { node, session: await connectRoute({ node, addresses: [address], model, capacity }) }
}

/** Tokens a second of each session: all decode for so long, none stops before the others. */
async function decodeTogether (sessions: RouteSession[], seconds: number, signal?: AbortSignal): Promise<number[]> {
  const { vocabularySize } = model.architecture
  await Promise.all(sessions.map(async session => await session.step({ position: 0, tokens: tokensAt(0, DEPTH, vocabularySize) })))
  const started = performance.now()
  const end = started + seconds * 1000
  return await Promise.all(sessions.map(async session => {
    let tokens = 0
    let last = started
    for (; performance.now() < end && signal?.aborted !== true; tokens++) {
      const position = DEPTH + tokens % 512
      await session.step({ tokens: tokensAt(position, 1, vocabularySize), position, outputs: [{ row: 0, output: { kind: 'top', count: 1 } }] })
      last = performance.now()
    }
    return tokens * 1000 / (last - started)
  }))
}

function sum (numbers: number[]): number {
  return numbers.reduce((a, b) => a + b, 0)
}

function spread (each: number[]): { mean: number, slowest: number, ratio: number } {
  const mean = sum(each) / each.length
  return { mean, slowest: minimum(each), ratio: mean / minimum(each) }
}

const machine = describeMachine()
if (values.json) {
  console.log(JSON.stringify({ machine, seconds, prompt: promptTokens, results }))
} else {
  const figure = (value: number): string => value.toPrecision(3)
  console.log([...machineLines(machine), '', ...tableLines([
    ['threads', 'sessions', 'tokens/s', 'of runs', 'mean of a session', 'slowest', 'mean ÷ slowest', 'engine alone', 'share', `beside a prompt of ${promptTokens}`, 'mean ÷ slowest', 'prompt'],
    ...results.map(({ threads, sessions, total, runs, mean, slowest, ratio, engine, besidePrompt }) => [
      String(threads), String(sessions), figure(total), `${figure(minimum(runs))} to ${figure(maximum(runs))}`, figure(mean), figure(slowest), ratio.toFixed(2), figure(engine), (total / engine).toFixed(2),
      ...(besidePrompt === undefined ? ['', '', ''] : [figure(besidePrompt.total), besidePrompt.ratio.toFixed(2), figure(besidePrompt.prompt)])
    ])
  ])].join('\n'))
}
process.exit(0)
