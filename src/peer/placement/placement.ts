import type { UnitRange } from '../../model/index.ts'
import { createPlacementState, decideMove, PLACEMENT_TIMING, routeWork } from '../../partition/index.ts'
import type { OwnPlace, PlacementAction, PlacementRecord, PlacementStep } from '../../partition/index.ts'
import { DRAIN_MILLISECONDS } from '../constants.ts'
import { systemClock } from '../directory/clock.ts'
import type { PeerRecord } from '../directory/index.ts'
import { InvalidRequestError } from '../errors.ts'
import { startedNode } from '../node.ts'
import type { AbortOptions, DrainOptions } from '../types.ts'
import { ASSUMED_WORK_PER_SECOND, GAP_DRAIN_MILLISECONDS, LOOK_MILLISECONDS, RETRY_MILLISECONDS, UNLOADABLE_MILLISECONDS } from './constants.ts'
import { createOwnRanges } from './own-ranges.ts'
import { createRoom } from './room.ts'
import { soundRecords } from './sound-records.ts'
import { createSpeeds } from './speeds.ts'
import { timeEngine as timeOwnEngine } from './time-engine.ts'
import { timePeer as timeOtherPeer } from './time-peer.ts'
import { cutBefore, unservedUnits } from './unserved.ts'
import type { Placement, PlacementEvent, PlacementInit } from './types.ts'

/** Nothing happens before `start`. Throws NotStartedError, InvalidRequestError for a node without a directory, and InvalidPlanOptionError for a budget that is none. */
export function createPlacement (init: PlacementInit): Placement {
  const { node, model, costs, clock = systemClock, timeEngine = timeOwnEngine } = init
  const directory = directoryOf(init)
  const log = (init.logger ?? startedNode(node).libp2p.logger).forComponent('efedllm:placement')
  const timing = { ...PLACEMENT_TIMING, ...init.timing }
  const unitWork = routeWork(costs)
  const timePeer = init.timePeer ?? (async (record, options) => await timeOtherPeer({ node, model, unitWork }, record, options))
  const room = createRoom(costs, init.budget)
  const speeds = createSpeeds()
  /** when exchanges began that were answered, by the own clock */
  const confirmed = new Map<string, number>()
  /** units that could not be had, and until when they are left to others */
  const unloadable = new Map<number, number>()
  /** what is being asked of others */
  const questions = new Map<string, Promise<void>>()
  const over = new AbortController()
  let state = createPlacementState()
  let speed = 0
  let running = false
  let changed = false
  let said = ''
  let seen = ''
  let cancelWake = (): void => {}
  let cancelLook: (() => void) | undefined
  let unlisten = (): void => {}
  let stopping: Promise<void> | undefined

  const ranges = createOwnRanges({
    node,
    model,
    loader: init.loader,
    measure: async (engine, options) => {
      const { from, to } = engine.range
      const measured = unitWork.slice(from, to).reduce((sum, work) => sum + work, 0) / await timeEngine(engine, options)
      // the other range may have had work meanwhile
      speed = ranges.inMemory.length > 1 ? Math.max(speed, measured) : measured
    },
    onChange: decideSoon,
    onEvent: tell,
    log
  })

  function tell (event: PlacementEvent): void {
    if (event.type === 'placement:failed') leaveAlone(event.range)
    log('%s, units %d:%d', event.type, event.range.from, event.range.to)
    try {
      init.onEvent?.(event)
    } catch (error) {
      log.error('a listener for events failed: %e', error)
    }
  }

  /** Whose files nobody serves may have died with their last holder: this peer is of use elsewhere, and others may have them. */
  function leaveAlone ({ from, to }: UnitRange): void {
    const until = clock.wall() + UNLOADABLE_MILLISECONDS
    for (const unit of unservedUnits(others(), ranges.hosted, unitWork.length)) if (from <= unit && unit < to) unloadable.set(unit, until)
  }

  function ownPlace (now: number): OwnPlace {
    for (const [unit, until] of unloadable) if (until <= now) unloadable.delete(unit)
    const avoided = new Set(unloadable.keys())
    const beside = room.beside(ranges.inMemory)
    return {
      peerId: node.peerId,
      unitWork,
      speed: speed > 0 ? speed : init.workPerSecond ?? ASSUMED_WORK_PER_SECOND,
      capacity: cutBefore(room.capacity, avoided),
      capacityBeside: beside && cutBefore(beside, avoided),
      hosted: ranges.hosted
    }
  }

  /** Several changes of one moment are one. */
  function decideSoon (): void {
    if (changed) return
    changed = true
    queueMicrotask(() => {
      changed = false
      decide()
    })
  }

  /** Most announcements say what the one before said: they change nothing. */
  function lookSoon (): void {
    cancelLook ??= clock.after(LOOK_MILLISECONDS, () => {
      cancelLook = undefined
      try {
        if (JSON.stringify(others()) === seen) return
      } catch {
        // so will the decision, which says so
      }
      decide()
    })
  }

  const others = (): PlacementRecord[] => soundRecords(directory.records(model.modelId), unitWork.length)

  function announce ({ ranges, claim }: PlacementStep['announcement']): void {
    const text = JSON.stringify([ranges, claim, speed])
    // an announcement that says nothing new costs the whole swarm as much as any
    if (text === said) return
    said = text
    node.announce({ ranges, claim, speed })
  }

  function decide (): void {
    if (!running) return
    const now = clock.wall()
    let wakeAt = now + RETRY_MILLISECONDS
    try {
      for (const [peerId, at] of confirmed) if (at < now - timing.confirmLife) confirmed.delete(peerId)
      const records = others()
      seen = JSON.stringify(records)
      const step = decideMove(state, { records, speeds: speeds.at(now), confirmed }, ownPlace(now), now, timing)
      state = step.state
      // said before it is done: what is asked of others counts from what they can have heard
      announce(step.announcement)
      wakeAt = step.wakeAt
      for (const action of step.actions) perform(action)
    } catch (error) {
      log.error('cannot decide on a place: %e', error)
    }
    cancelWake()
    cancelWake = clock.after(Math.max(1, wakeAt - now), decide)
  }

  function perform (action: PlacementAction): void {
    switch (action.type) {
      case 'claim': return tell({ type: 'placement:claim', range: action.claim.range })
      case 'cancel': return tell({ type: 'placement:cancel', range: action.claim.range })
      case 'load': return ranges.load(action.range, action.into)
      case 'withdraw': return tell({ type: 'placement:withdraw', range: action.range })
      case 'resume':
        tell({ type: 'placement:resume', range: action.range })
        return ranges.resume(action.range)
      case 'drain': return ranges.drain(action.range, drainMilliseconds())
      case 'drop': return ranges.drop(action.range)
      case 'probe': return action.peers.forEach(probe)
      case 'confirm': return action.peers.forEach(confirm)
    }
  }

  /** Where a gap keeps all sessions waiting, it is this peer that they wait for. */
  function drainMilliseconds (): number {
    const { drainMilliseconds: usual = DRAIN_MILLISECONDS } = init
    return unservedUnits(others(), ranges.hosted, unitWork.length).length > 0 ? Math.min(usual, GAP_DRAIN_MILLISECONDS) : usual
  }

  /** Asks one thing of a peer at a time; what fails is asked again where it is still wanted. */
  function ask (what: string, peerId: string, question: () => Promise<void>): void {
    const key = `${what} ${peerId}`
    if (questions.has(key)) return
    questions.set(key, question()
      .catch(error => { if (!over.signal.aborted) log('%s %s: %s', what, peerId, (error as Error).message) })
      .finally(() => {
        questions.delete(key)
        decideSoon()
      }))
  }

  const recordOf = (peerId: string): PeerRecord | undefined => directory.records(model.modelId).find(record => record.peerId === peerId)

  function probe (peerId: string): void {
    ask('measure', peerId, async () => {
      const record = recordOf(peerId)
      if (record === undefined) return
      const measured = await timePeer(record, { signal: over.signal })
      // who has moved meanwhile has not lied
      const isSame = JSON.stringify(recordOf(peerId)?.ranges) === JSON.stringify(record.ranges)
      if (measured === undefined || (measured === 0 && !isSame)) return
      log('peer %s reads %d MB of weights a second, it says %d', peerId, Math.round(measured / 1e6), Math.round(record.speed / 1e6))
      speeds.set(peerId, measured, clock.wall())
    })
  }

  function confirm (peerId: string): void {
    const began = clock.wall()
    ask('confirm', peerId, async () => {
      await directory.exchange(peerId, model.modelId, { signal: over.signal })
      confirmed.set(peerId, began)
    })
  }

  async function end (options: DrainOptions): Promise<void> {
    running = false
    unlisten()
    cancelWake()
    cancelLook?.()
    over.abort()
    // from here on what is hosted speaks for itself
    node.announce({ ranges: undefined, claim: undefined })
    await ranges.stop(options)
    await Promise.all(questions.values())
  }

  return {
    get phase () {
      return state.phase
    },
    get hosted () {
      return ranges.hosted
    },
    get speed () {
      return speed
    },
    async start (options: AbortOptions = {}) {
      if (running || stopping !== undefined) return
      running = true
      unlisten = directory.onChange(lookSoon)
      try {
        await directory.refresh(model.modelId, options)
      } catch (error) {
        running = false
        unlisten()
        throw error
      }
      decide()
    },
    async stop (options: DrainOptions = {}) {
      stopping ??= end(options)
      await stopping
    }
  }
}

function directoryOf ({ directory, node }: PlacementInit): NonNullable<PlacementInit['directory']> {
  const found = directory ?? node.directory
  if (found === undefined) throw new InvalidRequestError('placement needs a node with discovery')
  return found
}
