/**
 * What a hop costs at decode: median time of a step over k + 1 stages minus
 * that over k, compute spans taken off. Stages are stub engines in processes of
 * their own on 127.0.0.1.
 *
 *   node scripts/bench-hop.ts [--hidden 576] [--steps 2000] [--stages 4]
 */
import { fork } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { cpus } from 'node:os'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { manifestId } from '../src/model/index.ts'
import type { Architecture, UnitRange } from '../src/model/index.ts'
import type { Engine } from '../src/engine/index.ts'
import { connectRoute, createPeerNode } from '../src/peer/index.ts'

const { values } = parseArgs({ options: { hidden: { type: 'string', default: '576' }, steps: { type: 'string', default: '2000' }, stages: { type: 'string', default: '4' }, serve: { type: 'string' } } })
const hiddenSize = Number(values.hidden)
const steps = Number(values.steps)
const most = Number(values.stages)

function model (layerCount: number) {
  const architecture: Architecture = {
    family: 'llama',
    layerCount,
    hiddenSize,
    feedForwardSize: 4 * hiddenSize,
    headCount: hiddenSize / 32,
    keyValueHeadCount: hiddenSize / 32,
    headSize: 32,
    vocabularySize: 1024,
    contextLength: 1 << 16,
    normEpsilon: 1e-5,
    ropeTheta: 10000,
    ropeScaling: null,
    queryKeyNorm: false,
    slidingWindows: new Array(layerCount).fill(null),
    tiedEmbedding: true
  } as Architecture
  const manifest = { version: 2 as const, architecture, profile: 'exact-1' as const, conversion: '1', tokenizer: '0'.repeat(64), units: new Array(layerCount + 2).fill('0'.repeat(64)), compression: null }
  return { modelId: manifestId(manifest), manifest }
}

/** Gives zeros at once. */
function idleEngine (architecture: Architecture, range: UnitRange): Engine {
  const lengths = new Map<number, number>()
  let next = 1
  return {
    architecture,
    range,
    freePositions: 1 << 30,
    openSession: () => {
      lengths.set(next, 0)
      return next++
    },
    sessionRange: () => range,
    sessionLength: session => lengths.get(session) ?? 0,
    truncate: (session, length) => { lengths.set(session, length) },
    reserve: () => {},
    release: () => {},
    closeSession: session => { lengths.delete(session) },
    readKeyValues: () => new Uint8Array(0),
    writeKeyValues: (session, _from, _bytes, to = 0) => { lengths.set(session, to) },
    run: async batch => batch.map(item => {
      const started = performance.now()
      const rows = item.tokens?.length ?? item.hidden!.length / hiddenSize
      lengths.set(item.session, item.position + rows)
      const head = range.to === architecture.layerCount + 2
      const results = (item.outputs ?? []).map(({ row }) => ({ row, ids: Uint32Array.of(0), values: Float32Array.of(0), logSumExp: 0 }))
      const hidden = head ? undefined : new Float32Array(rows * hiddenSize)
      return { session: item.session, hidden, rows: head ? results : undefined, milliseconds: performance.now() - started }
    }),
    stop: async () => {}
  }
}

async function serve (spec: string): Promise<void> {
  const [layers, from, to] = spec.split(':').map(Number)
  const identity = model(layers)
  const node = createPeerNode({ engine: idleEngine(identity.manifest.architecture, { from, to }), model: identity, listen: ['/ip4/127.0.0.1/tcp/0'] })
  await node.start()
  process.send!(node.addresses[0])
  process.on('disconnect', () => process.exit(0))
}

async function startStage (spec: string): Promise<{ child: ChildProcess, address: string }> {
  const child = fork(fileURLToPath(import.meta.url), ['--serve', spec, '--hidden', String(hiddenSize)])
  const address = await new Promise<string>((resolve, reject) => {
    child.once('message', message => resolve(String(message)))
    child.once('exit', code => reject(new Error(`a stage exited with ${code}`)))
  })
  return { child, address }
}

function quantile (sorted: number[], share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))]
}

async function measure (count: number): Promise<() => Promise<number[]>> {
  const identity = model(count)
  const units = count + 2
  // the first stage takes the embedding, the last one the head
  const ranges = Array.from({ length: count }, (_value, index) => ({ from: index === 0 ? 0 : index + 1, to: index === count - 1 ? units : index + 2 }))
  const stages = await Promise.all(ranges.map(async ({ from, to }) => await startStage(`${count}:${from}:${to}`)))
  const node = createPeerNode({})
  await node.start()
  const session = await connectRoute({ node, addresses: stages.map(({ address }) => address), model: identity })
  const token = Uint32Array.of(1)
  const outputs = [{ row: 0, output: { kind: 'top' as const, count: 1 } }]
  let warm = false
  return async () => {
    const times: number[] = []
    const count = warm ? Math.floor(steps / 5) : 500
    warm = true
    for (let step = 0; step < count; step++) {
      await session.step({ tokens: token, outputs })
      const { totalMilliseconds, computeMilliseconds } = session.lastTimings!
      times.push(totalMilliseconds - computeMilliseconds.reduce((sum, value) => sum + value, 0))
    }
    return times
  }
}

if (values.serve !== undefined) {
  await serve(values.serve)
} else {
  console.log(`${cpus()[0].model}, ${cpus().length} threads, node ${process.version}, hidden size ${hiddenSize}, ${steps} steps each, rounds alternate`)
  const runs = []
  for (let count = 1; count <= most; count++) runs.push(await measure(count))
  const times: number[][] = runs.map(() => [])
  for (const run of runs) await run()
  for (let round = 0; round < 5; round++) {
    for (const [index, run] of runs.entries()) times[index].push(...await run())
  }
  let before: number | undefined
  for (const [index, list] of times.entries()) {
    list.sort((a, b) => a - b)
    const median = quantile(list, 0.5)
    console.log(`${index + 1} stages: median ${median.toFixed(3)} ms, p95 ${quantile(list, 0.95).toFixed(3)} ms${before === undefined ? '' : `, a hop more: ${(median - before).toFixed(3)} ms`}`)
    before = median
  }
  console.log(JSON.stringify({ medians: times.map(list => quantile(list, 0.5)) }))
  process.exit(0)
}
