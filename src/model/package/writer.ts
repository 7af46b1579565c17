import { existsSync } from 'node:fs'
import { rmdir } from 'node:fs/promises'
import { join } from 'node:path'
import { buildBlob, buildDataBlob, decodeBlobHeader, unitSections } from '../blob/index.ts'
import type { BlobSink, BuiltBlob, UnitTensors } from '../blob/index.ts'
import { createManifest, encodeManifest, manifestId, sharedSections } from '../manifest/index.ts'
import type { Architecture, Compression, Manifest, UnitName } from '../types.ts'
import { encodeAbout } from './about.ts'
import type { About } from './about.ts'
import { MANIFEST_FILE } from './constants.ts'
import { createNewFile, packagePaths, removeStale, writeWhole } from './directory.ts'
import type { PackagePaths } from './directory.ts'
import { PackageWriteError } from './errors.ts'
import { readPackage } from './read-package.ts'
import { unitSource } from './unit-source.ts'

export interface PackageWriterInit {
  /** made where it is not there; one that holds another model is refused */
  directory: string
  architecture: Architecture
  /** canonical tokenizer data, as `Model.tokenizerData` */
  tokenizer: Uint8Array
  about: About
}

export interface AddUnitOptions {
  signal?: AbortSignal
  /** bytes written since the last call */
  onBytes?: (count: number) => void
}

/** Writes a package unit by unit. Nothing has its final name before it is complete; the manifest comes last. */
export interface PackageWriter {
  /**
   * Stores a unit; `embed` has to come before a tied head. The head of a model
   * with tied embedding may leave `projection` out: it is the embedding then.
   *
   * @returns the id of the blob
   * @throws PackageWriteError where the tensors are not those of the unit; the signal's reason
   */
  addUnit (unit: number, tensors: UnitTensors, options?: AddUnitOptions): Promise<string>
  /**
   * Writes the manifest; every unit must have been added.
   *
   * @throws PackageWriteError
   */
  finish (options?: { compression?: Compression | null }): Promise<{ modelId: string, manifest: Manifest }>
}

export async function createPackageWriter ({ directory, architecture, tokenizer, about }: PackageWriterInit): Promise<PackageWriter> {
  const paths = packagePaths(directory)
  if (existsSync(join(directory, MANIFEST_FILE))) throw new PackageWriteError(directory, 'holds a package already')
  await removeStale(paths)
  const tokenizerBlob = await storeBlob(paths, async sink => await buildDataBlob('tokenizer', tokenizer, sink))
  const units = new Array<string | undefined>(architecture.layerCount + 2).fill(undefined)
  let embedding: BuiltBlob | undefined

  return {
    async addUnit (unit, tensors, options = {}) {
      if (!(unit in units)) throw new PackageWriteError(directory, `there is no unit ${unit} in a model of ${units.length}`)
      const name = unitNameOf(unit, architecture)
      const tied = name === 'head' && architecture.tiedEmbedding && tensors.projection === undefined
      if (tied && embedding === undefined) throw new PackageWriteError(directory, 'the embedding has to be added before a head that is tied to it')
      const built = await storeBlob(paths, async sink => {
        const sections = refusing(directory, name, () => unitSections(tensors))
        const all = tied ? [...sections, ...sharedSections(embedding!)] : sections
        const blob = await buildBlob('unit', all, sink, options)
        refusing(directory, name, () => checkUnit(name, architecture, blob, tied ? embedding : undefined))
        return blob
      })
      if (unit === 0) embedding = built
      units[unit] = built.id
      return built.id
    },
    async finish ({ compression = null } = {}) {
      const missing = units.indexOf(undefined)
      if (missing >= 0) throw new PackageWriteError(directory, `${unitNameOf(missing, architecture)} has not been added`)
      const manifest = refusing(directory, 'manifest', () => createManifest(architecture, tokenizerBlob.id, units as string[], compression))
      const bytes = encodeManifest(manifest)
      await writeWhole(paths, paths.about, new TextEncoder().encode(encodeAbout(about)))
      await writeWhole(paths, join(directory, MANIFEST_FILE), bytes)
      await rmdir(paths.incoming).catch(() => {})
      checkAll(directory)
      return { modelId: manifestId(manifest), manifest }
    }
  }
}

/** Modes and ranks of the manifest must fit what has been stored. */
function checkAll (directory: string): void {
  const written = readPackage(directory)
  written.manifest.units.forEach((_, unit) => written.unit(unit))
}

/** Builds a blob into a new file and names it by its id. */
export async function storeBlob (paths: PackagePaths, build: (sink: BlobSink) => Promise<BuiltBlob>): Promise<BuiltBlob> {
  const file = await createNewFile(paths)
  try {
    const built = await build(file)
    if (existsSync(paths.blob(built.id))) await file.discard()
    // another peer of this machine may be packing too, or may be reading already what it has packed
    else await file.nameIt(paths.blob(built.id), { keep: true })
    return built
  } catch (error) {
    await file.discard()
    throw error
  }
}

export function unitNameOf (unit: number, { layerCount }: Architecture): UnitName {
  return unit === 0 ? 'embed' : unit === layerCount + 1 ? 'head' : `layer ${unit - 1}`
}

function checkUnit (unit: UnitName, architecture: Architecture, blob: BuiltBlob, embedding: BuiltBlob | undefined): void {
  unitSource({
    unit,
    architecture,
    own: { path: unit, header: decodeBlobHeader(blob.header, unit) },
    embedding: embedding && { id: embedding.id, path: 'embed', header: decodeBlobHeader(embedding.header, 'embed') }
  })
}

function refusing<Result> (directory: string, what: string, run: () => Result): Result {
  try {
    return run()
  } catch (cause) {
    throw new PackageWriteError(directory, `${what}: ${(cause as Error).message}`, { cause })
  }
}
