import { open } from 'node:fs/promises'
import { MAX_TEXT_BYTES } from './constants.ts'
import { UsageError } from './errors.ts'
import type { Terminal } from './terminal.ts'

/** The text of an argument, a file, or stdin where neither is given and stdin is no terminal. */
export async function readText (terminal: Terminal, argument: string | undefined, file: string | undefined): Promise<string> {
  if (argument !== undefined && file !== undefined) throw new UsageError('give the text as an argument or with --file, not both')
  if (argument !== undefined && argument !== '-') return argument
  if (file !== undefined && file !== '-') return await readTextFile(file)
  if (argument === undefined && file === undefined && terminal.stdin.isTTY === true) {
    throw new UsageError('no prompt', 'give it as an argument, with --file, or on stdin')
  }
  return decode(await collect(terminal.stdin, 'stdin'), 'stdin')
}

/** A whole text file; refuses what is no UTF-8 text of reasonable size. */
export async function readTextFile (path: string): Promise<string> {
  const handle = await open(path).catch((error: NodeJS.ErrnoException) => {
    throw new UsageError(`${path}: ${error.code === 'ENOENT' ? 'no such file' : error.message}`)
  })
  try {
    if ((await handle.stat()).isDirectory()) throw new UsageError(`${path}: is a folder, not a text file`)
    return decode(await collect(handle.createReadStream({ autoClose: false }), path), path)
  } finally {
    await handle.close()
  }
}

async function collect (stream: AsyncIterable<Uint8Array | string>, name: string): Promise<Buffer> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of stream) {
    const bytes = Buffer.from(chunk as Uint8Array)
    size += bytes.length
    if (size > MAX_TEXT_BYTES) throw new UsageError(`${name}: longer than ${MAX_TEXT_BYTES / 1024 / 1024} MiB`)
    chunks.push(bytes)
  }
  return Buffer.concat(chunks)
}

function decode (data: Buffer, name: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(data)
  } catch {
    throw new UsageError(`${name}: not UTF-8 text`)
  }
}
