/**
 * The tables of docs/compression.md: a model in many modes, each compressed,
 * opened and run by the engine, and compared with its source on texts.
 *
 *   node scripts/compression-table.ts --model models/sotu-4m --text sotu=models/sotu-4m/heldout.txt \
 *     --text wikitext-2=wikitext-2-test.txt [--rows "q8,q4+svd 16"] [--windows 40] [--decode 128] [--keep FOLDER] [--json FILE]
 *
 * What is in the folder of --keep is not computed again, so that speeds can be measured later, on a machine that does
 * nothing else.
 */
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { createEngine } from '../src/engine/index.ts'
import type { Engine } from '../src/engine/index.ts'
import { describePackage, openModel, resolveModel } from '../src/model/index.ts'
import type { Model } from '../src/model/index.ts'
import { compressModel, defaultCalibrationText } from '../src/svd/index.ts'
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
  modelId: string
  bytes: number
  bitsPerWeight: number
  /** by text */
  quality: Record<string, Quality>
  /** tokens a second; null where not measured */
  decode: number | null
  compressMilliseconds: number
}

/** Turns of decoding, after one that warms up. */
const TURNS = 7

const threads = values.threads === undefined ? availableParallelism() : Number(values.threads)
const window = Number(values.window)
const decoded = Number(values.decode)
const folder = values.keep ?? mkdtempSync(join(tmpdir(), 'efedllm-compression-'))
mkdirSync(join(folder, 'reference'), { recursive: true })
const source = await openModel(await resolveModel(values.model))
const parameters = countParameters(source)
const calibration = await defaultCalibrationText()
const texts = values.text.map(text => {
  const [name, path] = text.split('=')
  const windows = cut(source.tokenizer.encode(readFileSync(path, 'utf8'), { addSpecialTokens: false }))
  return { name, windows, key: `${name}, ${windows.length} windows of ${window}` }
})
const wanted = values.rows?.split(',').map(name => name.trim())
const rows = compressionRows(parameters).filter(({ name }) => wanted === undefined || wanted.includes(name))
const kept = join(folder, 'results.json')
const known: Result[] = existsSync(kept) ? JSON.parse(readFileSync(kept, 'utf8')) : []

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

/** The model of a row; compressed where it is not in the folder yet. */
async function modelOf ({ name, plan }: Row): Promise<{ model: Model, compressMilliseconds: number }> {
  if (plan === null) return { model: source, compressMilliseconds: 0 }
  const directory = join(folder, name.replaceAll(/[^\w.]+/g, '-'))
  let compressMilliseconds = 0
  if (!existsSync(directory) || describePackage(directory).source !== source.modelId) {
    rmSync(directory, { recursive: true, force: true })
    const report = await compressModel({ source, directory, plan, text: calibration, threads })
    compressMilliseconds = report.milliseconds
  }
  return { model: await openModel(directory), compressMilliseconds }
}

const referencePath = (text: string, index: number): string => join(folder, 'reference', `${source.modelId.slice(0, 12)}-${text}-${window}-${index}`)

/** The source's log-probabilities on all windows, as files: those of a large vocabulary do not fit into memory. */
async function writeReferences (): Promise<void> {
  const missing = texts.flatMap(({ name, windows }) => windows.map((ids, index) => ({ ids, path: referencePath(name, index) }))).filter(({ path }) => !existsSync(path))
  if (missing.length === 0) return
  const engine = await start(source)
  for (const { ids, path } of missing) writeFileSync(path, await logProbabilities(engine, ids))
  await engine.stop()
}

function readReference (text: string, index: number): Float32Array {
  const { buffer, byteOffset, byteLength } = readFileSync(referencePath(text, index))
  return new Float32Array(buffer, byteOffset, byteLength / 4)
}

/** Tokens a second. */
async function decode (engine: Engine): Promise<number> {
  const session = engine.openSession({ capacity: decoded + 1 })
  let next = 1
  const started = performance.now()
  for (let position = 0; position < decoded; position++) {
    const [{ rows }] = await engine.run([{ session, position, tokens: Uint32Array.of(next), outputs: [{ row: 0, output: { kind: 'top', count: 1 } }] }])
    next = rows![0].ids![0]
  }
  const seconds = (performance.now() - started) / 1000
  engine.closeSession(session)
  return decoded / seconds
}

const results: Result[] = []
const models: Model[] = []
for (const row of rows) {
  const { model, compressMilliseconds } = await modelOf(row)
  models.push(model)
  const bytes = storedBytes(model)
  const result: Result = known.find(({ name, modelId }) => name === row.name && modelId === model.modelId) ??
    { name: row.name, modelId: model.modelId, bytes, bitsPerWeight: bytes * 8 / parameters, quality: {}, decode: null, compressMilliseconds }
  results.push(result)
  const unmeasured = texts.filter(({ key }) => result.quality[key] === undefined)
  if (unmeasured.length === 0) continue
  await writeReferences()
  const engine = await start(model)
  for (const { key, name, windows } of unmeasured) result.quality[key] = await measureQuality(engine, windows, index => readReference(name, index))
  await engine.stop()
  const figures = texts.map(({ key }) => `${result.quality[key].perplexity.toFixed(3)} (${result.quality[key].divergence.toFixed(5)})`)
  process.stderr.write(`${row.name}: ${result.bitsPerWeight.toFixed(3)} bits, ${figures.join(', ')}; compressed in ${(result.compressMilliseconds / 1000).toFixed(1)} s\n`)
  keep()
}

// in turns, so that whatever else the machine does meets all
if (decoded > 0) {
  const engines: Engine[] = []
  for (const model of models) engines.push(await start(model))
  const speeds = engines.map((): number[] => [])
  for (let turn = 0; turn <= TURNS; turn++) {
    for (const [i, engine] of engines.entries()) {
      const speed = await decode(engine)
      if (turn > 0) speeds[i].push(speed)
    }
  }
  for (const engine of engines) await engine.stop()
  results.forEach((result, i) => { result.decode = median(speeds[i]) })
  keep()
}

function keep (): void {
  if (values.keep === undefined) return
  const others = known.filter(({ name }) => !results.some(result => result.name === name))
  writeFileSync(kept, JSON.stringify([...results, ...others], null, 2))
}

const figure = (value: number): string => value >= 1e5 ? value.toExponential(1) : value >= 1000 ? value.toFixed(0) : value.toFixed(2)
const table = tableLines([
  ['mode', 'stored bytes', 'bits/weight', ...texts.flatMap(({ name }) => [`${name}: perplexity`, 'KL', 'same argmax']), ...(decoded > 0 ? ['decode tokens/s'] : [])],
  ...results.map(({ name, bytes, bitsPerWeight, quality, decode }) => [
    name,
    bytes.toLocaleString('en'),
    bitsPerWeight.toFixed(2),
    ...texts.map(({ key }) => quality[key]).flatMap(({ perplexity, divergence, agreement }) =>
      [figure(perplexity), divergence < 1 ? divergence.toFixed(4) : divergence.toFixed(2), `${(agreement * 100).toFixed(1)} %`]),
    ...(decoded > 0 ? [decode!.toFixed(0)] : [])
  ])
])
console.log(table.join('\n'))
if (values.json !== undefined) {
  writeFileSync(values.json, JSON.stringify({ model: source.name, texts: texts.map(({ name, windows }) => ({ name, windows: windows.length })), window, threads, results }, null, 2))
}
if (values.keep === undefined) rmSync(folder, { recursive: true, force: true })
