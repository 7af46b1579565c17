import {
  blockByteLength, blockCount, checkTokenizerHeader, checkUnitHeader, decodeBlobHeader, decodeManifest, ensureSpace, hasBlob, needsEmbedding,
  openPartialBlob, writeManifest
} from '../../model/index.ts'
import type { BlobHeader, Manifest, PartialBlob, UnitRange } from '../../model/index.ts'
import type { AbortOptions, PeerNode } from '../types.ts'
import { BlockKind } from './codec.ts'
import { fetchAll } from './fetch-all.ts'
import type { BlockTask, SourceEvent } from './fetch-all.ts'
import { hashedTask } from './hashed-task.ts'
import { readHeaders } from './read-headers.ts'
import { createSources } from './sources.ts'

export interface FetchInit {
  /** a started node */
  node: PeerNode
  /** multiaddrs of peers to fetch from */
  addresses: readonly string[]
  onEvent?: (event: FetchEvent) => void
}

export type FetchEvent = SourceEvent | {
  type: 'blocks:progress'
  /** bytes of data that are here, of those that were asked for */
  received: number
  total: number
  /** of these, bytes that came over the network in this call */
  fetched: number
}

/**
 * Fetches a manifest by its hash.
 *
 * @throws BlocksUnavailableError, ManifestError, InvalidAddressError, or the signal's reason
 */
export async function fetchManifest ({ modelId, ...init }: FetchInit & { modelId: string }, options: AbortOptions = {}): Promise<Manifest> {
  const sources = createSources(init)
  let manifest: Manifest | undefined
  try {
    await fetchAll({
      sources: sources.peers,
      onEvent: init.onEvent,
      signal: options.signal ?? new AbortController().signal,
      tasks: [hashedTask({ kind: BlockKind.manifest, hash: modelId, what: `the manifest of model ${modelId.slice(0, 12)}` }, bytes => { manifest = decodeManifest(bytes) })]
    })
    return manifest!
  } finally {
    sources.close()
  }
}

export interface FetchUnitsInit extends FetchInit {
  manifest: Manifest
  /** units to fetch, and nothing else but the tokenizer and what a tied head refers to */
  range: UnitRange
  /** package directory; what is there is kept, what an interrupted call left is gone on with */
  directory: string
}

export interface FetchedUnits {
  /** bytes of data that came over the network */
  fetched: number
  /** bytes of data that were here already */
  found: number
}

/**
 * Fetches the blobs of a range of units from several peers at once. Every
 * block is checked by its hash before it is written; a peer that sends a wrong
 * one is not asked again. When it resolves, `directory` is a package that
 * holds these units. Memory: a few blocks for each peer.
 *
 * @throws BlocksUnavailableError, ModelFileError for a package that nobody could host, DiskSpaceError, PackageWriteError, InvalidAddressError, or the signal's reason
 */
export async function fetchUnits (init: FetchUnitsInit, options: AbortOptions = {}): Promise<FetchedUnits> {
  const { manifest, range, directory, onEvent } = init
  const signal = options.signal ?? new AbortController().signal
  const sources = createSources(init)
  const partials: PartialBlob[] = []
  try {
    const fetchHeaders = async (ids: string[]): Promise<Map<string, Uint8Array>> => await readHeaders({ ids, directory, sources: sources.peers, onEvent, signal })
    const units = manifest.units.slice(range.from, range.to)
    const headers = await fetchHeaders([...units, manifest.tokenizer])
    if (units.some(id => needsEmbedding(decoded(headers, id)))) {
      for (const [id, bytes] of await fetchHeaders([manifest.units[0]])) headers.set(id, bytes)
    }
    checkHeaders(manifest, headers)

    const wanted = [...headers.keys()].filter(id => !hasBlob(directory, id))
    const total = [...headers.keys()].reduce((sum, id) => sum + decoded(headers, id).dataLength, 0)
    for (const id of wanted) partials.push(await openPartialBlob(directory, id, headers.get(id)!, { signal }))
    const missing = partials.reduce((sum, partial) => sum + missingBytes(partial), 0)
    await ensureSpace(directory, missing)
    let fetched = 0
    const report = (): void => onEvent?.({ type: 'blocks:progress', received: total - missing + fetched, total, fetched })
    report()
    const tasks = partials.flatMap(partial => blockTasks(partial, bytes => {
      fetched += bytes
      report()
    }))
    for (const partial of partials) if (partial.missing.size === 0) await partial.finish()
    await fetchAll({ tasks, sources: sources.peers, onEvent, signal })
    await writeManifest(directory, manifest)
    return { fetched, found: total - missing }
  } finally {
    sources.close()
    await Promise.all(partials.map(async partial => await partial.close()))
  }
}

function decoded (headers: ReadonlyMap<string, Uint8Array>, id: string): BlobHeader {
  return decodeBlobHeader(headers.get(id)!, id)
}

/** Before any data is fetched: a header can be what its hash says and still be nothing that could be hosted. */
function checkHeaders (manifest: Manifest, headers: ReadonlyMap<string, Uint8Array>): void {
  const embedding = headers.has(manifest.units[0]) ? decoded(headers, manifest.units[0]) : undefined
  checkTokenizerHeader(manifest, decoded(headers, manifest.tokenizer))
  manifest.units.forEach((id, unit) => {
    if (headers.has(id)) checkUnitHeader(manifest, unit, decoded(headers, id), embedding)
  })
}

function blockTasks (partial: PartialBlob, onFetched: (bytes: number) => void): BlockTask[] {
  let finished = false
  return [...partial.missing].map(index => ({
    kind: BlockKind.block,
    hash: partial.id,
    index,
    what: `block ${index} of blob ${partial.id.slice(0, 12)}`,
    accept: async bytes => {
      if (!await partial.write(index, bytes)) return false
      onFetched(bytes.length)
      if (partial.missing.size === 0 && !finished) {
        finished = true
        await partial.finish()
      }
      return true
    }
  }))
}

function missingBytes ({ header, missing }: PartialBlob): number {
  if (missing.size === 0) return 0
  const last = blockCount(header.dataLength) - 1
  const full = missing.size - (missing.has(last) ? 1 : 0)
  return full * blockByteLength(header.dataLength, 0) + (missing.has(last) ? blockByteLength(header.dataLength, last) : 0)
}
