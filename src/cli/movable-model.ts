import { existsSync } from 'node:fs'
import { startEngine } from './engines.ts'
import { isForWantOfRoom, pack, packageDirectory, parseModelRequest, withManifest } from './host-model.ts'
import { findModel, openModelAt } from './open-model.ts'
import { note, style } from './terminal.ts'
import type { BlockStore, Manifest } from '../model/index.ts'
import type { ModelCosts } from '../partition/index.ts'
import type { PeerNode, RangeLoader } from '../peer/index.ts'
import type { HostingInit } from './hosting.ts'

/** A model of which any range may be hosted, one after the other: it is here, or others have it. */
export interface MovableModel {
  name: string
  modelId: string
  manifest: Manifest
  costs: ModelCosts
  /** grows with what is fetched or packed; undefined where nothing is shared */
  share: BlockStore | undefined
  /** the files are all here: what cannot be loaded now never can */
  here: boolean
  loader (node: PeerNode): RangeLoader
}

export async function openMovableModel (init: HostingInit): Promise<MovableModel> {
  const { modelId, from } = parseModelRequest(init.request)
  return modelId === undefined && from.length === 0 ? await openLocal(init) : await openFetched(init, modelId, from)
}

async function openLocal ({ context, request, progress, signal }: HostingInit): Promise<MovableModel> {
  const { createBlockStore, isPackage } = await import('../model/index.ts')
  const { modelCosts } = await import('../partition/index.ts')
  const path = await findModel(context, request.model, progress, request)
  const model = await openModelAt(context, path, progress)
  const { name, modelId, manifest } = model
  const engine = { threads: request.threads, env: context.terminal.env, progress }
  const described = { name, modelId, manifest, costs: modelCosts(model), here: true }
  if (isPackage(path) || request.share === false) {
    return {
      ...described,
      share: request.share === false ? undefined : createBlockStore([path]),
      loader: () => ({ fetch: async () => {}, load: async (range, { signal }) => await startEngine({ model, range, ...engine, signal }) })
    }
  }
  const directory = await packageDirectory(context.terminal.env, modelId)
  let packed = true
  return {
    ...described,
    share: await growingStore(directory),
    loader: () => ({
      async fetch (range, { signal }) {
        if (!packed) return
        try {
          await pack(model, directory, range, progress, signal)
        } catch (error) {
          if (!isForWantOfRoom(error)) throw error
          packed = false
          note(context.terminal, style(context.terminal, 'yellow', `what is hosted from now on is not shared with other peers: ${(error as Error).message}`))
        }
      },
      load: async (range, { signal }) => await startEngine({ model: packed ? await openModelAt(context, directory, progress) : model, range, ...engine, signal })
    })
  }
}

async function openFetched (init: HostingInit, askedId: string | undefined, from: string[]): Promise<MovableModel> {
  const { context, request, progress, signal } = init
  const { readPackage } = await import('../model/index.ts')
  const { chooseSources, fetchUnits, fetchUnitSources } = await import('../peer/index.ts')
  const { modelCosts } = await import('../partition/index.ts')
  return await withManifest(init, askedId, from, async ({ node, modelId, directory, here, manifest, onEvent }) => {
    const unit = await fetchUnitSources({ node, addresses: from, manifest, directory, onEvent }, { signal })
    return {
      name: here ? readPackage(directory).name : `model-${modelId.slice(0, 12)}`,
      modelId,
      manifest,
      costs: modelCosts({ architecture: manifest.architecture, unit }),
      share: request.share === false ? undefined : await growingStore(directory),
      here: false,
      loader: node => ({
        async fetch (range, { signal }) {
          const holders = chooseSources(node.directory?.records(modelId) ?? [], range)
          try {
            await fetchUnits({ node, addresses: [...holders, ...from.filter(address => !holders.some(holder => isOfSamePeer(holder, address)))], manifest, range, directory, onEvent }, { signal })
          } finally {
            progress.stop()
          }
        },
        load: async (range, { signal }) => await startEngine({ model: await openModelAt(context, directory, progress), range, threads: request.threads, env: context.terminal.env, progress, signal })
      })
    }
  })
}

/** One peer at two addresses would be asked twice for everything. */
function isOfSamePeer (one: string, other: string): boolean {
  const [, peerId] = one.split('/p2p/')
  return peerId !== undefined && other.split('/p2p/')[1] === peerId
}

/** What there is of a package by the time that somebody asks: at first it may not be there at all. */
async function growingStore (directory: string): Promise<BlockStore> {
  const { createBlockStore, isPackage } = await import('../model/index.ts')
  let store: BlockStore | undefined
  const present = (): BlockStore | undefined => {
    if (store === undefined && existsSync(directory) && isPackage(directory)) store = createBlockStore([directory])
    return store
  }
  return {
    manifest: modelId => present()?.manifest(modelId),
    header: id => present()?.header(id),
    block: async (id, index) => await present()?.block(id, index)
  }
}
