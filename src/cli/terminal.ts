import { styleText } from 'node:util'
import type { Readable, Writable } from 'node:stream'

type Style = 'bold' | 'dim' | 'red' | 'yellow' | 'green' | 'cyan'

/** The streams and environment of a run; tests bring their own. */
export interface Terminal {
  stdin: Readable & { isTTY?: boolean }
  stdout: Writable & { isTTY?: boolean }
  stderr: Writable & { isTTY?: boolean, columns?: number }
  env: Record<string, string | undefined>
}

export function processTerminal (): Terminal {
  return { stdin: process.stdin, stdout: process.stdout, stderr: process.stderr, env: process.env }
}

/** Styled for stderr: plain where it is no terminal, or where NO_COLOR asks for that. */
export function style (terminal: Terminal, format: Style | Style[], text: string): string {
  if ((terminal.env.NO_COLOR ?? '') !== '') return text
  return styleText(format, text, { stream: terminal.stderr })
}

/** One line to stderr. */
export function note (terminal: Terminal, text: string): void {
  terminal.stderr.write(`${text}\n`)
}

/** Waits for the stream to take the text, so that output to a slow pipe does not pile up in memory. */
export async function write (stream: Writable, text: string): Promise<void> {
  if (text === '' || stream.destroyed || stream.writableEnded) return
  if (stream.write(text)) return
  await new Promise<void>(resolve => {
    const done = (): void => {
      stream.off('drain', done).off('close', done).off('error', done)
      resolve()
    }
    stream.once('drain', done).once('close', done).once('error', done)
  })
}

/** The value of a `--json` run: always one line, the last of stdout. */
export async function writeJson (terminal: Terminal, value: unknown): Promise<void> {
  await write(terminal.stdout, `${JSON.stringify(value)}\n`)
}
