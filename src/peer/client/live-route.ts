import type { Logger } from '@libp2p/interface'
import { ASK_AGAIN_MILLISECONDS, MAXIMUM_FORMER_STAGES, PREFIX_STRIDE } from '../constants.ts'
import { SessionClosedError } from '../errors.ts'
import type { StageError } from '../errors.ts'
import type { CandidateRecord, Deadlines, HandOverMode, RouteProgress, StageDescription } from '../types.ts'
import { establish, stageErrors } from './attempt.ts'
import type { AttemptInit, Established } from './attempt.ts'
import type { CandidatePool } from './candidate-pool.ts'
import { chooseRepair } from './choose-repair.ts'
import type { ChosenStages, MissingUnits, PlannedStage, RouteCosts } from './choose-stages.ts'
import { createConduct, Grade } from './conduct.ts'
import { openRoute } from './open-route.ts'
import { repairRoute } from './repair-route.ts'
import type { RouteMembers, RouteMembersInit } from './route-members.ts'
import type { Grant, Segment } from './segment.ts'
import { createTrouble, isSuspect } from './trouble.ts'

/** The way of a session through its stages, which may change between two steps. */
export interface LiveRoute {
  readonly stages: StageDescription[]
  readonly segments: readonly Segment[]
  readonly grant: Grant
  /** positions that its stages had at first */
  readonly found: number
  /** no step can run */
  readonly broken: boolean
  /** `prepare` has something to do before the next step: no step can run, or a stage is leaving */
  readonly unready: boolean
  /** Repairs the route if it is broken, or moves it away from stages that leave. No step may be under way. Throws RouteLostError, SessionClosedError. */
  prepare (): Promise<void>
  /** Whether another peer can go on for the stage that could not run a step; the route is broken then. */
  replace (error: unknown): boolean
  /** the listener is called when `prepare` would better be called soon, even if no step comes */
  onUnready (listener: () => void): void
  /** never throws */
  close (): Promise<void>
}

export interface LiveRouteInit extends Pick<AttemptInit, 'self' | 'modelId' | 'capacity' | 'chunkRows' | 'history'> {
  session: string
  unitCount: number
  /** stages of this machine */
  locals: readonly PlannedStage[]
  promptIds: ArrayLike<number>
  /** default `measured` */
  handOver?: HandOverMode
  createMembers: (events: Pick<RouteMembersInit, 'onFailure' | 'onLeaving' | 'mayReplace'>) => RouteMembers
  pool: CandidatePool
  /** candidates may come by themselves: an opening waits for them */
  awaitsCandidates: boolean
  problems: () => Error[]
  costs: RouteCosts
  deadlines: Deadlines
  /** of the node: the session ends with it */
  stopped: AbortSignal
  log: Logger
  onProgress?: (event: RouteProgress) => void
}

/** Opens the first route of a session; throws what `openRoute` throws. */
export async function openLiveRoute (init: LiveRouteInit, { signal }: { signal?: AbortSignal } = {}): Promise<LiveRoute> {
  const { session, unitCount, history, pool, costs, deadlines, onProgress, log } = init
  const closing = new AbortController()
  const members = init.createMembers({ onFailure, onLeaving, mayReplace: error => error.peerId !== undefined && canDoWithout(error.peerId) })
  const conduct = createConduct({ forgiving: true })
  const trouble = createTrouble({ conduct, members, pool })
  const leaving = new Set<string>()
  /** peers that have been stages of this session, as they were when it chose them */
  const former = new Map<string, CandidateRecord>()
  let epoch = 0
  /** the epoch whose failures matter */
  let current = 0
  let attempting = false
  let broken = false
  /** somebody may be there to take the place of a stage that leaves */
  let mayMove = false
  let fresh: StageError[] = []
  let replayingMilliseconds = 0
  let preparing: Promise<void> | undefined
  let listener: (() => void) | undefined
  let closed: Promise<void> | undefined

  // ---- what stages say ----

  function onFailure (failedEpoch: number, errors: StageError[]): void {
    if (failedEpoch !== current || closed !== undefined) return
    fresh.push(...errors)
    // the attempt itself fails
    if (attempting) return
    broken = true
    onProgress?.({ type: 'route:failed', session, failures: errors })
    // an idle session that had to make room does not ask for it again before it needs it
    if (!errors.every(({ name }) => name === 'SessionEvictedError')) listener?.()
  }

  function onLeaving ({ peerId }: StageDescription): void {
    if (peerId === undefined || leaving.has(peerId)) return
    log('session %s: peer %s is leaving', session, peerId)
    leaving.add(peerId)
    conduct.leaves(peerId)
    mayMove = true
    if (!attempting) listener?.()
  }

  const endWatch = pool.onChange(() => { mayMove = leaving.size > 0 })

  // ---- attempts ----

  async function attempt (planned: readonly PlannedStage[], openBy: number, attemptSignal: AbortSignal, promptIds?: ArrayLike<number>): Promise<Established> {
    attempting = true
    fresh = []
    current = ++epoch
    try {
      const made = await establish({
        ...init,
        members,
        epoch,
        planned,
        openBy,
        promptIds,
        handOver: init.handOver ?? 'measured',
        leaving: promptIds === undefined ? route.route.stages.filter(({ peerId }) => peerId !== undefined && leaving.has(peerId) && !trouble.lost.has(peerId)) : [],
        patience: deadlines.step,
        signal: attemptSignal,
        onReplayed: milliseconds => { replayingMilliseconds += milliseconds }
      })
      // whatever happened meanwhile happened to the route
      if (fresh.length > 0) throw new AggregateError(fresh, fresh[0].message)
      return made
    } finally {
      attempting = false
    }
  }

  function choose (now = performance.now(), lost: ReadonlySet<string> = trouble.lost, without?: ReadonlySet<string>): ChosenStages | MissingUnits {
    const known = pool.records()
    const among = (records: readonly CandidateRecord[]): ChosenStages | MissingUnits => chooseRepair({
      unitCount,
      costs,
      conduct,
      now,
      seed: session,
      present: present(),
      candidates: records.filter(({ peerId }) => without?.has(peerId) !== true),
      lost,
      quarrels: trouble.quarrels,
      leaving
    })
    const chosen = among(known)
    if ('stages' in chosen) return chosen
    // who is gone for all that is known may be back before anybody says so
    const again = among([...known, ...[...former.values()].filter(({ peerId }) => !known.some(record => record.peerId === peerId))])
    return 'stages' in again ? again : chosen
  }

  /** What the stages of the route host, for when nobody knows them any more. */
  function remember (): void {
    const stages = new Set(route.route.stages.map(({ peerId }) => peerId))
    for (const record of pool.records()) {
      if (!stages.has(record.peerId)) continue
      former.delete(record.peerId)
      former.set(record.peerId, record)
    }
    for (const peerId of former.keys()) if (former.size > MAXIMUM_FORMER_STAGES) former.delete(peerId)
  }

  function canDoWithout (peerId: string): boolean {
    const gone = new Set([...trouble.lost, peerId])
    const chosen = choose(performance.now(), gone, gone)
    return 'stages' in chosen && chosen.grade < Grade.bad
  }

  const present = (): PlannedStage[] => route?.route.stages.map(({ range, peerId }) => ({ range, peerId })) ?? []
  const same = (planned: readonly PlannedStage[]): boolean => planned.length === route.route.stages.length && planned.every(({ peerId, range }, index) => peerId === route.route.stages[index].peerId && range.from === route.route.stages[index].range.from)

  /** Resolves when a candidate comes or changes, when somebody has rested enough, or when it is time to ask again. */
  async function changed (until: number, waitSignal: AbortSignal): Promise<void> {
    waitSignal.throwIfAborted()
    pool.refresh(waitSignal).catch(() => {})
    const now = performance.now()
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const timer = setTimeout(resolve, Math.max(1, Math.min(until - now, ASK_AGAIN_MILLISECONDS, conduct.nextRestEnds(now) - now + 1)))
    const end = pool.onChange(resolve)
    const onAbort = (): void => reject(waitSignal.reason)
    waitSignal.addEventListener('abort', onAbort, { once: true })
    try {
      await promise
    } finally {
      clearTimeout(timer)
      end()
      waitSignal.removeEventListener('abort', onAbort)
    }
  }

  // ---- the first route, and the next ones ----

  async function open (): Promise<Established> {
    const both = signal === undefined ? closing.signal : AbortSignal.any([closing.signal, signal])
    const openBy = performance.now() + deadlines.open
    return await openRoute({
      unitCount,
      costs,
      seed: session,
      locals: init.locals,
      openBy,
      candidates: () => pool.records(),
      problems: init.problems,
      changed: init.awaitsCandidates ? async until => await changed(until, both) : undefined,
      attempt: async planned => {
        onProgress?.({ type: 'route:planned', route: members.describe(planned) })
        try {
          return await attempt(planned, openBy, both, init.promptIds)
        } catch (error) {
          for (const { peerId, name } of stageErrors(error as Error).filter(isSuspect)) members.drop(peerId!, { silent: name === 'StageLostError' })
          await members.close()
          both.throwIfAborted()
          throw error
        }
      },
      onFailures: failures => {
        for (const failure of failures.filter(isSuspect)) pool.suspect(failure.peerId!, failure.message)
        onProgress?.({ type: 'route:failed', session, failures })
      }
    })
  }

  async function repair (): Promise<void> {
    const started = performance.now()
    const before = route.route.stages
    trouble.absorb(fresh, started)
    fresh = []
    replayingMilliseconds = 0
    const wasBroken = broken
    if (!broken) {
      // nothing is lost yet, and nothing is touched unless somebody is better
      mayMove = false
      const chosen = choose()
      if ('missing' in chosen || same(chosen.stages)) return
    }
    broken = true
    const { established, attempts } = await repairRoute({
      trouble,
      unitCount,
      patience: deadlines.repair,
      choose: (now, without) => choose(now, trouble.lost, without),
      attempt: async planned => await attempt(planned, performance.now() + deadlines.open, closing.signal),
      changed: async until => await changed(until, closing.signal),
      onWaiting: missing => onProgress?.({ type: 'route:waiting', session, missing }),
      replaying: () => replayingMilliseconds
    })
    route = established
    remember()
    const failures = [...trouble.failures]
    trouble.clear()
    members.keep(route.route.stages)
    for (const peerId of leaving) if (!route.route.stages.some(stage => stage.peerId === peerId)) leaving.delete(peerId)
    broken = fresh.length > 0
    if (history.ids.length >= PREFIX_STRIDE) for (const segment of route.route.segments) segment.name?.(history.sequence, history.ids, history.ids.length)
    const { stages } = route.route
    const known = (list: readonly StageDescription[], { peerId, range }: StageDescription): boolean => list.some(other => other.peerId === peerId && other.range.from === range.from && other.range.to === range.to)
    const lost = before.filter(stage => !known(stages, stage))
    // a move that came to nothing is no news
    if (!wasBroken && lost.length === 0) return
    onProgress?.({
      type: 'route:repaired',
      session,
      repair: {
        failures,
        lost,
        replacements: stages.filter(stage => !known(before, stage)),
        route: stages,
        milliseconds: performance.now() - started,
        replayedPositions: established.replayedPositions,
        attempts,
        handOver: established.handOver
      }
    })
  }

  async function close (): Promise<void> {
    closed ??= (async () => {
      closing.abort(new SessionClosedError())
      init.stopped.removeEventListener('abort', close)
      endWatch()
      for (const chain of route.route.chains) chain.leave()
      await preparing?.catch(() => {})
      await members.close()
    })()
    await closed
  }

  let route: Established
  try {
    route = await open()
  } catch (error) {
    endWatch()
    await members.close()
    throw error
  }
  remember()
  init.stopped.addEventListener('abort', close, { once: true })

  return {
    get stages () {
      return route.route.stages
    },
    get segments () {
      return route.route.segments
    },
    get grant () {
      return route.grant
    },
    found: route.found,
    get broken () {
      return broken
    },
    get unready () {
      return broken || mayMove || preparing !== undefined
    },
    async prepare () {
      if (closed !== undefined) throw new SessionClosedError()
      if (!broken && !mayMove && preparing === undefined) return
      preparing ??= repair().finally(() => { preparing = undefined })
      await preparing
    },
    replace (error) {
      const { peerId } = error as Partial<StageError>
      if (broken) return true
      if (peerId === undefined || !canDoWithout(peerId)) return false
      fresh.push(error as StageError)
      broken = true
      onProgress?.({ type: 'route:failed', session, failures: [error as Error] })
      return true
    },
    onUnready (newListener) {
      listener = newListener
    },
    close
  }
}
