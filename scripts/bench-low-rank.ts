/**
 * What low-rank corrections cost: decode and prefill of a model as it is, and
 * with random factors on all matrices of its layers. Random factors cost what
 * others do. Turns alternate, so that other work on the machine meets all.
 *
 *   node scripts/bench-low-rank.ts --model MODEL [--ranks 8,16,32] [--threads 1,2] [--rounds 12] [--json]
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { openModel } from '../src/index.ts'
import { createEngine } from '../src/engine/index.ts'
import { tensorByteLength } from '../src/model/index.ts'
import { describeMachine, machineLines } from '../src/cli/machine.ts'
import { maximum, median, tableLines } from './figures.ts'
import type { Engine } from '../src/engine/index.ts'
import type { TensorRole, TensorSource, UnitSource } from '../src/model/index.ts'

const { values } = parseArgs({
  options: {
    model: { type: 'string' },
    ranks: { type: 'string', default: '8,16,32' },
    threads: { type: 'string', default: [...new Set([1, availableParallelism()])].join(',') },
    rounds: { type: 'string', default: '12' },
    json: { type: 'boolean', default: false }
  }
})
if (values.model === undefined) {
  console.error('usage: node scripts/bench-low-rank.ts --model MODEL [--ranks 8,16,32] [--threads 1,2] [--rounds 12] [--json]')
  process.exit(2)
}
const numbers = (text: string): number[] => text.split(',').map(Number)

/** Tokens of a prompt, and decoded after it, in a turn. */
const PROMPT = 64
const DECODED = 24

const MATRICES: readonly TensorRole[] = ['query', 'key', 'value', 'attentionOutput', 'gate', 'up', 'down']

const model = await openModel(values.model)
const folder = mkdtempSync(join(tmpdir(), 'efedllm-low-rank-'))
process.on('exit', () => rmSync(folder, { recursive: true, force: true }))

/** A unit with factors of a rank on its matrices; all have the same random bytes. */
function withFactors (unit: UnitSource, rank: number): UnitSource {
  if (rank === 0 || !unit.unit.startsWith('layer')) return unit
  const tensors = Object.fromEntries(Object.entries(unit.tensors).map(([role, tensor]) => {
    if (!MATRICES.includes(role as TensorRole)) return [role, tensor]
    const [rows, columns] = tensor.shape
    return [role, { ...tensor, lowRank: { rank, left: factor('Q8_8', [rows, rank]), right: factor('Q8_0', [rank, columns]) } }]
  }))
  return { ...unit, tensors }
}

const files = new Map<string, TensorSource>()

function factor (type: 'Q8_8' | 'Q8_0', shape: [number, number]): TensorSource {
  const key = `${type}-${shape.join('x')}`
  let source = files.get(key)
  if (source === undefined) {
    const byteLength = tensorByteLength(type, shape[0] * shape[1])!
    const size = tensorByteLength(type, type === 'Q8_8' ? 8 : 32)!
    let state = byteLength
    const bytes = Uint8Array.from({ length: byteLength }, () => (state = (Math.imul(state, 1664525) + 1013904223) >>> 0) >>> 24)
    // small scales: 2^-20, and a float16 of 2^-14
    for (let at = 0; at < byteLength; at += size) bytes.set(type === 'Q8_8' ? [107] : [0, 4], at)
    const path = join(folder, key)
    writeFileSync(path, bytes)
    source = { name: key, path, offset: 0, byteLength, type, shape }
    files.set(key, source)
  }
  return source
}

interface Result { threads: number, rank: number, decode: number, prefill: number, decodeCost: number, prefillCost: number }
const results: Result[] = []
for (const threads of numbers(values.threads)) {
  const ranks = [0, ...numbers(values.ranks)]
  const engines: Engine[] = []
  for (const rank of ranks) {
    engines.push(await createEngine({
      architecture: model.architecture, range: { from: 0, to: model.architecture.layerCount + 2 }, unit: index => withFactors(model.unit(index), rank), threads, keyValuePositions: 256, kernelCache: join(folder, 'kernels.json')
    }))
  }
  const decode = ranks.map((): number[] => [])
  const prefill = ranks.map((): number[] => [])
  for (let round = -2; round < Number(values.rounds); round++) {
    for (const [i, engine] of engines.entries()) {
      const turn = await measure(engine)
      if (round < 0) continue
      decode[i].push(turn.decode)
      prefill[i].push(turn.prefill)
    }
  }
  for (const engine of engines) await engine.stop()
  const cost = (runs: number[][], i: number): number => median(runs[0].map((alone, round) => alone / runs[i][round] - 1))
  for (const [i, rank] of ranks.entries()) {
    results.push({ threads, rank, decode: maximum(decode[i]), prefill: maximum(prefill[i]), decodeCost: cost(decode, i), prefillCost: cost(prefill, i) })
  }
}

/** Tokens a second. */
async function measure (engine: Engine): Promise<{ decode: number, prefill: number }> {
  const session = engine.openSession({ capacity: PROMPT + DECODED })
  const begin = performance.now()
  await engine.run([{ session, position: 0, tokens: Uint32Array.from({ length: PROMPT }, (_, i) => 100 + i), outputs: [] }])
  const middle = performance.now()
  for (let i = 0; i < DECODED; i++) {
    await engine.run([{ session, position: PROMPT + i, tokens: Uint32Array.of(200 + i), outputs: [{ row: 0, output: { kind: 'top', count: 1 } }] }])
  }
  const end = performance.now()
  engine.closeSession(session)
  return { prefill: PROMPT / (middle - begin) * 1000, decode: DECODED / (end - middle) * 1000 }
}

if (values.json) console.log(JSON.stringify({ machine: describeMachine(), model: model.name, results }, null, 2))
else {
  const percent = (share: number): string => `${(share * 100).toFixed(1)} %`
  console.log(machineLines(describeMachine()).join('\n'))
  console.log(tableLines([
    ['threads', 'rank', 'decode, tokens/s', 'costs', 'prefill, tokens/s', 'costs'],
    ...results.map(({ threads, rank, decode, prefill, decodeCost, prefillCost }) => [threads, rank, decode.toFixed(1), percent(decodeCost), prefill.toFixed(0), percent(prefillCost)].map(String))
  ]).join('\n'))
}
