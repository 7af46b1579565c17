import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import type { PeerJson } from '../../src/cli/json.ts'

const program = fileURLToPath(new URL('../../bin/efedllm.mjs', import.meta.url))
const probe = fileURLToPath(new URL('probe.mjs', import.meta.url))

/** The program as it is installed, as a peer. */
export interface PeerProcess {
  readonly pid: number
  readonly ready: PeerJson
  /** what it has said on stderr, its last part */
  readonly words: string
  /** how it ended; never rejects */
  readonly ended: Promise<string>
  /** undefined where it does not answer */
  memory (): Promise<NodeJS.MemoryUsage | undefined>
  kill (): void
}

export interface PeerProcessInit {
  /** after `efedllm peer` */
  args: string[]
  cache: string
}

const KEPT_WORDS = 4_096
/** A process that has been killed, or is frozen, says nothing. */
const ANSWER_MILLISECONDS = 5_000

/** Resolves when it is ready; throws where it ends before. */
export async function startPeer ({ args, cache }: PeerProcessInit): Promise<PeerProcess> {
  const child = spawn(process.execPath, ['--expose-gc', '--import', probe, program, 'peer', '--exit-with-parent', '--json', ...args], {
    stdio: ['pipe', 'pipe', 'pipe', 'ipc'],
    env: { ...process.env, XDG_CACHE_HOME: cache, NO_COLOR: '1', EFEDLLM_JOIN: undefined }
  })
  let words = ''
  child.stderr!.setEncoding('utf8').on('data', (text: string) => { words = (words + text).slice(-KEPT_WORDS) })
  child.stdin!.on('error', () => {})
  const ended = once(child, 'exit').then(([code, signal]) => `${signal ?? `code ${code}`}`)
  const line = await Promise.race([firstLine(child), ended.then(how => { throw new Error(`a peer ended before it was ready: ${how}\n${words}`) })])
  return {
    pid: child.pid!,
    ready: JSON.parse(line) as PeerJson,
    get words () {
      return words
    },
    ended,
    async memory () {
      if (!child.connected) return undefined
      const answer = once(child, 'message', { signal: AbortSignal.timeout(ANSWER_MILLISECONDS) })
      child.send('memory', () => {})
      return await answer.then(([memory]) => memory as NodeJS.MemoryUsage, () => undefined)
    },
    kill: () => { child.kill('SIGKILL') }
  }
}

async function firstLine (child: ChildProcess): Promise<string> {
  let text = ''
  const { promise, resolve } = Promise.withResolvers<string>()
  child.stdout!.setEncoding('utf8').on('data', (more: string) => {
    if (text.includes('\n')) return
    text += more
    if (text.includes('\n')) resolve(text.slice(0, text.indexOf('\n')))
  })
  return await promise
}
