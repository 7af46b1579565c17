/**
 * A peer leaves in order, with a long session: the time until another one has
 * what it held, by replay, by transfer of keys and values, by both, and as the
 * model chooses by a trial; predicted and measured. Peers are processes on
 * 127.0.0.1 with one thread each; every text is compared with the undisturbed one.
 *
 *   node scripts/bench-hand-over.ts --model MODEL [--stages 3] [--contexts 512,1024,2048] [--runs 3] [--bandwidth 100] [--methods replay,transfer,split,measured] [--json]
 *
 * The middle stage leaves. --bandwidth, in Mbit/s, is that of every link from and
 * to each peer; without it links are as fast as the machine.
 */
import { createServer } from 'node:net'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { parseArgs } from 'node:util'
import { connectRoute, createPeerNode, openModel } from '../src/index.ts'
import { describeMachine, machineLines } from '../src/cli/machine.ts'
import { median, tableLines } from './figures.ts'
import { startPeer, tokensAt } from './peer-process.ts'
import { slowLink } from './slow-link.ts'
import type { UnitRange } from '../src/model/index.ts'
import type { HandOverMode, RouteRepair } from '../src/peer/index.ts'
import type { PeerProcess } from './peer-process.ts'

const { values } = parseArgs({
  options: {
    model: { type: 'string' },
    stages: { type: 'string', default: '3' },
    contexts: { type: 'string', default: '512,1024,2048' },
    runs: { type: 'string', default: '3' },
    bandwidth: { type: 'string' },
    methods: { type: 'string', default: 'replay,transfer,split,measured' },
    json: { type: 'boolean', default: false }
  }
})
if (values.model === undefined) {
  console.error('usage: node scripts/bench-hand-over.ts --model MODEL [--stages 3] [--contexts 512,1024,2048] [--runs 3] [--bandwidth 100] [--methods replay,transfer,split,measured] [--json]')
  process.exit(2)
}
const modelPath = values.model
const [stageCount, runs] = [values.stages, values.runs].map(Number)
const contexts = values.contexts.split(',').map(Number)
const methods = values.methods.split(',') as HandOverMode[]
const bytesPerSecond = values.bandwidth === undefined ? undefined : Number(values.bandwidth) * 1e6 / 8
const model = await openModel(modelPath)
const { architecture } = model
const units = architecture.layerCount + 2
const ranges = Array.from({ length: stageCount }, (_value, index): UnitRange => ({ from: Math.round(index * units / stageCount), to: Math.round((index + 1) * units / stageCount) }))
const middle = ranges[stageCount >> 1]
const TOKENS = 4

async function freePort (): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

async function addPeer (range: UnitRange): Promise<PeerProcess> {
  const init = { model: modelPath, threads: 1, range, positions: 2 * Math.max(...contexts) + 1024 }
  if (bytesPerSecond === undefined) return await startPeer(init)
  const port = await freePort()
  const link = await slowLink(port, bytesPerSecond)
  return await startPeer({ ...init, port, announce: [`/ip4/127.0.0.1/tcp/${link}`] })
}

const fixed = await Promise.all(ranges.filter(range => range !== middle).map(addPeer))
const node = createPeerNode({})
await node.start()

/** The twins of the middle stage; one of them has gone after each text. */
const twins = [await addPeer(middle), await addPeer(middle)]

async function write (context: number, handOver: HandOverMode, leave: boolean): Promise<{ ids: number[], repairs: RouteRepair[] }> {
  const repairs: RouteRepair[] = []
  const repaired = Promise.withResolvers<void>()
  const session = await connectRoute({
    node,
    addresses: [...fixed, ...twins].map(({ address }) => address),
    model,
    handOver,
    deadlines: { step: 600_000 },
    onProgress: event => {
      if (event.type !== 'route:repaired') return
      repairs.push(event.repair)
      repaired.resolve()
    }
  })
  const ids: number[] = []
  let next = tokensAt(0, context, architecture.vocabularySize)
  while (ids.length < TOKENS) {
    const [row] = await session.step({ tokens: next, outputs: [{ row: next.length - 1, output: { kind: 'top', count: 1 } }] })
    ids.push(row.ids![0])
    next = Uint32Array.of(row.ids![0])
    if (!leave || ids.length !== 2) continue
    const index = twins.findIndex(({ address }) => address.endsWith(session.route[stageCount >> 1].peerId!))
    const [old] = twins.splice(index, 1)
    old.drain().catch(() => {})
    await repaired.promise
    old.close()
    twins.push(await addPeer(middle))
  }
  await session.close()
  return { ids, repairs }
}

const list: Array<{ context: number, method: HandOverMode, repair: RouteRepair }> = []
for (const context of contexts) {
  const { ids } = await write(context, 'measured', false)
  for (let run = 0; run < runs; run++) {
    for (const method of methods) {
      const text = await write(context, method, true)
      if (text.ids.join() !== ids.join()) throw new Error(`${method} at ${context} positions changed the text`)
      list.push({ context, method, repair: text.repairs[0] })
    }
  }
}

const rows = contexts.flatMap(context => methods.map(method => {
  const repairs = list.filter(entry => entry.context === context && entry.method === method).map(({ repair }) => repair)
  const of = (value: (repair: RouteRepair) => number | undefined): number | undefined => {
    const known = repairs.map(value).filter(value => value !== undefined)
    return known.length === 0 ? undefined : median(known)
  }
  return {
    context,
    method,
    chosen: [...new Set(repairs.map(({ handOver }) => handOver?.method ?? 'replay'))].join(', '),
    milliseconds: of(({ milliseconds }) => milliseconds)!,
    replayed: of(({ replayedPositions }) => replayedPositions)!,
    transferred: of(({ handOver }) => handOver?.transferredPositions ?? 0)!,
    predicted: of(({ handOver }) => handOver?.predictedSeconds && 1000 * handOver.predictedSeconds),
    measured: of(({ handOver }) => handOver && 1000 * handOver.measuredSeconds),
    replayPredicted: of(({ handOver }) => handOver?.predictions && 1000 * handOver.predictions.replay),
    megabytesPerSecond: of(({ handOver }) => handOver?.bytesPerSecond && handOver.bytesPerSecond / 1e6),
    positionsPerSecond: of(({ handOver }) => handOver?.positionsPerSecond),
    problems: repairs.flatMap(({ handOver }) => handOver?.problem ?? [])
  }
}))
if (values.json) {
  console.log(JSON.stringify({ model: model.modelId, stages: stageCount, range: middle, bytesPerSecond: bytesPerSecond ?? null, rows, machine: describeMachine() }))
} else {
  for (const line of machineLines(describeMachine())) console.log(line)
  console.log(`${stageCount} stages; units ${middle.from}:${middle.to} move; links ${values.bandwidth === undefined ? 'of the machine' : `of ${values.bandwidth} Mbit/s`}; medians of ${runs}; all texts are the same`)
  console.log('')
  const figure = (value: number | undefined): string => value === undefined ? '' : value.toFixed(value < 100 ? 1 : 0)
  for (const line of tableLines([['context', 'method', 'chosen', 'replayed', 'transferred', 'all in all, ms', 'of it after the trial: predicted', 'measured', 'replay would be', 'link, MB/s', 'positions/s'], ...rows.map(row => [
    String(row.context), row.method, row.chosen, figure(row.replayed), figure(row.transferred), figure(row.milliseconds), figure(row.predicted), figure(row.measured), figure(row.replayPredicted), figure(row.megabytesPerSecond), figure(row.positionsPerSecond)
  ])])) console.log(line)
  for (const { context, method, problems } of rows) for (const problem of problems) console.log(`${method} at ${context}: ${problem}`)
}
process.exit(0)
