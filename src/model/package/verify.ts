import { existsSync } from 'node:fs'
import { stat } from 'node:fs/promises'
import { checkBlocks, readBlobHeader } from '../blob/index.ts'
import { ModelFileError, UnsupportedModelError } from '../errors.ts'
import { createTokenizerFromCanonical, TokenizerFormatError, UnsupportedTokenizerError } from '../tokenizer/index.ts'
import type { UnitName } from '../types.ts'
import { UnitMissingError } from './errors.ts'
import { readPackage } from './read-package.ts'
import type { Package } from './read-package.ts'
import { unitNameOf } from './writer.ts'

export interface VerifiedFile {
  path: string
  /** units that it holds, or `tokenizer` */
  holds: Array<UnitName | 'tokenizer'>
  byteLength: number
  /** null where the file is what its name and the manifest say */
  problem: Error | null
}

export interface PackageReport {
  directory: string
  modelId: string
  files: VerifiedFile[]
  /** units that are not here: the package is a part of a model */
  missing: UnitName[]
  /** no file has a problem */
  sound: boolean
}

export interface VerifyOptions {
  signal?: AbortSignal
  /** bytes of data hashed so far, of all */
  onProgress?: (done: number, total: number) => void
}

/**
 * Checks every file of a package that is here: hash of header and blocks,
 * tensors and shapes of each unit, modes and ranks of the manifest, tokenizer.
 * What is wrong with a file is in the report.
 *
 * @throws ModelFileError where the manifest itself is broken; the signal's reason
 */
export async function verifyPackage (path: string, { signal, onProgress }: VerifyOptions = {}): Promise<PackageReport> {
  const source = readPackage(path)
  const { manifest, paths } = source
  const holds = new Map<string, VerifiedFile['holds']>([[manifest.tokenizer, ['tokenizer']]])
  const missing: UnitName[] = []
  manifest.units.forEach((id, unit) => {
    const name = unitNameOf(unit, manifest.architecture)
    if (existsSync(paths.blob(id))) holds.set(id, [...holds.get(id) ?? [], name])
    else missing.push(name)
  })
  const sizes = new Map(await Promise.all([...holds.keys()].map(async id => [id, (await stat(paths.blob(id)).catch(() => undefined))?.size ?? 0] as const)))
  const total = [...sizes.values()].reduce((sum, size) => sum + size, 0)
  let done = 0
  const files: VerifiedFile[] = []
  for (const [id, held] of holds) {
    const onBytes = (count: number): void => {
      done = Math.min(total, done + count)
      onProgress?.(done, total)
    }
    const problem = await problemOf(source, id, held, onBytes, signal)
    files.push({ path: paths.blob(id), holds: held, byteLength: sizes.get(id) ?? 0, problem })
  }
  return { directory: source.directory, modelId: source.modelId, files, missing, sound: files.every(file => file.problem === null) }
}

async function problemOf (source: Package, id: string, holds: VerifiedFile['holds'], onBytes: (count: number) => void, signal: AbortSignal | undefined): Promise<Error | null> {
  try {
    const path = source.paths.blob(id)
    await checkBlocks(path, readBlobHeader(path, id), { signal, onBytes })
    if (holds.includes('tokenizer')) createTokenizerFromCanonical(source.readTokenizerData())
    source.manifest.units.forEach((unit, index) => { if (unit === id && source.has(index)) source.unit(index) })
    return null
  } catch (error) {
    signal?.throwIfAborted()
    const expected = [ModelFileError, UnsupportedModelError, UnitMissingError, TokenizerFormatError, UnsupportedTokenizerError]
    if (expected.some(type => error instanceof type)) return error as Error
    throw error
  }
}
