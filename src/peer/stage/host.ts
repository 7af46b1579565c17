import type { Engine } from '../../engine/index.ts'
import type { UnitRange } from '../../model/index.ts'
import { engineQueue } from '../engine-queue.ts'
import type { EngineQueue } from '../engine-queue.ts'
import { prefixCache } from '../prefix-cache.ts'
import type { PrefixCache } from '../prefix-cache.ts'
import type { HostedState } from '../types.ts'
import type { KeptHistory } from './history/kept-outputs.ts'
import type { StageSession } from './stage-session.ts'

/** An engine that sessions of other peers run on. Plain data, as a session is. */
export interface Host {
  readonly engine: Engine
  readonly queue: EngineQueue
  readonly cache: PrefixCache
  state: HostedState
  /** also those that are just ending */
  readonly sessions: Set<StageSession>
  readonly emptyListeners: Set<() => void>
  /** kept outputs by sessions of the engine, also of those that were closed and may be begun with */
  readonly histories: Map<number, KeptHistory>
}

export function createHost (engine: Engine): Host {
  return { engine, queue: engineQueue(engine), cache: prefixCache(engine), state: 'serving', sessions: new Set(), emptyListeners: new Set(), histories: new Map() }
}

export function contains ({ from, to }: UnitRange, part: UnitRange): boolean {
  return from <= part.from && part.to <= to
}

/**
 * Where a session on a range is to run: on what fits most closely among what
 * serves, the latest first; else one that drains, for its refusal says more.
 */
export function chooseHost (hosts: readonly Host[], range: UnitRange): Host | undefined {
  const able = hosts.filter(({ engine }) => contains(engine.range, range))
  const serving = able.filter(({ state }) => state === 'serving')
  const size = ({ engine: { range: { from, to } } }: Host): number => to - from
  return serving.reduceRight((best: Host | undefined, host) => best === undefined || size(host) < size(best) ? host : best, undefined) ?? able[0]
}
