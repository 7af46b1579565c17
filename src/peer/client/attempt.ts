import type { Logger } from '@libp2p/interface'
import { StageError } from '../errors.ts'
import type { HandOverMode, HandOverReport, StageDescription } from '../types.ts'
import type { PlannedStage } from './choose-stages.ts'
import type { History } from './history.ts'
import type { OpenStagesInit } from './open-stages.ts'
import { planHeirs } from './plan-heirs.ts'
import type { BuiltRoute, RouteMembers } from './route-members.ts'
import { runHandOver } from './run-hand-over.ts'
import type { HandOverOutcome } from './run-hand-over.ts'
import { runReplays } from './run-replays.ts'
import type { RunReplaysInit } from './run-replays.ts'
import type { Grant, Segment } from './segment.ts'
import { createTransfers } from './transfers.ts'

export interface AttemptInit extends Pick<OpenStagesInit, 'self' | 'modelId' | 'capacity' | 'openBy' | 'signal'> {
  members: RouteMembers
  epoch: number
  planned: readonly PlannedStage[]
  history: History
  /** of a session that has not run yet: what its stages may find of it already */
  promptIds?: ArrayLike<number>
  chunkRows: number
  handOver: HandOverMode
  /** stages of the route before that are about to leave */
  leaving: readonly StageDescription[]
  /** how long a transfer may take of which nothing is known, in milliseconds */
  patience: number
  log: Logger
  /** a chunk of positions has gone through stages once more, after so many milliseconds without one */
  onReplayed: (milliseconds: number) => void
}

/** A route on which steps can run. */
export interface Established {
  route: BuiltRoute
  grant: Grant
  /** positions that all stages have found under names */
  found: number
  replayedPositions: number
  handOver?: HandOverReport
}

/** Opens a route, or rebinds it, and replays what its stages lack. Throws an AggregateError of StageErrors, and what engines of this machine throw. */
export async function establish (init: AttemptInit): Promise<Established> {
  const { members, epoch, planned, history, promptIds, signal, chunkRows } = init
  signal.throwIfAborted()
  const route = await members.build(epoch, planned, promptIds ?? history.ids, history.ids.length)
  const leave = (): void => { for (const chain of route.chains) chain.leave() }
  signal.addEventListener('abort', leave, { once: true })
  try {
    throwAll(await Promise.allSettled(route.chains.map(async chain => await chain.open({ ...init, stageCount: planned.length, wanted: history.wanted }))))
    const grant = grantOf(route.segments)
    let since = performance.now()
    const onChunk = (): void => {
      const now = performance.now()
      init.onReplayed(now - since)
      since = now
    }
    const { replayedPositions, report } = promptIds !== undefined
      ? { replayedPositions: 0 }
      : await catchUp(init, route, { segments: route.segments, grant, ids: history.ids, chunkRows, nextSequence: () => ++history.sequence, onChunk })
    const found = Math.min(...route.segments.flatMap(({ states }) => states.map(({ held }) => held)))
    return { route, grant, found, replayedPositions, handOver: report }
  } catch (error) {
    leave()
    signal.throwIfAborted()
    throw error
  } finally {
    signal.removeEventListener('abort', leave)
  }
}

/** Brings all stages to the positions of the session. */
async function catchUp ({ members, epoch, history, handOver, leaving, patience, log }: AttemptInit, route: BuiltRoute, replays: RunReplaysInit): Promise<HandOverOutcome> {
  const { stages, chains } = route
  const states = route.segments.flatMap(segment => segment.states.map(state => ({ ...state })))
  const { architecture } = members
  const heirs = leaving.length === 0 ? [] : planHeirs({ stages, states, leaving, architecture, length: history.ids.length })
  const transfers = createTransfers({
    epoch,
    find: members.find,
    nonceOf: stage => chains.map(chain => chain.nonceOf(stage)).find(nonce => nonce !== undefined),
    nextSequence: replays.nextSequence,
    onHanded: members.handed
  })
  if (heirs.length === 0 || !transfers.able(heirs)) return { replayedPositions: await runReplays(replays, states) }
  return await runHandOver({ mode: handOver, architecture, stages, states, heirs, transfers, replays, patience, log })
}

export function grantOf (segments: readonly Segment[]): Grant {
  return {
    capacity: Math.min(...segments.map(({ grant }) => grant.capacity)),
    window: Math.min(...segments.map(({ grant }) => grant.window)),
    rowsPerStep: Math.min(...segments.map(({ grant }) => grant.rowsPerStep))
  }
}

/** Of settled promises, all failures of stages at once. */
function throwAll (outcomes: ReadonlyArray<PromiseSettledResult<unknown>>): void {
  const errors = outcomes.flatMap(outcome => outcome.status === 'rejected' ? stageErrors(outcome.reason as Error) : [])
  if (errors.length > 0) throw new AggregateError([...new Set(errors)], errors[0].message)
}

/** The failures of stages that an error stands for. */
export function stageErrors (error: Error): StageError[] {
  if (error instanceof AggregateError) return error.errors.flatMap((inner: Error) => stageErrors(inner))
  return error instanceof StageError ? [error] : []
}
