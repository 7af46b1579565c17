import { PassThrough, Readable } from 'node:stream'
import { main } from '../../../src/cli/index.ts'
import type { Terminal } from '../../../src/cli/index.ts'

export interface FakeTerminal extends Terminal {
  /** what was written so far */
  output: () => string
  errors: () => string
}

/** Streams that keep what is written. */
export function createTerminal (init: { input?: string, env?: Record<string, string>, isTTY?: boolean } = {}): FakeTerminal {
  const collected = { stdout: '', stderr: '' }
  const sink = (name: 'stdout' | 'stderr'): PassThrough & { isTTY?: boolean } => {
    const stream: PassThrough & { isTTY?: boolean } = new PassThrough()
    stream.isTTY = init.isTTY ?? false
    stream.setEncoding('utf8').on('data', (text: string) => { collected[name] += text })
    return stream
  }
  return {
    stdin: Readable.from(init.input === undefined ? [] : [Buffer.from(init.input)]),
    stdout: sink('stdout'),
    stderr: sink('stderr'),
    env: init.env ?? {},
    output: () => collected.stdout,
    errors: () => collected.stderr
  }
}

/** One run in this process. */
export async function run (argv: string[], init: Parameters<typeof createTerminal>[0] = {}): Promise<{ code: number, output: string, errors: string }> {
  const terminal = createTerminal(init)
  const code = await main(argv, terminal)
  // what is written last passes through the stream in a later turn
  await Promise.all([terminal.stdout, terminal.stderr].map(async stream => {
    stream.end()
    await new Promise(resolve => stream.once('close', resolve))
  }))
  return { code, output: terminal.output(), errors: terminal.errors() }
}

/** The contract of --json: one value, the last line of stdout. */
export function lastLine (output: string): unknown {
  return JSON.parse(output.trimEnd().split('\n').at(-1) ?? '')
}
