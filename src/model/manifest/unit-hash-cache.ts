import { createHash, randomUUID } from 'node:crypto'
import { constants } from 'node:fs'
import { access, mkdir, realpath, rename, rm, stat, writeFile } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { MAX_MANIFEST_BYTES } from '../constants.ts'
import { ModelFileError } from '../errors.ts'
import { readJsonFile } from '../json-file.ts'
import type { JsonObject } from '../json-file.ts'
import type { UnitSource } from '../types.ts'
import { canonicalJson } from './canonical-json.ts'
import { hashUnits, tensorsInOrder } from './hash-units.ts'
import type { HashOptions } from './hash-units.ts'

/** What the name of a file gets appended for its cache of hashes. */
export const CACHE_SUFFIX = '.efedllm.json'

const SHA256 = /^[0-9a-f]{64}$/

export interface CachedHashOptions extends HashOptions {
  /** where caches go whose model lies in a folder that cannot be written to */
  cacheDirectory: string
}

interface SourceFile { name: string, size: number, mtimeMs: number }

/**
 * Hashes of all units, from the cache beside the model where it fits, else
 * computed and cached. A cache fits while size and time of change of every
 * file and the places of all tensors are the same. Failing to write a cache
 * is no failure.
 *
 * @param main the model's file, or the index of several
 * @throws as hashUnits; ModelFileError where a file changes meanwhile
 */
export async function cachedUnitHashes (
  main: string, files: readonly string[], units: readonly UnitSource[], options: CachedHashOptions
): Promise<string[]> {
  return await cachedHashes(main, files, layoutHash(files, units), units.length, options, async () => await hashUnits(units, options))
}

/**
 * As cachedUnitHashes, for `count` hashes that `compute` finds by reading the
 * files; `layout` is to change with all else that they depend on.
 */
export async function cachedHashes (
  main: string, files: readonly string[], layout: string, count: number, options: CachedHashOptions, compute: () => Promise<string[]>
): Promise<string[]> {
  const before = await describeFiles(files)
  const key = { version: 1, files: before, layout }
  const beside = main + CACHE_SUFFIX
  const elsewhere = join(options.cacheDirectory, 'manifests', `${sha256(await realpath(main))}.json`)
  for (const path of [beside, elsewhere]) {
    const cached = readCache(path, key, count)
    if (cached !== undefined) return cached
  }
  const hashes = await compute()
  const after = await describeFiles(files)
  if (canonicalJson(after) !== canonicalJson(before)) throw new ModelFileError(main, 'file', 'changed while it was being read')
  const text = JSON.stringify({ ...key, units: hashes }, null, 1)
  if (!(await isWritable(dirname(beside)) && await writeAtomically(beside, text))) await writeAtomically(elsewhere, text)
  return hashes
}

/** By the mode too: a folder that its owner made read-only stays as it is, even for root. */
async function isWritable (directory: string): Promise<boolean> {
  try {
    await access(directory, constants.W_OK)
    return ((await stat(directory)).mode & 0o222) !== 0
  } catch {
    return false
  }
}

async function describeFiles (files: readonly string[]): Promise<SourceFile[]> {
  return await Promise.all(files.map(async file => {
    const { size, mtimeMs } = await stat(file).catch(cause => {
      throw new ModelFileError(file, 'file', `cannot be opened: ${(cause as Error).message}`, { cause })
    })
    return { name: basename(file), size, mtimeMs }
  }))
}

/** Changes with everything but the bytes of the tensors that goes into the hashes. */
function layoutHash (files: readonly string[], units: readonly UnitSource[]): string {
  const layout = units.map(unit => tensorsInOrder(unit).map(([role, source]) => [
    role, files.indexOf(source.path), source.offset, source.byteLength, source.type, source.shape, source.interleavedHeads ?? null
  ]))
  return sha256(canonicalJson(['blob-1', layout]))
}

/** The hashes in a cache file, or undefined where there is none, or it is another model's or damaged. */
function readCache (path: string, key: object, count: number): string[] | undefined {
  let content: JsonObject
  try {
    content = readJsonFile(path, MAX_MANIFEST_BYTES)
  } catch (error) {
    if (error instanceof ModelFileError) return undefined
    throw error
  }
  const { units, ...rest } = content
  if (canonicalJson(rest) !== canonicalJson(key)) return undefined
  if (!Array.isArray(units) || units.length !== count) return undefined
  return units.every(unit => typeof unit === 'string' && SHA256.test(unit)) ? units as string[] : undefined
}

/** Several processes may open a model at once: the file appears whole or not at all. */
async function writeAtomically (path: string, text: string): Promise<boolean> {
  const temporary = `${path}.${randomUUID()}.tmp`
  try {
    await mkdir(dirname(path), { recursive: true })
    await writeFile(temporary, text)
    await rename(temporary, path)
    return true
  } catch {
    await rm(temporary, { force: true }).catch(() => {})
    return false
  }
}

function sha256 (text: string): string {
  return createHash('sha256').update(text).digest('hex')
}
