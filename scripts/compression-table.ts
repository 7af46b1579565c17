/**
 * The tables of docs/compression.md: a model in many modes, each compressed,
 * opened and run by the engine, and compared with its source on texts.
 *
 *   node scripts/compression-table.ts --model models/sotu-4m --text sotu=models/sotu-4m/heldout.txt \
 *     --text wikitext-2=wikitext-2-test.txt [--rows "q8,q4+svd 16"] [--windows 40] [--decode 128] [--keep FOLDER] [--json FILE]
 */
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { createEngine } from '../src/engine/index.ts'
import type { Engine } from '../src/engine/index.ts'
import { describePackage, openModel, resolveModel } from '../src/model/index.ts'
import type { Model } from '../src/model/index.ts'
import { compressModel, defaultCalibrationText } from '../src/svd/index.ts'
import type { CompressReport } from '../src/svd/index.ts'
import { logProbabilities, measureQuality } from './compression-quality.ts'
import type { Quality } from './compression-quality.ts'
import { compressionRows } from './compression-rows.ts'
import type { Row } from './compression-rows.ts'
import { median, tableLines } from './figures.ts'

const { values } = parseArgs({
  options: {
    model: { type: 'string', default: 'sotu-4m' },
    text: { type: 'string', multiple: true, default: [] },
    rows: { type: 'string' },
    window: { type: 'string', default: '512' },
    windows: { type: 'string', default: '40' },
    decode: { type: 'string', default: '0' },
    threads: { type: 'string' },
    keep: { type: 'string' },
    json: { type: 'string' }
  }
})

interface Result {
  name: string
  bytes: number
  bitsPerWeight: number
  quality: Quality[]
  /** tokens a second, 0 where not measured */
  decode: number
  compressMilliseconds: number
}

const threads = values.threads === undefined ? availableParallelism() : Number(values.threads)
const window = Number(values.window)
const folder = values.keep ?? mkdtempSync(join(tmpdir(), 'efedllm-compression-'))
const source = await openModel(await resolveModel(values.model))
const parameters = countParameters(source)
const calibration = await defaultCalibrationText()
const texts = values.text.map(text => {
  const [name, path] = text.split('=')
  return { name, windows: cut(source.tokenizer.encode(readFileSync(path, 'utf8'), { addSpecialTokens: false })) }
})
const wanted = values.rows?.split(',').map(name => name.trim())
const rows = compressionRows(parameters).filter(({ name }) => wanted === undefined || wanted.includes(name))

/** Windows from the beginning of a text, one after another. */
function cut (ids: number[]): Uint32Array[] {
  const count = Math.min(Number(values.windows), Math.floor(ids.length / window))
  return Array.from({ length: count }, (_, i) => Uint32Array.from(ids.slice(i * window, (i + 1) * window)))
}

function countParameters ({ architecture, unit }: Model): number {
  let sum = 0
  for (let index = 0; index < architecture.layerCount + 2; index++) {
    for (const [role, { shape }] of Object.entries(unit(index).tensors)) {
      if (role !== 'projection' || !architecture.tiedEmbedding) sum += shape.reduce((a, b) => a * b, 1)
    }
  }
  return sum
}

function storedBytes (model: Model): number {
  let sum = 0
  for (let index = 0; index < model.architecture.layerCount + 2; index++) {
    for (const [role, tensor] of Object.entries(model.unit(index).tensors)) {
      if (role === 'projection' && model.architecture.tiedEmbedding) continue
      sum += tensor.byteLength + (tensor.lowRank === undefined ? 0 : tensor.lowRank.left.byteLength + tensor.lowRank.right.byteLength)
    }
  }
  return sum
}

async function start (model: Model): Promise<Engine> {
  const { architecture } = model
  return await createEngine({
    architecture, range: { from: 0, to: architecture.layerCount + 2 }, unit: index => model.unit(index), threads, keyValuePositions: Math.max(window, 512)
  })
}

/** Median of five runs of as many tokens, after one that warms up. */
async function decodeSpeed (engine: Engine, tokens: number): Promise<number> {
  if (tokens === 0) return 0
  const session = engine.openSession({ capacity: tokens + 1 })
  const times: number[] = []
  for (let run = 0; run < 6; run++) {
    engine.truncate(session, 0)
    let next = 1
    const started = performance.now()
    for (let position = 0; position < tokens; position++) {
      const [{ rows }] = await engine.run([{ session, position, tokens: Uint32Array.of(next), outputs: [{ row: 0, output: { kind: 'top', count: 1 } }] }])
      next = rows![0].ids![0]
    }
    if (run > 0) times.push(performance.now() - started)
  }
  engine.closeSession(session)
  return tokens * 1000 / median(times)
}

/** The model of a row; compressed where it is not in the folder yet. */
async function modelOf ({ name, plan }: Row): Promise<{ model: Model, report: CompressReport | null }> {
  if (plan === null) return { model: source, report: null }
  const directory = join(folder, name.replaceAll(/[^\w.]+/g, '-'))
  let report: CompressReport | null = null
  if (!existsSync(directory) || describePackage(directory).source !== source.modelId) {
    rmSync(directory, { recursive: true, force: true })
    report = await compressModel({ source, directory, plan, text: calibration, threads })
  }
  return { model: await openModel(directory), report }
}

const reference: Float32Array[][] = []
const sourceEngine = await start(source)
for (const { windows } of texts) {
  const own: Float32Array[] = []
  for (const ids of windows) own.push(await logProbabilities(sourceEngine, ids))
  reference.push(own)
}
await sourceEngine.stop()

const results: Result[] = []
for (const row of rows) {
  const { model, report } = await modelOf(row)
  const engine = await start(model)
  const quality: Quality[] = []
  for (const [i, { windows }] of texts.entries()) quality.push(await measureQuality(engine, windows, reference[i]))
  const bytes = storedBytes(model)
  const result = {
    name: row.name,
    bytes,
    bitsPerWeight: bytes * 8 / parameters,
    quality,
    decode: await decodeSpeed(engine, Number(values.decode)),
    compressMilliseconds: report?.milliseconds ?? 0
  }
  await engine.stop()
  results.push(result)
  process.stderr.write(`${row.name}: ${result.bitsPerWeight.toFixed(3)} bits, ${quality.map(({ perplexity, divergence }) => `${perplexity.toFixed(3)} (${divergence.toFixed(5)})`).join(', ')}; compressed in ${(result.compressMilliseconds / 1000).toFixed(1)} s\n`)
}

const figure = (value: number): string => value >= 1e5 ? value.toExponential(1) : value >= 1000 ? value.toFixed(0) : value.toFixed(2)
const table = tableLines([
  ['mode', 'stored bytes', 'bits/weight', ...texts.flatMap(({ name }) => [`${name}: perplexity`, 'KL', 'same argmax']), ...(Number(values.decode) > 0 ? ['decode tokens/s'] : [])],
  ...results.map(({ name, bytes, bitsPerWeight, quality, decode }) => [
    name,
    bytes.toLocaleString('en'),
    bitsPerWeight.toFixed(2),
    ...quality.flatMap(({ perplexity, divergence, agreement }) => [figure(perplexity), divergence < 1 ? divergence.toFixed(4) : divergence.toFixed(2), `${(agreement * 100).toFixed(1)} %`]),
    ...(decode > 0 ? [decode.toFixed(0)] : [])
  ])
])
console.log(table.join('\n'))
if (values.json !== undefined) writeFileSync(values.json, JSON.stringify({ model: source.name, texts: texts.map(({ name, windows }) => ({ name, windows: windows.length })), window, threads, results }, null, 2))
if (values.keep === undefined) rmSync(folder, { recursive: true, force: true })
