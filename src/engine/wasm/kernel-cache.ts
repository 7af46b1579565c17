import { createHash, randomUUID } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { mkdir, open, rename, rm, writeFile } from 'node:fs/promises'
import { cpus } from 'node:os'
import { dirname } from 'node:path'
import { KERNEL_CACHE_BYTES } from './constants.ts'
import type { KernelChoice, KernelVariant } from './kernels.ts'
import type { RaceMatrices } from './race.ts'

type Choices = Record<string, KernelChoice>

export interface KernelCacheKeyInit {
  kernels: Uint8Array
  matrices: RaceMatrices
  threads: number
  hugePages: boolean
}

/**
 * What a choice of kernels depends on, as a key: the processor, also that of a
 * virtual machine that does not tell its model, the compiler in Node, the
 * kernels themselves, whether memory is in large pages, and what was raced: the
 * kinds of matrices, in the pieces of so many threads.
 */
export function kernelCacheKey ({ kernels, matrices: { four, eight }, threads, hugePages }: KernelCacheKeyInit): string {
  const { node, v8 } = process.versions
  return createHash('sha256').update(JSON.stringify([
    cpus()[0]?.model ?? '', processorFlags(), process.arch, process.platform, node, v8,
    createHash('sha256').update(kernels).digest('hex'),
    threads, hugePages,
    ...[four[0], eight[0]].map(matrix => matrix && [matrix.kind, matrix.rows, matrix.columns])
  ])).digest('hex')
}

/** The choice that a file has for a key, if it is one of the variants that there are; whatever else the file may be is ignored. */
export async function readKernelChoice (path: string, key: string, variants: readonly KernelVariant[]): Promise<KernelChoice | undefined> {
  const choice = (await readChoices(path))[key]
  return isChoice(choice) && [choice.vector, choice.tile, choice.bytes].every(variant => variants.includes(variant)) ? choice : undefined
}

/** Adds a choice to a file, which appears whole or not at all. A cache that cannot be written is no failure. */
export async function writeKernelChoice (path: string, key: string, { vector, tile, bytes, streams, byteStreams }: KernelChoice): Promise<void> {
  const temporary = `${path}.${randomUUID()}.tmp`
  try {
    const { [key]: _old, ...others } = await readChoices(path)
    const entries: Array<[string, KernelChoice]> = [...Object.entries(others).filter(([, choice]) => isChoice(choice)), [key, { vector, tile, bytes, streams, byteStreams }]]
    let text: string
    do text = `${JSON.stringify(Object.fromEntries(entries), null, 1)}\n`
    while (text.length > KERNEL_CACHE_BYTES && entries.shift() !== undefined)
    await mkdir(dirname(path), { recursive: true })
    await writeFile(temporary, text)
    await rename(temporary, path)
  } catch {
    await rm(temporary, { force: true }).catch(() => {})
  }
}

async function readChoices (path: string): Promise<Choices> {
  try {
    const file = await open(path, 'r')
    try {
      const { bytesRead, buffer } = await file.read(Buffer.alloc(KERNEL_CACHE_BYTES), 0, KERNEL_CACHE_BYTES, 0)
      const value: unknown = JSON.parse(buffer.toString('utf8', 0, bytesRead))
      return typeof value === 'object' && value !== null && !Array.isArray(value) ? value as Choices : {}
    } finally {
      await file.close()
    }
  } catch {
    return {}
  }
}

function isChoice (value: unknown): value is KernelChoice {
  return typeof value === 'object' && value !== null && 'vector' in value && 'tile' in value && 'bytes' in value && 'streams' in value && 'byteStreams' in value &&
    typeof value.vector === 'string' && typeof value.tile === 'string' && typeof value.bytes === 'string' &&
    [value.streams, value.byteStreams].every(streams => streams === 1 || streams === 4)
}

/** The line of Linux that names the instruction sets; empty elsewhere, where models say enough. */
function processorFlags (): string {
  try {
    return /^(?:flags|Features)\s*:(.*)$/m.exec(readFileSync('/proc/cpuinfo', 'utf8'))?.[1].trim() ?? ''
  } catch {
    return ''
  }
}
