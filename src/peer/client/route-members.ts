import type { Logger } from '@libp2p/interface'
import type { Architecture } from '../../model/index.ts'
import type { Engine } from '../../engine/index.ts'
import type { StageError } from '../errors.ts'
import type { Deadlines, StageDescription } from '../types.ts'
import type { PlannedStage } from './choose-stages.ts'
import { createLocalSegment } from './local-segment.ts'
import type { LocalSegment } from './local-segment.ts'
import { createNaming } from './naming.ts'
import type { Naming, NamingInit, Sharing } from './naming.ts'
import { mixedPositions } from './provenance.ts'
import { createRemoteChain } from './remote-chain.ts'
import type { RemoteChain } from './remote-chain.ts'
import type { RemoteStage } from './remote-stage.ts'
import type { Segment } from './segment.ts'
import type { StepClock } from './step-clock.ts'

export interface RouteMembersInit {
  session: string
  architecture: Architecture
  /** that are always part of the route, each with what it runs */
  locals: ReadonlyArray<{ engine: Engine, range: PlannedStage['range'] }>
  /** positions to be promised by stages of this machine */
  capacity?: number
  sharing?: Sharing
  deadlines: Deadlines
  clock: StepClock
  log: Logger
  remote: (peerId: string) => RemoteStage
  addresses: (peerId: string) => string[]
  /** half of a round trip to a peer */
  onPing: (peerId: string, milliseconds: number) => void
  onFailure: (epoch: number, errors: StageError[]) => void
  onLeaving: (place: StageDescription, milliseconds: number) => void
  mayReplace: (error: StageError) => boolean
}

/** A route in one epoch, before or after it was opened. */
export interface BuiltRoute {
  readonly epoch: number
  readonly stages: StageDescription[]
  readonly segments: Segment[]
  readonly chains: RemoteChain[]
}

/** The stages that a session has to do with, over all of its routes. */
export interface RouteMembers {
  /** Makes a route of them, and ends the one before; the stages enter the epoch. `ids` are those the session holds, or is to begin with. Throws what `openSession` throws. */
  build (epoch: number, planned: readonly PlannedStage[], ids: ArrayLike<number>, held: number): Promise<BuiltRoute>
  describe (planned: readonly PlannedStage[]): StageDescription[]
  /** The session ends at this peer. `silent`: the peer does not answer on its stream */
  drop (peerId: string, options?: { silent?: boolean }): void
  readonly architecture: Architecture
  /** a peer that the session has to do with, in the present route or in the one before */
  find (peerId: string): RemoteStage | undefined
  /** the first positions of a stage were not computed by it, but handed to it: they are not named */
  handed (peerId: string, positions: number): void
  /** drops all peers that are not in a route */
  keep (stages: readonly StageDescription[]): void
  /** The session ends everywhere. */
  close (): Promise<void>
}

/** How a stage came by what it holds. */
interface Lineage {
  range: PlannedStage['range']
  /** the stages before it, when it was last bound */
  passed: string
  mixed: number
}

export function createRouteMembers (init: RouteMembersInit): RouteMembers {
  const { architecture, sharing } = init
  const remotes = new Map<string, RemoteStage>()
  const locals = new Map<number, LocalSegment>()
  const lineages = new Map<string, Lineage>()
  let chains: RemoteChain[] = []
  /** of the stages of the present route */
  const namingOfPeer = new Map<string, Naming>()

  /** Of each stage, whether it is new to the session, and how many of its positions came another way. */
  function descend (planned: readonly PlannedStage[], held: number): { fresh: boolean[], mixed: number[] } {
    const passed = planned.map((_stage, index) => planned.slice(0, index).map(({ peerId = '', range }) => `${peerId} ${range.from}:${range.to}`).join('\n'))
    const known = planned.map(({ peerId, range }) => {
      const lineage = lineages.get(peerId ?? `local ${range.from}`)
      return lineage?.range.from === range.from && lineage.range.to === range.to ? lineage : undefined
    })
    const mixed = mixedPositions(known.map((lineage, index) => ({ held, mixed: lineage?.mixed ?? 0, unchanged: lineage === undefined || lineage.passed === passed[index] })))
    for (const [index, { peerId, range }] of planned.entries()) lineages.set(peerId ?? `local ${range.from}`, { range, passed: passed[index], mixed: mixed[index] })
    return { fresh: known.map(lineage => lineage === undefined), mixed }
  }

  function describe (planned: readonly PlannedStage[]): StageDescription[] {
    return planned.map(({ peerId, range }, index) => peerId === undefined
      ? { stage: index + 1, range, local: true }
      : { stage: index + 1, range, local: false, peerId, addresses: init.addresses(peerId) })
  }

  function localSegment (index: number, planned: readonly PlannedStage[], naming: NamingInit | undefined): LocalSegment {
    const { range } = planned[index]
    const place = { stage: index + 1, naming, keeps: planned[index + 1] !== undefined && planned[index + 1].peerId !== undefined }
    const present = locals.get(range.from)
    if (present !== undefined) {
      present.enter(place)
      return present
    }
    const { engine } = init.locals.find(local => local.range.from === range.from)!
    const segment = createLocalSegment({ engine, range, capacity: init.capacity, ...place })
    locals.set(range.from, segment)
    return segment
  }

  function remoteStage (peerId: string): RemoteStage {
    const stage = remotes.get(peerId) ?? init.remote(peerId)
    remotes.set(peerId, stage)
    return stage
  }

  function drop (peerId: string, { silent = false } = {}): void {
    remotes.get(peerId)?.release({ silent })
    remotes.delete(peerId)
    lineages.delete(peerId)
  }

  return {
    async build (epoch, planned, ids, held) {
      for (const chain of chains) chain.leave()
      await Promise.all([...locals.values()].map(async segment => await segment.cancel(Infinity)))
      const { fresh, mixed } = descend(planned, held)
      const stages = describe(planned)
      const namingOf = (index: number): NamingInit | undefined => sharing && { ...sharing, passed: planned.slice(0, index), ids, mixed: mixed[index] }
      const segments: Segment[] = []
      chains = []
      namingOfPeer.clear()
      for (let index = 0; index < planned.length;) {
        if (planned[index].peerId === undefined) {
          segments.push(localSegment(index, planned, namingOf(index)))
          index++
          continue
        }
        let end = index
        while (end < planned.length && planned[end].peerId !== undefined) end++
        const indexes = Array.from({ length: end - index }, (_value, offset) => index + offset)
        const namings = sharing && indexes.map(index => createNaming(namingOf(index)!))
        for (const [offset, naming] of namings?.entries() ?? []) namingOfPeer.set(planned[index + offset].peerId!, naming)
        const chain = createRemoteChain({
          session: init.session,
          epoch,
          stages: indexes.map(index => remoteStage(planned[index].peerId!)),
          places: stages.slice(index, end),
          fresh: fresh.slice(index, end),
          architecture,
          deadlines: init.deadlines,
          clock: init.clock,
          namings,
          log: init.log,
          onPing: init.onPing,
          onFailure: errors => init.onFailure(epoch, errors),
          onLeaving: init.onLeaving,
          mayReplace: init.mayReplace
        })
        chains.push(chain)
        segments.push(chain)
        index = end
      }
      return { epoch, stages, segments, chains }
    },
    describe,
    architecture,
    find: peerId => remotes.get(peerId),
    handed (peerId, positions) {
      const lineage = lineages.get(peerId)
      if (lineage !== undefined) lineage.mixed = Math.max(lineage.mixed, positions)
      namingOfPeer.get(peerId)?.taint(positions)
    },
    drop,
    keep (stages) {
      for (const peerId of [...remotes.keys()]) if (!stages.some(stage => stage.peerId === peerId)) drop(peerId)
    },
    async close () {
      for (const peerId of [...remotes.keys()]) drop(peerId)
      const segments = [...locals.values()]
      locals.clear()
      lineages.clear()
      await Promise.all(segments.map(async segment => await segment.close()))
    }
  }
}
