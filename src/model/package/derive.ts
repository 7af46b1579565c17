import { encodeManifest, manifestId } from '../manifest/index.ts'
import type { CompressionMode, Manifest, MatrixCompression, TensorRole } from '../types.ts'
import { packagePaths, writeWhole } from './directory.ts'
import { PackageWriteError } from './errors.ts'

/** The rank to use of a matrix, and the errors at that rank where they are known. */
export type ChooseRank = (unit: number, role: TensorRole, matrix: MatrixCompression) => number | Pick<MatrixCompression, 'rank' | 'errors'>

/**
 * A manifest over the same blobs that uses less of the stored factors. Ranks
 * change bits, so it is a model of its own with an id of its own.
 *
 * @throws PackageWriteError for a rank above that of the manifest, no multiple of 8, or 0 where there is no base
 */
export function deriveManifest (manifest: Manifest, choose: ChooseRank): Manifest {
  const { compression } = manifest
  if (compression === null) throw new PackageWriteError('manifest', 'a model that is not compressed has no ranks')
  const units = compression.units.map((unit, index) => Object.fromEntries(Object.entries(unit).map(([role, matrix]) => {
    if (matrix.rank === 0) return [role, matrix]
    const chosen = choose(index, role as TensorRole, matrix)
    const { rank, errors } = typeof chosen === 'number' ? { rank: chosen, errors: { weighted: null, frobenius: null } } : chosen
    if (rank === matrix.rank) return [role, matrix]
    if (!(rank >= 0 && rank < matrix.rank) || rank % 8 !== 0 || (rank === 0 && matrix.mode === 'svd')) {
      throw new PackageWriteError('manifest', `unit ${index}, ${role}: rank ${rank} cannot be made of rank ${matrix.rank} in mode ${matrix.mode}`)
    }
    const mode = rank === 0 ? matrix.mode.replace('+svd', '') as CompressionMode : matrix.mode
    return [role, { mode, rank, errors }]
  })))
  return { ...manifest, compression: { ...compression, units } }
}

/** Writes a derived manifest into its package; gives the path, which `openModel` takes. */
export async function writeDerived (directory: string, manifest: Manifest): Promise<string> {
  const paths = packagePaths(directory)
  const path = paths.derived(manifestId(manifest))
  await writeWhole(paths, path, encodeManifest(manifest))
  return path
}
