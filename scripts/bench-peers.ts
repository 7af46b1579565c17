/**
 * This project's engine beside llama.cpp (node-llama-cpp, installed under bench/
 * on first use): the same file, the same threads, processes of their own of
 * which only one runs at a time, runs in turn. Method: docs/performance.md.
 *
 *   npm run bench:peers -- --model FILE.gguf [options]
 */
import { fork, spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync, rmSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { basename, join } from 'node:path'
import { parseArgs } from 'node:util'
import { describeMachine, machineLines } from '../src/cli/machine.ts'
import type { CandidateInit, Reply, Request } from '../bench/candidate.ts'
import { missingPackages, root } from './set-up.mjs'
import { maximum, median, minimum, tableLines } from './figures.ts'

const usage = `Usage: npm run bench:peers -- --model FILE.gguf [options]

  --model FILE        GGUF file that both run
  --best FILE         file that llama.cpp runs besides: the same model in its fastest format (bench/requantise.ts makes one)
  --threads 1,2       thread counts (default: 1 and all)
  --prefill 512       tokens of the prompt; 0: not measured
  --decode 128        tokens decoded
  --depth 0,4096      positions before the decoded ones; none: not measured
  --sequences 1,8,16  sequences at once; none: not measured
  --runs 5            runs that count, of each; one before them does not
  --flash-attention auto|on|off   of llama.cpp (default: auto, as it comes)
  --json              print one JSON value
  --quiet             no progress on stderr`

interface Options {
  model: string
  best?: string
  threads: number[]
  prefill: number
  decode: number
  depths: number[]
  sequences: number[]
  runs: number
  flashAttention: CandidateInit['flashAttention']
  json: boolean
  quiet: boolean
}

/** What is measured: a request, and how many tokens it computes. */
interface Measurement {
  name: string
  /** at once; undefined where the measurement is not about that */
  sequences?: number
  tokens: number
  request: Exclude<Request, { type: 'open' }>
}

/** Tokens per second of the runs that count. */
interface Speed {
  median: number
  least: number
  most: number
  runs: number[]
}

interface Result {
  threads: number
  measurement: string
  /** at once; undefined where the measurement is not about that */
  sequences?: number
  engine: Speed
  llamaCpp: Speed
  best?: Speed
  /** ours ÷ theirs, of the medians */
  ratio: number
  ratioToBest?: number
}

function readOptions (): Options {
  const { values } = parseArgs({
    options: {
      model: { type: 'string' },
      best: { type: 'string' },
      threads: { type: 'string', default: [...new Set([1, availableParallelism()])].join(',') },
      prefill: { type: 'string', default: '512' },
      decode: { type: 'string', default: '128' },
      depth: { type: 'string', default: '0,4096' },
      sequences: { type: 'string', default: '1,8,16' },
      runs: { type: 'string', default: '5' },
      'flash-attention': { type: 'string', default: 'auto' },
      json: { type: 'boolean', default: false },
      quiet: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false }
    }
  })
  if (values.help) {
    console.log(usage)
    process.exit(0)
  }
  if (values.model === undefined) throw new UsageError('--model is needed')
  for (const path of [values.model, values.best]) {
    if (path !== undefined && !existsSync(path)) throw new UsageError(`${path}: no such file`)
  }
  const flashAttention = values['flash-attention']
  if (flashAttention !== 'auto' && flashAttention !== 'on' && flashAttention !== 'off') throw new UsageError('--flash-attention is auto, on or off')
  return {
    model: values.model,
    best: values.best,
    threads: integers('--threads', values.threads, 1),
    prefill: integers('--prefill', values.prefill, 0)[0],
    decode: integers('--decode', values.decode, 1)[0],
    depths: integers('--depth', values.depth, 0),
    sequences: integers('--sequences', values.sequences, 1),
    runs: integers('--runs', values.runs, 1)[0],
    flashAttention,
    json: values.json,
    quiet: values.quiet
  }
}

class UsageError extends Error {}

function integers (name: string, text: string, least: number): number[] {
  if (text === 'none' || text === '') return []
  return text.split(',').map(part => {
    const value = Number(part)
    if (!Number.isInteger(value) || value < least) throw new UsageError(`${name}: '${part}' is not a whole number of at least ${least}`)
    return value
  })
}

/** Installs node-llama-cpp, with the binary for processors alone, unless it is there. */
async function install (): Promise<void> {
  const folder = join(root, 'bench')
  const lock = (path: string) => JSON.parse(readFileSync(join(folder, path), 'utf8'))
  const installed = existsSync(join(folder, 'node_modules/.package-lock.json')) ? lock('node_modules/.package-lock.json') : undefined
  if (missingPackages(lock('package-lock.json'), installed).length === 0) return
  console.error('Installing node-llama-cpp under bench/ (npm ci, about 70 MB to download) ...')
  const script = process.env.npm_execpath
  const args = ['ci', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error']
  const windows = process.platform === 'win32'
  const [command, all] = script !== undefined && /\.c?js$/.test(script)
    ? [process.execPath, [script, ...args]]
    : [windows ? 'npm.cmd' : 'npm', args]
  const child = spawn(command, all, {
    cwd: folder,
    stdio: ['ignore', 'ignore', 'inherit'],
    shell: windows && command === 'npm.cmd',
    env: { ...process.env, NODE_LLAMA_CPP_SKIP_DOWNLOAD: 'true' }
  })
  const [code] = await once(child, 'close')
  if (code === 0) return
  rmSync(join(folder, 'node_modules'), { recursive: true, force: true })
  throw new Error('npm ci in bench/ failed, see above')
}

/** A process with a candidate. It is stopped while it has nothing to do, so that it cannot take time from the others. */
class Contestant {
  readonly name: string
  readonly #child: ChildProcess
  readonly #ended: Promise<never>
  description: Record<string, string> = {}
  /** highest resident memory seen after a measurement */
  residentBytes = 0

  constructor (name: string, script: string) {
    this.name = name
    this.#child = fork(join(root, 'bench', script), { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] })
    this.#ended = once(this.#child, 'exit').then(([code, signal]) => { throw new Error(`${name} ended with ${signal ?? code}`) })
    this.#ended.catch(() => {})
  }

  async open (init: CandidateInit): Promise<void> {
    const reply = await this.#ask({ type: 'open', init })
    if (reply.type === 'opened') this.description = reply.description
  }

  async measure (request: Measurement['request']): Promise<number> {
    const reply = await this.#ask(request)
    if (reply.type !== 'measured') throw new Error(`${this.name} answered ${reply.type}`)
    this.residentBytes = Math.max(this.residentBytes, reply.residentBytes)
    return reply.milliseconds
  }

  close (): void {
    this.#child.kill('SIGKILL')
  }

  async #ask (request: Request): Promise<Reply> {
    this.#signal('SIGCONT')
    const answer = once(this.#child, 'message')
    this.#child.send(request)
    const [reply] = await Promise.race([answer, this.#ended]) as [Reply]
    this.#signal('SIGSTOP')
    if (reply.type === 'failed') throw new Error(`${this.name}: ${reply.message}`)
    return reply
  }

  #signal (signal: NodeJS.Signals): void {
    if (process.platform !== 'win32') this.#child.kill(signal)
  }
}

function measurementsOf ({ prefill, decode, depths, sequences }: Options): Measurement[] {
  return [
    ...(prefill === 0 ? [] : [{ name: `prefill ${prefill}`, tokens: prefill, request: { type: 'prefill' as const, tokens: prefill } }]),
    ...depths.map(depth => ({ name: `decode at ${depth}`, tokens: decode, request: { type: 'decode' as const, depth, tokens: decode } })),
    ...sequences.map(count => ({
      name: `decode, ${count} sequence${count === 1 ? '' : 's'}`,
      sequences: count,
      tokens: decode * count,
      request: { type: 'decodeTogether' as const, sequences: count, tokens: decode }
    }))
  ]
}

/** All measurements with a number of threads. */
async function compare (options: Options, threads: number, progress: (text: string) => void): Promise<{ results: Result[], contestants: Contestant[] }> {
  const init = (model: string): CandidateInit => ({
    model,
    threads,
    positions: Math.max(options.prefill, ...options.depths.map(depth => depth + options.decode), 1),
    sequences: { count: Math.max(0, ...options.sequences), positions: options.decode },
    flashAttention: options.flashAttention
  })
  const engine = new Contestant('eFedLLM', 'engine.ts')
  const llamaCpp = new Contestant('llama.cpp', 'llama-cpp.ts')
  const best = options.best === undefined ? undefined : new Contestant(`llama.cpp, ${basename(options.best)}`, 'llama-cpp.ts')
  const contestants = [engine, llamaCpp, ...(best === undefined ? [] : [best])]
  const closeAll = () => { for (const contestant of contestants) contestant.close() }
  process.once('exit', closeAll)
  try {
    for (const contestant of contestants) {
      progress(`${threadCount(threads)}: ${contestant.name} loads`)
      await contestant.open(init(contestant === best ? options.best! : options.model))
    }
    const results: Result[] = []
    for (const { name, sequences, tokens, request } of measurementsOf(options)) {
      const rates = new Map<Contestant, number[]>(contestants.map(contestant => [contestant, []]))
      for (let run = 0; run <= options.runs; run++) {
        // whoever comes first in one run comes last in the next
        for (const contestant of run % 2 === 0 ? contestants : contestants.toReversed()) {
          progress(`${threadCount(threads)}: ${name}, ${run === 0 ? 'warm-up' : `run ${run} of ${options.runs}`}, ${contestant.name}`)
          const milliseconds = await contestant.measure(request)
          if (run > 0) rates.get(contestant)!.push(tokens * 1000 / milliseconds)
        }
      }
      const speeds = contestants.map(contestant => speed(rates.get(contestant)!))
      results.push({
        threads,
        measurement: name,
        sequences,
        engine: speeds[0],
        llamaCpp: speeds[1],
        ratio: speeds[0].median / speeds[1].median,
        ...(best === undefined ? {} : { best: speeds[2], ratioToBest: speeds[0].median / speeds[2].median })
      })
    }
    return { results, contestants }
  } finally {
    process.off('exit', closeAll)
    closeAll()
  }
}

function speed (runs: number[]): Speed {
  return { median: median(runs), least: minimum(runs), most: maximum(runs), runs }
}

function report (options: Options, results: Result[]): string {
  const cell = ({ median, least, most }: Speed) => `${figure(median)} (${figure(least)}–${figure(most)})`
  const head = ['threads', 'measurement', 'eFedLLM', 'llama.cpp', 'ratio', ...(options.best === undefined ? [] : [`llama.cpp, ${basename(options.best)}`, 'ratio'])]
  const rows = results.map(({ threads, measurement, engine, llamaCpp, ratio, best, ratioToBest }) => [
    String(threads), measurement, cell(engine), cell(llamaCpp), ratio.toFixed(2), ...(best === undefined ? [] : [cell(best), ratioToBest!.toFixed(2)])
  ])
  return tableLines([head, ...rows]).join('\n')
}

/** What several sequences at once gain over one of them. */
function gains (results: Result[]): string[] {
  return results.filter(({ sequences }) => sequences !== undefined && sequences > 1).flatMap(({ threads, sequences, engine, llamaCpp }) => {
    const one = results.find(result => result.threads === threads && result.sequences === 1)
    if (one === undefined) return []
    return [`${sequences} sequences with ${threadCount(threads)}: ${(engine.median / one.engine.median).toFixed(2)} times as many tokens as one sequence (llama.cpp ${(llamaCpp.median / one.llamaCpp.median).toFixed(2)})`]
  })
}

function threadCount (threads: number): string {
  return `${threads} thread${threads === 1 ? '' : 's'}`
}

function figure (value: number): string {
  return value >= 99.95 ? value.toFixed(0) : value.toFixed(1)
}

async function main (): Promise<void> {
  const options = readOptions()
  await install()
  const started = performance.now()
  const progress = (text: string) => { if (!options.quiet) process.stderr.write(`${((performance.now() - started) / 1000).toFixed(0).padStart(4)} s  ${text}\n`) }
  const machine = describeMachine()
  const results: Result[] = []
  const described: Array<{ threads: number, name: string, residentBytes: number, description: Record<string, string> }> = []
  for (const threads of options.threads) {
    const { results: measured, contestants } = await compare(options, threads, progress)
    results.push(...measured)
    described.push(...contestants.map(({ name, residentBytes, description }) => ({ threads, name, residentBytes, description })))
  }
  if (options.json) {
    const { json, quiet, model, best, ...rest } = options
    console.log(JSON.stringify({ model: basename(model), best: best === undefined ? null : basename(best), options: rest, machine, candidates: described, results }))
    return
  }
  console.log([
    `${basename(options.model)}, tokens/s, median of ${options.runs} runs (lowest–highest); ratio is eFedLLM ÷ llama.cpp`, '',
    report(options, results), '',
    ...gains(results), '',
    ...machineLines(machine), '',
    ...described.map(({ threads, name, residentBytes, description }) =>
      `${name}, ${threadCount(threads)}: ${(residentBytes / 1e6).toFixed(0)} MB resident; ${Object.entries(description).map(([key, value]) => `${key} ${value}`).join('; ')}`)
  ].join('\n'))
}

try {
  await main()
} catch (error) {
  if (!(error instanceof UsageError) && (error as NodeJS.ErrnoException).code?.startsWith('ERR_PARSE_ARGS') !== true) throw error
  console.error(`${(error as Error).message}\n\n${usage}`)
  process.exitCode = 2
}
