import { UsageError } from './errors.ts'
import { bytes } from './format.ts'
import { parseModelRequest } from './host-model.ts'
import { openMovableModel } from './movable-model.ts'
import { placementLine } from './placement-lines.ts'
import { MEMORY_SHARE } from './constants.ts'
import { note, style } from './terminal.ts'
import type { ModelCosts, PlacementTiming } from '../partition/index.ts'
import type { Placement, PlacementEvent } from '../peer/index.ts'
import type { Hosting, HostingInit } from './hosting.ts'
import type { MovableModel } from './movable-model.ts'

export interface AutoOptions {
  /** addresses of peers of the swarm, beside those that have the model */
  join: readonly string[]
  /** bytes that the peer may take, all in all */
  memory?: number
  drainTimeout: number
  /** for tests: all times of the planner are this many times as long */
  pace?: number
}

/** The range that the swarm needs most, as far as the memory allows; later perhaps another one (docs/placement.md). */
export async function hostWhatIsNeeded (init: HostingInit, { join, memory, drainTimeout, pace }: AutoOptions): Promise<Hosting> {
  const { context, request, signal } = init
  const { terminal } = context
  const model = await openMovableModel(init)
  const { layerCount, contextLength } = model.manifest.architecture
  const { keyValuePositions, PLACEMENT_TIMING } = await import('../partition/index.ts')
  const { DEFAULT_CONTEXTS } = await import('../engine/index.ts')
  const budget = {
    memoryBytes: memory ?? Math.floor(process.availableMemory() * MEMORY_SHARE),
    // what an engine has where nothing is said
    positions: keyValuePositions(model.costs, contextLength, DEFAULT_CONTEXTS)
  }
  await checkRoom(model.costs, budget, memory !== undefined)
  const swarm = [...new Set([...join, ...parseModelRequest(request).from])]
  let placement: Placement | undefined

  return {
    model,
    share: model.share,
    join: swarm,
    async serve (node) {
      const { createPlacement } = await import('../peer/index.ts')
      const ready = Promise.withResolvers<PlacementEvent['range']>()
      ready.promise.catch(() => {})
      signal.addEventListener('abort', () => ready.reject(signal.reason), { once: true })
      const answers = await Promise.allSettled(swarm.map(async address => await node.info(address, { signal })))
      signal.throwIfAborted()
      const failed = answers.find(answer => answer.status === 'rejected')
      // whoever joins through several addresses can do without some of them
      if (failed !== undefined && answers.every(({ status }) => status === 'rejected')) throw failed.reason
      placement = createPlacement({
        node,
        model,
        costs: model.costs,
        budget,
        loader: model.loader(node),
        drainMilliseconds: drainTimeout,
        timing: pace === undefined ? undefined : paced(PLACEMENT_TIMING, pace),
        onEvent (event) {
          if (request.json !== true) {
            const { text, warns } = placementLine(event, layerCount)
            note(terminal, style(terminal, warns ? 'yellow' : 'dim', text))
          }
          if (event.type === 'placement:serve') ready.resolve(event.range)
          if (event.type === 'placement:failed' && model.here) ready.reject(event.error)
        }
      })
      await placement.start({ signal })
      return await ready.promise
    },
    async drain (options) {
      await placement?.stop(options)
    },
    async stop () {
      await placement?.stop({ milliseconds: 0 })
    }
  }
}

async function checkRoom (costs: MovableModel['costs'], budget: { memoryBytes: number, positions: number }, isAsked: boolean): Promise<void> {
  const { capacityOf, peerBytes } = await import('../partition/index.ts')
  if (capacityOf(costs, budget).most > 0) return
  const least = leastBytes(costs, (from: number) => peerBytes(costs, { from, to: from + 1 }, budget))
  throw new UsageError(
    isAsked ? `--memory ${bytes(budget.memoryBytes)}: no unit of the model fits` : `no unit of the model fits into ${bytes(budget.memoryBytes)}, ${MEMORY_SHARE * 100} % of the memory that is free`,
    `a peer with the smallest unit takes ${bytes(least)}; --memory says how much it may take, --layers which layers it hosts whatever they take`
  )
}

function leastBytes ({ units }: ModelCosts, of: (unit: number) => number): number {
  return Math.min(...units.map((_unit, index) => of(index)))
}

function paced (timing: Readonly<PlacementTiming>, pace: number): PlacementTiming {
  // the clocks of machines, and how far the directory is behind, have nothing to do with the pace
  return { ...Object.fromEntries(Object.entries(timing).map(([name, milliseconds]) => [name, milliseconds * pace])), clockSkew: timing.clockSkew } as unknown as PlacementTiming
}
