import { decodeBlobHeader, describeUnit, needsEmbedding } from '../../model/index.ts'
import type { BlobHeader, Manifest, TensorSource, UnitSource } from '../../model/index.ts'
import type { AbortOptions } from '../types.ts'
import { BlocksUnavailableError } from './errors.ts'
import type { FetchInit } from './fetch-units.ts'
import { readHeaders } from './read-headers.ts'
import { createSources } from './sources.ts'

export interface FetchUnitSourcesInit extends FetchInit {
  manifest: Manifest
  /** package directory, or where one will be; what is there need not be fetched */
  directory: string
}

/**
 * What the units of a model consist of, before any of them is here: from the
 * headers of their blobs, some kilobytes each. Enough for `modelCosts`; the
 * tensors are nowhere yet. A layer whose header nobody gives is taken to be like
 * the layer before it, or the next one.
 *
 * @throws BlocksUnavailableError where embedding, head or all layers are with nobody, ModelFileError for units that nobody could host, InvalidAddressError, or the signal's reason
 */
export async function fetchUnitSources (init: FetchUnitSourcesInit, options: AbortOptions = {}): Promise<(unit: number) => UnitSource> {
  const { manifest, directory, onEvent } = init
  const signal = options.signal ?? new AbortController().signal

  async function read (ids: readonly string[]): Promise<Map<string, Uint8Array>> {
    const sources = createSources(init)
    try {
      return await readHeaders({ ids, directory, sources: sources.peers, onEvent, signal })
    } finally {
      sources.close()
    }
  }

  const bytes = new Map<string, Uint8Array>()
  /** one that is with nobody must not keep the others from coming */
  async function readWhatThereIs (ids: readonly string[]): Promise<void> {
    try {
      for (const [id, header] of await read(ids)) bytes.set(id, header)
    } catch (error) {
      if (!(error instanceof BlocksUnavailableError)) throw error
      problem = error
      if (ids.length > 1) for (const id of ids) await readWhatThereIs([id])
    }
  }
  let problem: Error | undefined
  await readWhatThereIs(manifest.units)

  const headers = manifest.units.map((id): BlobHeader | undefined => bytes.has(id) ? decodeBlobHeader(bytes.get(id)!, id) : undefined)
  const [embedding] = headers
  const sources = headers.map((header, unit) => {
    if (header === undefined) return undefined
    if (needsEmbedding(header) && embedding === undefined) return undefined
    return describeUnit(manifest, unit, header, embedding)
  })
  const layers = sources.slice(1, -1)
  const like = (layer: number): UnitSource | undefined => layers.slice(0, layer + 1).findLast(source => source !== undefined) ?? layers.find(source => source !== undefined)
  const complete = sources.map((source, unit) => source ?? (unit === 0 || unit === sources.length - 1 ? undefined : placedIn(like(unit - 1), manifest.units[unit])))
  if (complete.includes(undefined)) throw problem ?? new BlocksUnavailableError('the headers of all units', [])
  return unit => complete[unit]!
}

/** The same tensors in another blob: who counts bytes must not take them for those of the first. */
function placedIn (source: UnitSource | undefined, id: string): UnitSource | undefined {
  const place = (tensor: TensorSource): TensorSource => ({
    ...tensor, path: id, ...tensor.lowRank === undefined ? {} : { lowRank: { ...tensor.lowRank, left: place(tensor.lowRank.left), right: place(tensor.lowRank.right) } }
  })
  return source && { ...source, tensors: Object.fromEntries(Object.entries(source.tensors).map(([role, tensor]) => [role, place(tensor)])) }
}
