import { spawn } from 'node:child_process'
import { KEPT_STDERR_CHARACTERS, MAX_READY_LINE_CHARACTERS, READY_MILLISECONDS, STOP_MILLISECONDS } from './constants.ts'
import { PeerProcessError } from './errors.ts'
import { milliseconds } from './format.ts'
import { untilAborted } from './interrupt.ts'
import type { ChildProcess } from 'node:child_process'
import type { PeerJson } from './json.ts'

export interface PeerProcess {
  /** from 1 */
  number: number
  pid: number
  ready: PeerJson
}

export interface PeerProcesses {
  peers: PeerProcess[]
  /** resolves when no peer is left */
  ended: Promise<void>
  /** asks all to finish, then kills those that do not; idempotent */
  stop: () => Promise<void>
}

export interface StartPeersInit {
  /** program and leading arguments that run this command line */
  program: string[]
  /** arguments of each peer, after `peer` */
  peers: string[][]
  /** further arguments of all but the first, which is waited for before they start */
  introduce?: (first: PeerJson) => string[]
  signal: AbortSignal
  onReady?: (count: number) => void
  /** a peer ended that was not asked to, after all were ready */
  onLost?: (error: PeerProcessError) => void
  /** the process must end at once: see Context */
  onExit: (action: () => void) => () => void
}

/**
 * Starts peers as processes and waits until each has printed its ready line.
 * Each holds a pipe of ours as its stdin and ends when that closes, so none is
 * left behind even if this process is killed.
 */
export async function startPeers ({ program, peers: commandLines, introduce, signal, onReady, onLost, onExit }: StartPeersInit): Promise<PeerProcesses> {
  signal.throwIfAborted()
  const total = commandLines.length
  const children: Child[] = []
  const ends: Array<Promise<void>> = []
  const failure = Promise.withResolvers<never>()
  failure.promise.catch(() => {})
  const forget = onExit(() => children.forEach(child => child.process.kill('SIGKILL')))
  let stopping: Promise<void> | undefined
  const stop = (): Promise<void> => {
    stopping ??= Promise.all(children.map(endChild)).then(forget)
    return stopping
  }
  let started = false
  let readyCount = 0

  async function watch (child: Child, number: number): Promise<void> {
    const how = await child.ended
    // while we stop them, every end is as it should be
    if (stopping !== undefined) return
    const error = new PeerProcessError(number, total, `${how}${lastWords(child.stderr())}`)
    if (started) onLost?.(error)
    else failure.reject(error)
  }

  async function start (args: string[]): Promise<PeerProcess> {
    const child = launch([...program, 'peer', ...args])
    const number = children.push(child)
    ends.push(watch(child, number))
    const ready = await child.ready
    onReady?.(++readyCount)
    waiting.delete(number)
    return { number, pid: child.process.pid ?? 0, ready }
  }

  async function startAll (): Promise<PeerProcess[]> {
    if (introduce === undefined) return await Promise.all(commandLines.map(start))
    const first = await start(commandLines[0])
    if (stopping !== undefined) return []
    const more = introduce(first.ready)
    return [first, ...await Promise.all(commandLines.slice(1).map(async args => await start([...args, ...more])))]
  }

  const limit = AbortSignal.timeout(READY_MILLISECONDS)
  const waiting = new Set(commandLines.map((_args, index) => index + 1))
  try {
    const all = startAll()
    all.catch(() => {})
    const peers = await Promise.race([
      failure.promise,
      untilAborted(signal).then(() => { throw signal.reason }),
      untilAborted(limit).then(() => {
        throw new PeerProcessError([...waiting][0], total, `was not ready within ${milliseconds(READY_MILLISECONDS)}`)
      }),
      all
    ])
    started = true
    return { peers, ended: Promise.all(ends).then(() => {}), stop }
  } catch (error) {
    await stop()
    throw error
  }
}

interface Child {
  process: ChildProcess
  ready: Promise<PeerJson>
  /** how it ended, in words; never rejects */
  ended: Promise<string>
  stderr: () => string
}

function launch ([command, ...args]: string[]): Child {
  const child = spawn(command, args, {
    stdio: ['pipe', 'pipe', 'pipe'],
    // in a group of its own, Ctrl-C of the terminal reaches only us, and we end the peers in order
    detached: process.platform !== 'win32',
    windowsHide: true
  })
  let stderr = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => { stderr = (stderr + text).slice(-KEPT_STDERR_CHARACTERS) })
  child.stdin.on('error', () => {})
  const ready = new Promise<PeerJson>((resolve, reject) => {
    let line: string | undefined = ''
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      if (line === undefined) return
      line = (line + text).slice(0, MAX_READY_LINE_CHARACTERS)
      const end = line.indexOf('\n')
      if (end < 0) return
      try {
        resolve(JSON.parse(line.slice(0, end)) as PeerJson)
      } catch (error) {
        reject(error)
      }
      line = undefined
    })
  })
  const ended = new Promise<string>(resolve => {
    child.on('error', error => resolve(`could not be started: ${error.message}`))
    child.on('close', (code, signal) => resolve(signal === null ? `ended with exit code ${code ?? 0}` : `was ended by ${signal}`))
  })
  return { process: child, ready, ended, stderr: () => stderr }
}

async function endChild (child: Child): Promise<void> {
  child.process.stdin?.end()
  const timer = setTimeout(() => child.process.kill('SIGKILL'), STOP_MILLISECONDS)
  await child.ended
  clearTimeout(timer)
}

function lastWords (stderr: string): string {
  const line = stderr.split('\n').find(line => line.startsWith('efedllm:')) ?? stderr.trim().split('\n').at(-1) ?? ''
  return line === '' ? '' : `: ${line.replace(/^efedllm: /, '')}`
}
