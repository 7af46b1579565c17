import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { basename, resolve } from 'node:path'
import { readBlobHeader } from '../blob/index.ts'
import type { BlobHeader } from '../blob/index.ts'
import { MAX_MANIFEST_BYTES, MAX_TOKENIZER_BYTES } from '../constants.ts'
import { ManifestError, ModelFileError } from '../errors.ts'
import { fileStatus, readSmallFile } from '../json-file.ts'
import { decodeManifest } from '../manifest/index.ts'
import { readRange } from '../tensor/index.ts'
import type { GenerationDefaults, Manifest, MatrixCompression, TensorRole, UnitName, UnitSource } from '../types.ts'
import { readAbout } from './about.ts'
import { locatePackage, packagePaths } from './directory.ts'
import type { PackagePaths } from './directory.ts'
import { UnitMissingError } from './errors.ts'
import { unitSource } from './unit-source.ts'

/** A package, or the part of one that is here. Headers are read when asked for and kept. */
export interface Package {
  readonly directory: string
  /** path of the manifest */
  readonly main: string
  readonly paths: PackagePaths
  readonly manifest: Manifest
  readonly manifestBytes: Uint8Array
  readonly modelId: string
  readonly name: string
  /** undefined where the package does not say */
  readonly generation: GenerationDefaults | undefined
  /** whether all that a unit needs is here */
  has (unit: number): boolean
  /** throws UnitMissingError, ModelFileError */
  unit (unit: number): UnitSource
  /** header of a unit's own blob; throws UnitMissingError, ModelFileError */
  header (unit: number): BlobHeader
  /** ids of the blobs that are here, in the order of the manifest, each once */
  blobs (): string[]
  /** canonical tokenizer data; throws ModelFileError */
  readTokenizerData (): Uint8Array
}

/** Whether a path is that of a package, by its looks. */
export function isPackage (path: string): boolean {
  return locatePackage(path, fileStatus(path).isDirectory) !== undefined
}

/**
 * Reads the manifest of a package directory, or of a derived manifest in one.
 * Blobs are not touched.
 *
 * @throws ModelFileError naming file and field
 */
export function readPackage (path: string): Package {
  const full = resolve(path)
  const found = locatePackage(full, fileStatus(full).isDirectory)
  if (found === undefined) throw new ModelFileError(full, 'file', 'is not a package')
  const { directory, manifest: main } = found
  const paths = packagePaths(directory)
  const manifestBytes = readSmallFile(main, MAX_MANIFEST_BYTES)
  const manifest = namingFile(main, () => decodeManifest(manifestBytes))
  const about = existsSync(paths.about) ? readAbout(paths.about) : undefined
  const { layerCount } = manifest.architecture
  const headers = new Map<string, BlobHeader>()

  const nameOf = (unit: number): UnitName => unit === 0 ? 'embed' : unit === layerCount + 1 ? 'head' : `layer ${unit - 1}`
  const headerOf = (id: string): BlobHeader => {
    const header = headers.get(id) ?? readBlobHeader(paths.blob(id), id)
    headers.set(id, header)
    return header
  }
  const header = (unit: number): BlobHeader => {
    const id = manifest.units[unit]
    if (id === undefined) throw new RangeError(`unit ${unit} of a model of ${manifest.units.length} units`)
    if (!existsSync(paths.blob(id))) throw new UnitMissingError(directory, nameOf(unit))
    return headerOf(id)
  }
  return {
    directory,
    main,
    paths,
    manifest,
    manifestBytes,
    modelId: createHash('sha256').update(manifestBytes).digest('hex'),
    name: about?.name ?? nameOfFolder(directory),
    generation: about?.generation,
    has: unit => existsSync(paths.blob(manifest.units[unit])) && blobsOfUnit(manifest, unit, headerOf).every(id => existsSync(paths.blob(id))),
    header,
    unit (unit) {
      const own = { path: paths.blob(manifest.units[unit]), header: header(unit) }
      const shared = blobsOfUnit(manifest, unit, headerOf).length > 1
      const embedding = shared ? { id: manifest.units[0], path: paths.blob(manifest.units[0]), header: header(0) } : undefined
      return unitSource({ unit: nameOf(unit), architecture: manifest.architecture, own, embedding, compression: compressionOf(manifest, unit, shared) })
    },
    blobs: () => [...new Set([...manifest.units, manifest.tokenizer])].filter(id => existsSync(paths.blob(id))),
    readTokenizerData () {
      const { kind, byteLength, dataLength } = headerOf(manifest.tokenizer)
      const file = paths.blob(manifest.tokenizer)
      if (kind !== 'tokenizer') throw new ModelFileError(file, 'kind', `is ${kind}, not tokenizer`)
      if (dataLength > MAX_TOKENIZER_BYTES) throw new ModelFileError(file, 'data length', `${dataLength} is more than the limit of ${MAX_TOKENIZER_BYTES}`)
      return readRange(file, byteLength, dataLength, 'data')
    }
  }
}

/** Blobs that a unit needs: its own, and the embedding's where it refers to it. */
export function blobsOfUnit (manifest: Manifest, unit: number, headerOf: (id: string) => BlobHeader): string[] {
  const id = manifest.units[unit]
  const shared = unit === manifest.units.length - 1 && headerOf(id).sections.some(section => section.blob !== null)
  return shared ? [id, manifest.units[0]] : [id]
}

/** A tied head is the embedding, at the embedding's rank. */
export function compressionOf ({ compression }: Manifest, unit: number, shared: boolean): Partial<Record<TensorRole, MatrixCompression>> | undefined {
  if (compression === null) return undefined
  const own = compression.units[unit]
  const { embedding } = compression.units[0]
  return shared && embedding !== undefined ? { ...own, projection: embedding } : own
}

/** Folders of fetched models are named by their ids, which are long. */
function nameOfFolder (directory: string): string {
  const name = basename(directory)
  return /^[0-9a-f]{64}$/.test(name) ? `model-${name.slice(0, 12)}` : name
}

/** A manifest's error names a field; here it gets the file's name. */
function namingFile<Result> (file: string, run: () => Result): Result {
  try {
    return run()
  } catch (cause) {
    if (cause instanceof ManifestError) throw new ModelFileError(file, cause.field, cause.message, { cause })
    throw cause
  }
}
