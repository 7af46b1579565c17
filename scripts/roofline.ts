/**
 * What this machine could do at most, and what the engine reaches of it: read
 * bandwidth, peaks of the kernels on matrices that stay in the cache, and, for a
 * model, stored bytes and integer multiply-adds per token against both.
 * Method: docs/performance.md.
 *
 *   node scripts/roofline.ts [--model FILE.gguf] [--threads 1,2] [--decode 96] [--runs 5] [--json]
 */
import { availableParallelism } from 'node:os'
import { basename } from 'node:path'
import { parseArgs } from 'node:util'
import { describeMachine, machineLines } from '../src/cli/machine.ts'
import { availableVariants, createEngine } from '../src/engine/index.ts'
import type { Engine } from '../src/engine/index.ts'
import { layOutMatrix } from '../src/engine/wasm/matrix-layout.ts'
import { openWeights } from '../src/model/index.ts'
import type { ModelWeights, TensorSource, TensorType } from '../src/model/index.ts'
import { tokensAt } from '../bench/candidate.ts'
import { maximum, median, tableLines } from './figures.ts'
import { READ_BYTES, startKernelWorkers } from './kernel-workers.ts'
import type { ProductWork } from './kernel-worker.ts'

/** A matrix that fits into a second-level cache in every format. */
const ROWS = 256
const COLUMNS = 576

/** One format for each kind of product, with the dot products that a weight takes: of more than four bits two, for positive and for negative activations. */
const FORMATS: ReadonlyArray<{ name: string, type: TensorType, products: number }> = [
  { name: '4 bits, symmetric', type: 'Q4_0', products: 1 },
  { name: '4 bits, affine', type: 'Q4_1', products: 1 },
  { name: '8 bits, symmetric', type: 'Q8_0', products: 2 },
  { name: '8 bits, affine', type: 'Q5_1', products: 2 }
]

/** Tokens that share a pass over the weights: decoding, decoding of eight sessions, prefill. */
const TOKENS = [1, 8, 64]

/** Tokens of the prompt. */
const PREFILL = 512

interface Peak {
  threads: number
  format: string
  tokens: number
  /** 10⁹ multiply-adds of a byte and four bits, a second */
  rate: number
  variant: string
}

/** What one token costs. */
interface Work {
  /** bytes in the file of everything that is read for it */
  fileBytes: number
  /** bytes of the same in the kernels' layout */
  layoutBytes: number
  /** multiply-adds by format: a weight of more than four bits is two */
  layers: Map<string, number>
  head: Map<string, number>
}

const { values } = parseArgs({
  options: {
    model: { type: 'string' },
    threads: { type: 'string', default: [...new Set([1, availableParallelism()])].join(',') },
    decode: { type: 'string', default: '96' },
    runs: { type: 'string', default: '5' },
    json: { type: 'boolean', default: false }
  }
})
const threadCounts = values.threads.split(',').map(Number)

const workers = await startKernelWorkers(maximum(threadCounts))

/** What bounds a step, at one moment. */
interface Look {
  threads: number
  /** 10⁹ bytes a second, from one place at a time and from four */
  rate: number
  apart: number
  peaks: Peak[]
}

/** One look of each kind, for steps of so many tokens. */
async function look (threads: number, tokenCounts: readonly number[]): Promise<Look> {
  const read = async (streams: 1 | 4): Promise<number> => await workers.look({ kind: 'read', streams }, threads) * READ_BYTES / 1e9
  const found: Look = { threads, rate: await read(1), apart: await read(4), peaks: [] }
  for (const format of formats) {
    for (const tokens of tokenCounts) {
      for (const variant of availableVariants()) {
        const work: ProductWork = { kind: 'product', type: format.type, variant, rows: ROWS, columns: COLUMNS, tokens, streams: 4, piece: ROWS, largePages: false }
        found.peaks.push({ threads, format: format.name, tokens, variant, rate: await workers.look(work, threads) * ROWS * COLUMNS * tokens * format.products / 1e9 })
      }
    }
  }
  return found
}

function bestPeak (peaks: readonly Peak[], format: string, tokens: number): Peak {
  return peaks.filter(peak => peak.format === format && peak.tokens === tokens).reduce((best, peak) => peak.rate > best.rate ? peak : best)
}

function workOf ({ architecture, unit }: ModelWeights): Work {
  const work: Work = { fileBytes: 0, layoutBytes: 0, layers: new Map(), head: new Map() }
  const headUnit = architecture.layerCount + 1
  const take = (source: TensorSource, counts: Map<string, number>) => {
    work.fileBytes += source.byteLength
    if (source.shape.length === 1) {
      work.layoutBytes += source.shape[0] * 4
      return
    }
    const { kind, rows, columns } = layOutMatrix(source, bytes => {
      work.layoutBytes += bytes
      return 0
    })
    const format = FORMATS.find(({ type }) => layOutMatrix({ ...source, type }, () => 0).kind === kind)!
    counts.set(format.name, (counts.get(format.name) ?? 0) + rows * columns * format.products)
  }
  // of the embedding one row is read: nothing
  for (let index = 1; index <= headUnit; index++) {
    for (const source of Object.values(unit(index).tensors)) take(source, index === headUnit ? work.head : work.layers)
  }
  return work
}

/** Seconds that multiply-adds take at the peaks. */
function secondsAt (peaks: readonly Peak[], tokens: number, ...counts: Array<Map<string, number>>): number {
  let seconds = 0
  for (const [format, count] of counts.flatMap(map => [...map])) seconds += count / 1e9 / bestPeak(peaks, format, tokens).rate
  return seconds
}

/** Seconds for each token of `count` steps of `rows` tokens for each session. */
async function measure (engine: Engine, sessions: number, count: number, rows: number): Promise<number> {
  const { vocabularySize } = engine.architecture
  const open = Array.from({ length: sessions }, () => engine.openSession({ capacity: count * rows }))
  const started = performance.now()
  for (let position = 0; position < count * rows; position += rows) {
    await engine.run(open.map(session => ({
      session, position, tokens: tokensAt(position, rows, vocabularySize), outputs: [{ row: rows - 1, output: { kind: 'top' as const, count: 1 } }]
    })))
  }
  const seconds = (performance.now() - started) / 1000 / (count * rows * sessions)
  for (const session of open) engine.closeSession(session)
  return seconds
}

const weights = values.model === undefined ? undefined : openWeights(values.model)
const work = weights && workOf(weights)
/** those of the model, or all */
const formats = work === undefined ? FORMATS : FORMATS.filter(({ name }) => work.layers.has(name) || work.head.has(name))
const runs = Number(values.runs)
const count = Number(values.decode)

/** Of a roofline; medians of the runs. */
interface Share {
  threads: number
  measurement: string
  tokensPerSecond: number
  /** tokens per second */
  roof: number
  boundBy: 'bandwidth' | 'kernels'
  share: number
}

const looks: Look[] = []
const shares: Share[] = []
if (weights === undefined || work === undefined) {
  // the first look at anything compiles and touches memory
  for (const threads of threadCounts) for (let run = 0; run <= runs; run++) looks.push(await look(threads, TOKENS))
} else {
  const { architecture, unit } = weights
  for (const threads of threadCounts) {
    const range = { from: 0, to: architecture.layerCount + 2 }
    const engine = await createEngine({ architecture, unit, range, threads, keyValuePositions: 8 * 1024 * Math.ceil(Math.max(count, PREFILL) / 1024) })
    const measurements = [
      { name: 'decode', tokens: [1], share: 1, seconds: async () => await measure(engine, 1, count, 1), kernels: (peaks: Peak[]) => secondsAt(peaks, 1, work.layers, work.head) },
      { name: 'decode, 8 sessions', tokens: [8], share: 8, seconds: async () => await measure(engine, 8, count, 1), kernels: (peaks: Peak[]) => secondsAt(peaks, 8, work.layers, work.head) },
      // only the last row of a prompt has a head
      { name: `prefill ${PREFILL}`, tokens: [1, 64], share: PREFILL, seconds: async () => await measure(engine, 1, 1, PREFILL), kernels: (peaks: Peak[]) => secondsAt(peaks, 64, work.layers) + secondsAt(peaks, 1, work.head) / PREFILL }
    ]
    for (const { name, tokens, share, seconds, kernels } of measurements) {
      const taken: Array<{ seconds: number, byBandwidth: number, byKernels: number, roof: number }> = []
      for (let run = 0; run <= runs; run++) {
        // in turn: a machine is not equally fast at all times
        const found = await look(threads, tokens)
        const time = await seconds()
        looks.push(found)
        const byBandwidth = work.fileBytes / 1e9 / Math.max(found.rate, found.apart) / share
        const byKernels = kernels(found.peaks)
        if (run > 0) taken.push({ seconds: time, byBandwidth, byKernels, roof: Math.max(byBandwidth, byKernels) })
      }
      const middle = (figure: (one: typeof taken[number]) => number): number => median(taken.map(figure))
      shares.push({
        threads,
        measurement: name,
        tokensPerSecond: 1 / middle(one => one.seconds),
        roof: 1 / middle(one => one.roof),
        boundBy: middle(one => one.byKernels - one.byBandwidth) > 0 ? 'kernels' : 'bandwidth',
        share: middle(one => one.roof / one.seconds)
      })
    }
    await engine.stop()
  }
}
await workers.stop()

// tables tell the best that was seen
const bandwidths = threadCounts.map(threads => {
  const those = looks.filter(look => look.threads === threads)
  return { threads, rate: maximum(those.map(({ rate }) => rate)), apart: maximum(those.map(({ apart }) => apart)) }
})
const peaks = threadCounts.flatMap(threads => formats.flatMap(({ name }) => TOKENS.map(tokens => bestPeak(looks.filter(look => look.threads === threads).flatMap(look => look.peaks), name, tokens))))

const machine = describeMachine()
if (values.json) {
  const counts = work && { ...work, layers: Object.fromEntries(work.layers), head: Object.fromEntries(work.head) }
  console.log(JSON.stringify({ machine, bandwidths, peaks, model: values.model === undefined ? null : basename(values.model), work: counts ?? null, shares }))
} else {
  const lines = [...machineLines(machine), '', 'Read bandwidth, GB/s', '', ...tableLines([
    ['threads', 'one stream a thread', 'four'], ...bandwidths.map(({ threads, rate, apart }) => [String(threads), rate.toFixed(1), apart.toFixed(1)])
  ]), '', 'Peaks of the kernels in cache, 10⁹ multiply-adds of 4 by 8 bits a second (a weight of more than 4 bits takes two)', '', ...tableLines([
    ['threads', 'weights', ...TOKENS.map(tokens => `${tokens} token${tokens === 1 ? '' : 's'}`)],
    ...threadCounts.flatMap(threads => formats.map(({ name }) => [
      String(threads), name, ...TOKENS.map(tokens => {
        const peak = peaks.find(peak => peak.threads === threads && peak.format === name && peak.tokens === tokens)!
        return `${peak.rate.toFixed(1)} (${peak.variant})`
      })
    ]))
  ])]
  if (work !== undefined) {
    const total = (counts: Map<string, number>) => ([...counts].map(([format, value]) => `${(value / 1e6).toFixed(1)} M of ${format}`).join(', '))
    lines.push('', `${basename(values.model!)}, a token: ${(work.fileBytes / 1e6).toFixed(1)} MB in the file, ${(work.layoutBytes / 1e6).toFixed(1)} MB as the kernels read it; ` +
      `multiply-adds: layers ${total(work.layers)}; head ${total(work.head)}`, '', ...tableLines([
      ['threads', 'measurement', 'tokens/s', 'roofline', 'bound by', 'share'],
      ...shares.map(({ threads, measurement, tokensPerSecond, roof, boundBy, share }) => [
        String(threads), measurement, tokensPerSecond.toFixed(1), roof.toFixed(1), boundBy, `${(share * 100).toFixed(0)} %`
      ])
    ]))
  }
  console.log(lines.join('\n'))
}
