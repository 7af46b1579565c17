import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { ChildProcessWithoutNullStreams } from 'node:child_process'
import type { PeerJson, PromptJson, SwarmJson } from '../../src/cli/json.ts'

// The program itself, as it is installed: `npm test` builds it first.
const program = fileURLToPath(new URL('../../bin/efedllm.mjs', import.meta.url))

export interface Ended {
  code: number | null
  signal: NodeJS.Signals | null
  stdout: string
  stderr: string
}

export interface Running {
  child: ChildProcessWithoutNullStreams
  pid: number
  /** never rejects */
  ended: Promise<Ended>
  /** resolves once the output so far matches; rejects where the process ends before */
  until: (stream: 'stdout' | 'stderr', pattern: RegExp) => Promise<string>
}

const running = new Set<Running>()

/** Peers pack what they host: not into the cache of whoever runs the tests. */
const cache = mkdtempSync(join(tmpdir(), 'efedllm-cache-'))
process.on('exit', () => rmSync(cache, { recursive: true, force: true }))

/** Starts the command line; `killAll` ends what a test leaves. */
export function start (args: string[], options: { env?: Record<string, string>, input?: string } = {}): Running {
  const child = spawn(process.execPath, [program, ...args], {
    env: { ...process.env, NO_COLOR: '1', XDG_CACHE_HOME: cache, EFEDLLM_JOIN: undefined, EFEDLLM_NO_MDNS: '1', DEBUG: undefined, ...options.env }
  })
  const output = { stdout: '', stderr: '' }
  child.stdin.on('error', () => {})
  if (options.input !== undefined) child.stdin.end(options.input)
  for (const name of ['stdout', 'stderr'] as const) {
    child[name].setEncoding('utf8').on('data', (text: string) => { output[name] += text })
  }
  const ended = once(child, 'close').then(([code, signal]) => {
    running.delete(process_)
    return { code, signal, ...output } as Ended
  })
  const process_: Running = {
    child,
    pid: child.pid ?? 0,
    ended,
    until: async (stream, pattern) => {
      while (true) {
        const match = pattern.exec(output[stream])
        if (match !== null) return match[0]
        const gone = await Promise.race([once(child[stream], 'data').then(() => false), ended.then(() => true)])
        if (gone && !pattern.test(output[stream])) {
          throw new Error(`ended before ${stream} matched ${String(pattern)}:\n${output.stdout}\n${output.stderr}`)
        }
      }
    }
  }
  running.add(process_)
  return process_
}

/** Runs the command line to its end. */
export async function run (args: string[], options: Parameters<typeof start>[1] = {}): Promise<Ended> {
  return await start(args, { input: '', ...options }).ended
}

/** The value of a run with --json that must succeed. */
export async function runJson<Value> (args: string[], options: Parameters<typeof start>[1] = {}): Promise<Value> {
  const { code, stdout, stderr } = await run([...args, '--json'], options)
  if (code !== 0) throw new Error(`exit code ${code}:\n${stderr}`)
  return JSON.parse(stdout.trimEnd().split('\n').at(-1) ?? '') as Value
}

export async function promptJson (...args: string[]): Promise<PromptJson> {
  return await runJson<PromptJson>(args)
}

/** A peer that has said that it is ready. */
export async function startPeer (...args: string[]): Promise<Running & { ready: PeerJson, address: string }> {
  const peer = start(['peer', '--ephemeral', '--listen', '/ip4/127.0.0.1/tcp/0', '--json', ...args])
  const ready = JSON.parse(await peer.until('stdout', /^.*\n/)) as PeerJson
  return { ...peer, ready, address: ready.addresses[0] }
}

/** A swarm that stays up. */
export async function startSwarm (...args: string[]): Promise<Running & { ready: SwarmJson }> {
  const swarm = start(['swarm', '--json', ...args])
  return { ...swarm, ready: JSON.parse(await swarm.until('stdout', /^.*\n/)) as SwarmJson }
}

/** Ends a process in order. */
export async function stop (process: Running | undefined): Promise<Ended | undefined> {
  process?.child.kill('SIGINT')
  return await process?.ended
}

/** For `afterEach`: nothing may be left, also of a test that failed. */
export async function killAll (): Promise<void> {
  const left = [...running]
  for (const { child } of left) child.kill('SIGKILL')
  await Promise.all(left.map(async process => await process.ended))
}
