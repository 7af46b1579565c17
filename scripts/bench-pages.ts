/**
 * Why weights lie in large pages (docs/adr/0009-large-pages.md): products of one
 * token with a matrix that no cache holds, from one place at a time or from
 * four, in one call or in the pieces that threads take, in small pages and in
 * large ones. In turn: what the rest of the machine does meets all alike.
 *
 *   node scripts/bench-pages.ts [--threads 1,2] [--type Q4_1] [--runs 9] [--json]
 */
import { availableParallelism } from 'node:os'
import { parseArgs } from 'node:util'
import { describeMachine, machineLines } from '../src/cli/machine.ts'
import { availableVariants } from '../src/engine/index.ts'
import { layOutMatrix } from '../src/engine/wasm/matrix-layout.ts'
import type { TensorType } from '../src/model/index.ts'
import { maximum, median, tableLines } from './figures.ts'
import { startKernelWorkers } from './kernel-workers.ts'

const { values } = parseArgs({
  options: {
    threads: { type: 'string', default: [...new Set([1, availableParallelism()])].join(',') },
    type: { type: 'string', default: 'Q4_1' },
    runs: { type: 'string', default: '9' },
    json: { type: 'boolean', default: false }
  }
})
const threadCounts = values.threads.split(',').map(Number)
/** One for each kind of product. */
const TYPES: readonly TensorType[] = ['Q4_0', 'Q4_1', 'Q8_0', 'Q5_1']
const type = TYPES.find(type => type === values.type)
if (type === undefined || !threadCounts.every(threads => Number.isInteger(threads) && threads > 0)) {
  console.error(`usage: node scripts/bench-pages.ts [--threads 1,2] [--type ${TYPES.join('|')}] [--runs 9] [--json]`)
  process.exit(2)
}

const COLUMNS = 576
/** In cache, and in none: 0.1 and 65 MB of Q4_1. */
const SIZES = [{ place: 'cache', rows: 256 }, { place: 'memory', rows: 150_000 }]
/** What two threads take at a time of a matrix of 576 rows. */
const PIECE = 80

interface Case {
  place: string
  rows: number
  pages: 'small' | 'large'
  streams: 1 | 4
  /** rows of a call */
  piece: number
}

const cases: Case[] = SIZES.flatMap(({ place, rows }) => (place === 'cache' ? ['small'] as const : ['small', 'large'] as const).flatMap(pages =>
  ([1, 4] as const).flatMap(streams => (place === 'cache' ? [rows] : [rows, PIECE]).map(piece => ({ place, rows, pages, streams, piece })))))

const workers = await startKernelWorkers(maximum(threadCounts))
const measured: Array<Case & { threads: number, rate: number, best: number, bandwidth: number }> = []
for (const threads of threadCounts) {
  const looks = cases.map((): number[] => [])
  for (let run = 0; run <= Number(values.runs); run++) {
    for (const [index, { rows, pages, streams, piece }] of cases.entries()) {
      const times = await workers.look({ kind: 'product', type, variant: availableVariants()[0], rows, columns: COLUMNS, tokens: 1, streams, piece, largePages: pages === 'large' }, threads)
      if (run > 0) looks[index].push(times)
    }
  }
  for (const [index, row] of cases.entries()) {
    let matrixBytes = 0
    layOutMatrix({ path: '', offset: 0, byteLength: 0, type, shape: [row.rows, COLUMNS] }, bytes => {
      matrixBytes = bytes
      return 0
    })
    const weights = row.rows * COLUMNS
    measured.push({ ...row, threads, rate: median(looks[index]) * weights / 1e9, best: maximum(looks[index]) * weights / 1e9, bandwidth: median(looks[index]) * matrixBytes / 1e9 })
  }
}
await workers.stop()

const machine = describeMachine()
if (values.json) {
  console.log(JSON.stringify({ machine, type, measured }))
} else {
  console.log([...machineLines(machine), '', `One token × ${type}, 10⁹ multiply-adds a second`, '', ...tableLines([
    ['threads', 'from', 'pages', 'streams', 'rows a call', 'median', 'best', 'GB/s'],
    ...measured.map(({ threads, place, pages, streams, piece, rate, best, bandwidth }) => [
      String(threads), place, pages, String(streams), piece === PIECE ? String(piece) : 'all', rate.toFixed(1), best.toFixed(1), bandwidth.toFixed(1)
    ])
  ])].join('\n'))
}
