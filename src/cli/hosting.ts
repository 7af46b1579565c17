import { startEngine } from './engines.ts'
import { openHostedModel } from './host-model.ts'
import { parseLayers, parseUnits } from './units.ts'
import type { Engine } from '../engine/index.ts'
import type { BlockStore, Manifest, UnitRange } from '../model/index.ts'
import type { DrainOptions, PeerNode } from '../peer/index.ts'
import type { Context } from './context.ts'
import type { ModelRequest } from './host-model.ts'
import type { Progress } from './progress.ts'

/** What a peer hosts, and how it comes to it. */
export interface Hosting {
  model: { name: string, modelId: string, manifest: Manifest }
  /** what others may fetch from here; undefined where nothing is shared */
  share: BlockStore | undefined
  /** what is hosted from the start; undefined where that is still to be found out */
  engine?: Engine
  /** of the swarm, beside those that it is to join anyway */
  join: string[]
  /** what the started node hosts, once it does */
  serve (node: PeerNode): Promise<UnitRange>
  /** sends the sessions that are there away */
  drain (options: DrainOptions): Promise<void>
  /** gives all back; after `drain`, or without */
  stop (): Promise<void>
}

export interface HostingInit {
  context: Context
  request: ModelRequest & { threads?: number }
  progress: Progress
  signal: AbortSignal
}

/** Exactly the units that were asked for: loaded before the node starts, and for good. */
export async function hostUnits ({ context, request, progress, signal }: HostingInit, { layers, units }: { layers: string, units?: string }): Promise<Hosting> {
  const parse = ({ manifest: { architecture: { layerCount } } }: { manifest: Manifest }): UnitRange => units === undefined ? parseLayers(layers, layerCount) : parseUnits(units, layerCount)
  const { model, range, share } = await openHostedModel({ context, request, progress, signal, chooseRange: parse })
  const engine = await startEngine({ model, range, threads: request.threads, env: context.terminal.env, progress, signal })
  let hosting: PeerNode | undefined
  return {
    model,
    share,
    engine,
    join: [],
    async serve (node) {
      hosting = node
      return range
    },
    async drain (options) {
      await Promise.all((hosting?.hosted ?? []).map(async hosted => await hosted.drain(options)))
    },
    stop: async () => await engine.stop()
  }
}
