import { existsSync } from 'node:fs'
import { join } from 'node:path'
import type { BlobHeader } from '../blob/index.ts'
import { MAX_TOKENIZER_BYTES } from '../constants.ts'
import { ModelFileError } from '../errors.ts'
import { encodeManifest, manifestId } from '../manifest/index.ts'
import type { Manifest, UnitSource } from '../types.ts'
import { MANIFEST_FILE } from './constants.ts'
import { packagePaths, writeWhole } from './directory.ts'
import { PackageWriteError } from './errors.ts'
import { compressionOf, readPackage } from './read-package.ts'
import { unitSource } from './unit-source.ts'
import { unitNameOf } from './writer.ts'

/** Whether a unit refers to the embedding's blob, as a tied head does. */
export function needsEmbedding (header: BlobHeader): boolean {
  return header.sections.some(section => section.blob !== null)
}

/**
 * Checks the header of a unit against the manifest before its data is fetched,
 * so that a unit is never larger than the architecture makes it.
 *
 * @throws ModelFileError
 */
export function checkUnitHeader (manifest: Manifest, unit: number, header: BlobHeader, embedding: BlobHeader | undefined): void {
  describeUnit(manifest, unit, header, embedding)
}

/**
 * What a unit consists of, by its header alone; its paths are ids of blobs, that
 * may be nowhere here.
 *
 * @throws ModelFileError
 */
export function describeUnit (manifest: Manifest, unit: number, header: BlobHeader, embedding: BlobHeader | undefined): UnitSource {
  const shared = needsEmbedding(header)
  return unitSource({
    unit: unitNameOf(unit, manifest.architecture),
    architecture: manifest.architecture,
    own: { path: manifest.units[unit], header },
    embedding: shared && embedding !== undefined ? { id: manifest.units[0], path: manifest.units[0], header: embedding } : undefined,
    compression: compressionOf(manifest, unit, shared)
  })
}

/** The same for the tokenizer. Throws ModelFileError. */
export function checkTokenizerHeader (manifest: Manifest, header: BlobHeader): void {
  const fail = (field: string, reason: string): never => { throw new ModelFileError(manifest.tokenizer, field, reason) }
  if (header.kind !== 'tokenizer') fail('kind', `is ${header.kind}, not tokenizer`)
  if (header.dataLength > MAX_TOKENIZER_BYTES) fail('data length', `${header.dataLength} is more than the limit of ${MAX_TOKENIZER_BYTES}`)
}

/** Makes a directory with blobs a package. Throws PackageWriteError where it is another model's. */
export async function writeManifest (directory: string, manifest: Manifest): Promise<void> {
  const main = join(directory, MANIFEST_FILE)
  if (existsSync(main)) {
    if (readPackage(directory).modelId !== manifestId(manifest)) throw new PackageWriteError(directory, 'holds another model')
    return
  }
  await writeWhole(packagePaths(directory), main, encodeManifest(manifest))
}
