import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { UsageError } from './errors.ts'
import { findModel, openModelAt } from './open-model.ts'
import { list } from './parse.ts'
import { note, style } from './terminal.ts'
import type { BlockStore, Manifest, Model, UnitRange } from '../model/index.ts'
import type { FetchEvent, PeerNode } from '../peer/index.ts'
import type { Context, OutputOptions } from './context.ts'
import type { Progress } from './progress.ts'

/** What a peer is to host: a model of this machine, or one that other peers have. */
export interface ModelRequest extends OutputOptions {
  /** a path, a name, an id, or an invite: an id and the addresses of peers that have it */
  model?: string
  /** addresses of peers to fetch from */
  from?: string[]
  /** false: neither pack nor give to others */
  share?: boolean
  /** key of a private swarm */
  key?: Uint8Array
  /** folder of the key by which peers that have a list know this one */
  identity?: string
}

export interface HostedModel {
  model: Model
  range: UnitRange
  /** what others may fetch from here; undefined where nothing is shared */
  share: BlockStore | undefined
}

interface HostInit {
  context: Context
  request: ModelRequest
  progress: Progress
  signal: AbortSignal
  /** decides on the units once the model is known */
  chooseRange: (model: { modelId: string, manifest: Manifest }) => UnitRange
}

const INVITE = /^([0-9a-f]{64})(?:@(.+))?$/

/** Takes an id or an invite apart; a model's path or name is left alone. */
export function parseModelRequest ({ model, from }: Pick<ModelRequest, 'model' | 'from'>): { modelId?: string, from: string[] } {
  const invite = model === undefined ? null : INVITE.exec(model)
  const addresses = [...from ?? [], ...invite?.[2] === undefined ? [] : list(invite[2], undefined)]
  if (invite !== null) return { modelId: invite[1], from: addresses }
  if (addresses.length > 0 && model !== undefined) {
    throw new UsageError(`--from ${addresses[0]}: peers give a model by its id, and ${model} is none`, 'leave the model out to take the one that these peers host, or give the 64 digits that a peer prints when it starts')
  }
  return { from: addresses }
}

/** Opens what is to be hosted, fetching from other peers what was asked for and is not here, and nothing else. */
export async function openHostedModel (init: HostInit): Promise<HostedModel> {
  const { modelId, from } = parseModelRequest(init.request)
  return modelId === undefined && from.length === 0 ? await openLocal(init) : await openFetched(init, modelId, from)
}

async function openLocal ({ context, request, progress, signal, chooseRange }: HostInit): Promise<HostedModel> {
  const { createBlockStore, isPackage } = await import('../model/index.ts')
  const path = await findModel(context, request.model, progress, request)
  const model = await openModelAt(context, path, progress)
  const range = chooseRange(model)
  if (request.share === false) return { model, range, share: undefined }
  if (isPackage(path)) return { model, range, share: createBlockStore([path]) }
  try {
    const directory = await packageDirectory(context.terminal.env, model.modelId)
    await pack(model, directory, range, progress, signal)
    return { model: { ...await openModelAt(context, directory, progress), name: model.name }, range, share: createBlockStore([directory]) }
  } catch (error) {
    if (!isForWantOfRoom(error)) throw error
    note(context.terminal, style(context.terminal, 'yellow', `nothing is shared with other peers: ${(error as Error).message}`))
    return { model, range, share: undefined }
  }
}

/** Whoever has no room for a copy can still host. */
export function isForWantOfRoom (error: unknown): boolean {
  return ['ENOSPC', 'EACCES', 'EROFS', 'EDQUOT', 'ERR_DISK_SPACE'].includes((error as { code?: string }).code ?? '')
}

/** Brings the units into the form in which they can be given to others, once. */
export async function pack (model: Model, directory: string, range: UnitRange, progress: Progress, signal: AbortSignal): Promise<void> {
  const { packModel } = await import('../model/index.ts')
  try {
    await packModel(model, directory, { range, signal, onProgress: (done, total) => progress.update('packing', done, total) })
  } finally {
    progress.stop()
  }
}

/** Where packages are that have been packed here, or fetched. */
export async function packageDirectory (env: Record<string, string | undefined>, modelId: string): Promise<string> {
  const { cacheDirectory } = await import('../model/index.ts')
  return join(cacheDirectory(env), 'packages', modelId)
}

async function openFetched (init: HostInit, askedId: string | undefined, from: string[]): Promise<HostedModel> {
  const { context, request, progress, signal, chooseRange } = init
  const { createBlockStore } = await import('../model/index.ts')
  const { fetchUnits } = await import('../peer/index.ts')
  return await withManifest(init, askedId, from, async ({ node, modelId, directory, manifest, onEvent }) => {
    const range = chooseRange({ modelId, manifest })
    await fetchUnits({ node, addresses: from, manifest, range, directory, onEvent }, { signal })
    progress.stop()
    return { model: await openModelAt(context, directory, progress), range, share: request.share === false ? undefined : createBlockStore([directory]) }
  })
}

/** A model of which peers have the files, and this machine perhaps some. */
interface FoundModel {
  /** asks and fetches; stopped when its user is done */
  node: PeerNode
  modelId: string
  /** of the package; it may not be there yet */
  directory: string
  /** whether it is */
  here: boolean
  manifest: Manifest
  onEvent: (event: FetchEvent) => void
}

/** Finds the model and its manifest, on this machine or from peers, and gives `use` a node to fetch the rest with. */
export async function withManifest<Result> ({ context, request, progress, signal }: Omit<HostInit, 'chooseRange'>, askedId: string | undefined, from: string[], use: (found: FoundModel) => Promise<Result>): Promise<Result> {
  const { isPackage, readPackage } = await import('../model/index.ts')
  const { createPeerNode, fetchManifest } = await import('../peer/index.ts')
  const node = createPeerNode({ dataDirectory: request.identity, network: { key: request.key } })
  await node.start({ signal })
  try {
    const modelId = askedId ?? await hostedModel(node, from, signal)
    const directory = await packageDirectory(context.terminal.env, modelId)
    const here = existsSync(directory) && isPackage(directory)
    if (!here && from.length === 0) throw new UsageError(`no model ${modelId.slice(0, 12)} on this machine`, 'say with --from which peers have it')
    const onEvent = (event: FetchEvent): void => showFetch(context, request, progress, event)
    const manifest = here ? readPackage(directory).manifest : await fetchManifest({ node, addresses: from, modelId, onEvent }, { signal })
    return await use({ node, modelId, directory, here, manifest, onEvent })
  } finally {
    progress.stop()
    await node.stop()
  }
}

/** The one model that these peers host. */
async function hostedModel (node: PeerNode, from: string[], signal: AbortSignal): Promise<string> {
  const infos = await Promise.all(from.map(async address => await node.info(address, { signal })))
  const ids = new Set(infos.flatMap(({ hosted }) => hosted === undefined ? [] : [hosted.modelId]))
  if (ids.size !== 1) {
    throw new UsageError(ids.size === 0 ? 'the peers of --from host nothing' : `the peers of --from host ${ids.size} models: ${[...ids].join(', ')}`, 'name the model by its id')
  }
  return [...ids][0]
}

function showFetch ({ terminal }: Context, { json }: OutputOptions, progress: Progress, event: FetchEvent): void {
  if (event.type === 'blocks:progress') {
    progress.update('fetching', event.received, event.total)
    return
  }
  if (json === true) return
  progress.stop()
  const what = event.type === 'blocks:source-dropped' ? 'not asked again' : 'tried again'
  note(terminal, style(terminal, 'yellow', `${event.address}: ${event.error.message}; ${what}`))
}
