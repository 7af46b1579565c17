import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { buildDataBlob, decodeBlobHeader, readBlobHeaderBytes } from '../blob/index.ts'
import type { BuiltBlob } from '../blob/index.ts'
import { buildUnitBlob, encodeManifest, unitByteLength } from '../manifest/index.ts'
import type { Model, UnitRange } from '../types.ts'
import { encodeAbout } from './about.ts'
import { MANIFEST_FILE } from './constants.ts'
import { packagePaths, removeStale, writeWhole } from './directory.ts'
import type { PackagePaths } from './directory.ts'
import { PackageWriteError } from './errors.ts'
import { readPackage } from './read-package.ts'
import { storeBlob, unitNameOf } from './writer.ts'

export interface PackOptions {
  /** units to pack; default all */
  range?: UnitRange
  signal?: AbortSignal
  /** bytes written so far, of all that were missing */
  onProgress?: (done: number, total: number) => void
}

/**
 * Brings units of an opened GGUF or safetensors model into the form of a
 * package, without loss: the package has the modelId of the file. Units that
 * are there already are left alone, so a package can grow, also by several
 * processes at once.
 *
 * @throws PackageWriteError where the directory is another model's, or the file has changed since it was opened
 */
export async function packModel (model: Model, directory: string, { range, signal, onProgress }: PackOptions = {}): Promise<void> {
  const paths = packagePaths(directory)
  const main = join(directory, MANIFEST_FILE)
  if (existsSync(main) && readPackage(directory).modelId !== model.modelId) throw new PackageWriteError(directory, 'holds another model')
  await removeStale(paths)
  const { units, tokenizer } = model.manifest
  const { from, to } = range ?? { from: 0, to: units.length }
  const embedding = model.unit(0).tensors.embedding
  const chosen = Array.from({ length: to - from }, (_, i) => from + i)
  const { projection } = model.unit(units.length - 1).tensors
  const tied = projection !== undefined && embedding !== undefined && projection.path === embedding.path && projection.offset === embedding.offset
  // a tied head is nothing without the embedding
  if (tied && to === units.length && from > 0) chosen.unshift(0)
  const missing = chosen.filter(unit => !existsSync(paths.blob(units[unit])))
  const total = missing.reduce((sum, unit) => sum + unitByteLength(model.unit(unit), embedding), 0)
  let done = 0

  let first: BuiltBlob | undefined
  for (const unit of missing) {
    if (unit === units.length - 1 && tied) first ??= storedBlob(paths, units[0])
    const built = await storeBlob(paths, async sink => {
      const blob = await buildUnitBlob(model.unit(unit), embedding, first, sink, {
        signal,
        onBytes: count => {
          done = Math.min(total, done + count)
          onProgress?.(done, total)
        }
      })
      // nothing that the manifest does not name gets a name
      if (blob.id !== units[unit]) throw new PackageWriteError(directory, `${unitNameOf(unit, model.architecture)} is not what it was when the model was opened`)
      return blob
    })
    if (unit === 0) first = built
  }
  if (!existsSync(paths.blob(tokenizer))) {
    const blob = await storeBlob(paths, async sink => await buildDataBlob('tokenizer', model.tokenizerData, sink, { signal }))
    if (blob.id !== tokenizer) throw new PackageWriteError(directory, 'the tokenizer is not that of the manifest')
  }
  if (!existsSync(paths.about)) await writeWhole(paths, paths.about, new TextEncoder().encode(encodeAbout({ name: model.name, generation: model.generation })))
  if (!existsSync(main)) await writeWhole(paths, main, encodeManifest(model.manifest))
}

function storedBlob (paths: PackagePaths, id: string): BuiltBlob {
  const header = readBlobHeaderBytes(paths.blob(id), id)
  const { sections, dataLength } = decodeBlobHeader(header, paths.blob(id))
  return { id, header, sections, dataLength }
}
