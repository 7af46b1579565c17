import {
  createPlacementState, decideMove, PLACEMENT_TIMING
} from '../../../src/partition/index.ts'
import type {
  HostedRange, PlacementAction, PlacementRange, PlacementRecord, PlacementState, PlacementTiming, PlacementView
} from '../../../src/partition/index.ts'
import type { UnitRange } from '../../../src/model/index.ts'
import { createEventQueue } from './events.ts'
import { ANNOUNCE, createNetwork, LIFE } from './network.ts'
import { createRandom } from './random.ts'
import type { Announcer, NetworkInit } from './network.ts'

export interface SimulatedPeerInit {
  id: string
  /** work per second that it does */
  speed: number
  /** what it says that it does; default: what it does */
  announces?: number
  /** units that it has room for */
  units: number
  /** whether it has room for a second range beside the first; default true */
  beside?: boolean
  /** what it serves from the beginning; without it the peer seeks a place */
  range?: UnitRange
  /** `pinned`: its owner has said what it serves, it never moves; `ghost`: neither, and what it announces is not there */
  kind?: 'pinned' | 'ghost'
  /** what it claims without end and never serves */
  blocks?: UnitRange
}

export interface SwarmInit extends Partial<Omit<NetworkInit, 'seed'>> {
  seed: number
  unitWork: readonly number[]
  timing?: Partial<PlacementTiming>
  /** milliseconds that a unit takes to load, and a range to drain */
  loadUnit?: number
  drain?: number
  /** share of loads that fail */
  loadFailure?: number
}

export interface SwarmCounts {
  joins: number
  claims: number
  cancels: number
  moves: number
  drops: number
  probes: number
  confirms: number
  resumes: number
  decisions: number
}

interface Peer extends Announcer {
  init: SimulatedPeerInit
  alive: boolean
  /** its owner is stopping it */
  stopping: boolean
  state: PlacementState
  hosted: HostedRange[]
  record: PlacementRecord
  measured: Map<string, { speed: number, at: number }>
  confirmed: Map<string, number>
  wakeAt: number
}

export interface Swarm {
  readonly now: number
  readonly counts: SwarmCounts
  /** what should never happen, in words */
  readonly violations: string[]
  /** milliseconds that units were without a holder, together, once they had had one */
  readonly uncovered: number
  /** ranges given up although a holder was left only until a moment ago: it died between its word and the drop */
  readonly unlucky: number
  /** completed moves: who, when, from where to where */
  readonly moves: ReadonlyArray<{ peer: string, at: number, from: UnitRange, to: UnitRange }>
  join: (init: SimulatedPeerInit) => void
  /** its owner stops it: says so, and is gone after the time to drain; or it is gone at once */
  leave: (id: string) => void
  crash: (id: string) => void
  alive: () => string[]
  rangesOf: (id: string) => UnitRange[]
  /** how many peers serve each unit, and the tokens per second that they really do */
  holders: () => number[]
  throughput: () => number[]
  cut: (groupOf: (id: string) => number) => void
  heal: () => void
  schedule: (afterMilliseconds: number, run: () => void) => void
  run: (milliseconds: number) => void
}

/** Measurements are forgotten after this. */
const MEASURED_LIFE = 600_000
const START = 1_000_000

/**
 * A swarm in which every peer decides with `decideMove`, over a network that
 * delays and loses announcements, with ranges that take time to load and to
 * drain. After every event it is checked that no range was dropped whose units
 * nobody else holds.
 */
export function createSwarm (init: SwarmInit): Swarm {
  const { seed, unitWork, loadUnit = 2_000, drain = 5_000, loadFailure = 0 } = init
  const timing = { ...PLACEMENT_TIMING, ...init.timing }
  const random = createRandom(seed)
  const events = createEventQueue(START)
  const network = createNetwork({ seed, delay: init.delay ?? [20, 300], loss: init.loss ?? 0.02 })
  // those of whom something may still be heard
  let peers: Peer[] = []
  const ids: string[] = []
  const lastRange = new Map<Peer, UnitRange>()
  const byId = new Map<string, Peer>()
  const counts: SwarmCounts = { joins: 0, claims: 0, cancels: 0, moves: 0, drops: 0, probes: 0, confirms: 0, resumes: 0, decisions: 0 }
  const violations: string[] = []
  const moves: Array<{ peer: string, at: number, from: UnitRange, to: UnitRange }> = []
  const held = new Int32Array(unitWork.length)
  const lostAt = new Float64Array(unitWork.length).fill(NaN)
  const goneLately: Array<{ at: number, hosted: HostedRange[] }> = []
  let uncovered = 0
  let unlucky = 0

  const living = () => peers.filter(({ alive }) => alive)
  const isHeld = ({ state }: HostedRange) => state === 'serving' || state === 'draining' || state === 'drained'

  function hold (range: UnitRange, change: 1 | -1): void {
    for (let unit = range.from; unit < range.to; unit++) {
      held[unit] += change
      if (held[unit] === 0) lostAt[unit] = events.now
      if (held[unit] === 1 && change === 1 && !Number.isNaN(lostAt[unit])) {
        uncovered += events.now - lostAt[unit]
        lostAt[unit] = NaN
      }
    }
  }

  function setState (peer: Peer, range: UnitRange, state: HostedRange['state'] | undefined): void {
    const before = peer.hosted.find(hosted => isSame(hosted.range, range))
    peer.hosted = peer.hosted.filter(hosted => hosted !== before)
    const next = state === undefined ? undefined : { range, state }
    if (next !== undefined) peer.hosted.push(next)
    if (peer.init.kind === 'ghost') return
    const was = before !== undefined && isHeld(before)
    const is = next !== undefined && isHeld(next)
    if (was !== is) hold(range, is ? 1 : -1)
  }

  function viewOf (peer: Peer): PlacementView {
    const records: PlacementRecord[] = []
    const speeds = new Map<string, number>()
    for (const other of peers) {
      if (other === peer) continue
      const record = network.heard(peer, other, events.now)
      if (record !== undefined) records.push(record)
    }
    for (const [id, { speed, at }] of peer.measured) {
      if (at > events.now - MEASURED_LIFE) speeds.set(id, speed)
      else peer.measured.delete(id)
    }
    return { records, speeds, confirmed: peer.confirmed }
  }

  function announce (peer: Peer, announcement: { ranges: PlacementRange[], claim?: PlacementRecord['claim'] }): void {
    const { record } = peer
    if (JSON.stringify([record.ranges, record.claim]) === JSON.stringify([announcement.ranges, announcement.claim])) return
    peer.record = { peerId: record.peerId, speed: record.speed, ...announcement }
    peer.changes.push({ at: events.now, record: peer.record })
    while (peer.changes.length > 1 && peer.changes[1].at < events.now - 10 * ANNOUNCE) peer.changes.shift()
  }

  function capacity (units: number): UnitRange[] {
    return unitWork.map((_, from) => ({ from, to: Math.min(unitWork.length, from + units) }))
  }

  function decide (peer: Peer): void {
    if (!peer.alive || peer.stopping || peer.init.kind !== undefined) return
    counts.decisions++
    const { init: { id, speed, units, beside = true }, state: before } = peer
    const step = decideMove(before, viewOf(peer), {
      peerId: id, unitWork, speed, capacity: capacity(units), capacityBeside: beside ? capacity(units) : undefined, hosted: peer.hosted
    }, events.now, timing)
    peer.state = step.state
    const { range } = step.state
    if (step.state.phase === 'resting' && before.phase !== 'resting' && range !== undefined && (before.range === undefined || !isSame(before.range, range))) {
      const from = before.range ?? lastRange.get(peer)
      if (from === undefined) counts.joins++
      else {
        counts.moves++
        moves.push({ peer: id, at: events.now, from, to: range })
      }
      lastRange.set(peer, range)
    }
    for (const action of step.actions) perform(peer, action)
    announce(peer, step.announcement)
    wakeAt(peer, step.wakeAt)
  }

  function wakeAt (peer: Peer, at: number): void {
    // a millisecond at least: time goes on
    peer.wakeAt = Math.max(at, events.now + 1)
    const due = peer.wakeAt
    events.schedule(due, () => { if (peer.wakeAt === due) decide(peer) })
  }

  function later (peer: Peer, milliseconds: number, run: () => void): void {
    events.schedule(events.now + milliseconds, () => {
      if (!peer.alive) return
      run()
      decide(peer)
    })
  }

  function perform (peer: Peer, action: PlacementAction): void {
    switch (action.type) {
      case 'claim': counts.claims++; break
      case 'cancel': counts.cancels++; break
      case 'load': return load(peer, action.range, action.into)
      case 'resume':
        counts.resumes++
        if (peer.hosted.some(({ range, state }) => isSame(range, action.range) && state !== 'serving')) setState(peer, action.range, 'serving')
        break
      case 'drain':
        setState(peer, action.range, 'draining')
        later(peer, drain, () => { if (peer.hosted.some(({ range, state }) => isSame(range, action.range) && state === 'draining')) setState(peer, action.range, 'drained') })
        break
      case 'drop': return drop(peer, action.range)
      case 'probe': for (const id of action.peers) probe(peer, byId.get(id)!); break
      case 'confirm': for (const id of action.peers) exchange(peer, byId.get(id)!); break
    }
  }

  function load (peer: Peer, range: UnitRange, into: 'memory' | 'disk'): void {
    const stored = peer.hosted.some(hosted => isSame(hosted.range, range) && hosted.state === 'stored')
    setState(peer, range, 'loading')
    const milliseconds = (range.to - range.from) * loadUnit * (stored ? 0.1 : 0.5 + random())
    const failed = random() < loadFailure
    later(peer, milliseconds, () => {
      if (!peer.hosted.some(hosted => isSame(hosted.range, range) && hosted.state === 'loading')) return
      setState(peer, range, failed ? 'failed' : into === 'disk' ? 'stored' : 'serving')
    })
  }

  function drop (peer: Peer, range: UnitRange): void {
    counts.drops++
    const wasHeld = peer.hosted.some(hosted => isSame(hosted.range, range) && isHeld(hosted))
    setState(peer, range, undefined)
    if (!wasHeld) return
    for (let unit = range.from; unit < range.to; unit++) {
      if (held[unit] > 0) continue
      const died = goneLately.some(({ at, hosted }) => at > events.now - timing.confirmLife && hosted.some(({ range }) => range.from <= unit && unit < range.to))
      if (died) unlucky++
      else violations.push(`${peer.init.id} dropped unit ${unit} as its last holder at ${events.now}`)
    }
  }

  function probe (peer: Peer, target: Peer): void {
    counts.probes++
    const there = network.delay(peer.index, target.index, events.now)
    later(peer, 2 * there + 200, () => {
      if (!target.alive || !network.isConnected(peer.index, target.index, events.now)) return
      const speed = target.init.kind === 'ghost' ? 0 : target.init.speed * (0.95 + 0.1 * random())
      peer.measured.set(target.init.id, { speed, at: events.now })
    })
  }

  function exchange (peer: Peer, target: Peer): void {
    counts.confirms++
    const began = events.now
    const sent = peer.record
    events.schedule(began + network.delay(peer.index, target.index, began), () => {
      if (!target.alive || !network.isConnected(peer.index, target.index, events.now)) return
      target.exchanged.set(peer.index, { at: began, record: sent })
      decide(target)
      const answer = target.record
      const at = events.now
      later(peer, network.delay(target.index, peer.index, at), () => {
        peer.exchanged.set(target.index, { at, record: answer })
        peer.confirmed.set(target.init.id, began)
      })
    })
  }

  function depart (peer: Peer): void {
    peer.alive = false
    peer.goneAt = events.now
    goneLately.push({ at: events.now, hosted: peer.hosted.filter(isHeld) })
    while (goneLately[0].at < events.now - 60_000) goneLately.shift()
    for (const { range } of peer.hosted.slice()) setState(peer, range, undefined)
    events.schedule(events.now + 2 * LIFE, () => {
      peers = peers.filter(other => other !== peer)
      lastRange.delete(peer)
    })
  }

  function block (peer: Peer, range: UnitRange): void {
    events.schedule(events.now + 60_000, () => {
      if (!peer.alive) return
      announce(peer, { ranges: peer.record.ranges.slice(), claim: { range, id: events.now.toString(16).padStart(12, '0').slice(0, 12) } })
      block(peer, range)
    })
  }

  return {
    get now () { return events.now },
    counts,
    violations,
    moves,
    get uncovered () {
      return lostAt.reduce((sum, at) => Number.isNaN(at) ? sum : sum + events.now - at, uncovered)
    },
    get unlucky () { return unlucky },
    join (peerInit) {
      const { id, range, speed, announces = speed } = peerInit
      const record: PlacementRecord = { peerId: id, speed: announces, ranges: range === undefined ? [] : [{ range, state: 'serving' }] }
      const peer: Peer = {
        init: peerInit,
        index: ids.push(id) - 1,
        phase: events.now + ANNOUNCE * random(),
        bornAt: events.now,
        goneAt: Infinity,
        alive: true,
        stopping: false,
        state: createPlacementState(range),
        hosted: [],
        record,
        changes: [{ at: events.now, record }],
        exchanged: new Map(),
        measured: new Map(),
        confirmed: new Map(),
        wakeAt: 0
      }
      peers.push(peer)
      byId.set(id, peer)
      if (range !== undefined) {
        setState(peer, range, 'serving')
        lastRange.set(peer, range)
      }
      if (peerInit.blocks !== undefined) block(peer, peerInit.blocks)
      // a look around first: nobody is known at the first moment
      else wakeAt(peer, events.now + 1_000 + timing.check * (range === undefined ? 0.05 : 1) * random())
    },
    leave (id) {
      const peer = byId.get(id)
      if (peer?.alive !== true) return
      announce(peer, { ranges: peer.record.ranges.map(({ range }) => ({ range, state: 'draining' })) })
      peer.stopping = true
      events.schedule(events.now + drain, () => { if (peer.alive) depart(peer) })
    },
    crash (id) {
      const peer = byId.get(id)
      if (peer?.alive === true) depart(peer)
    },
    alive: () => living().map(({ init }) => init.id),
    rangesOf: id => byId.get(id)!.hosted.filter(isHeld).map(({ range }) => range),
    holders: () => [...held],
    throughput () {
      const sums = unitWork.map(() => 0)
      for (const { init: { speed, kind }, hosted } of living()) {
        if (kind === 'ghost') continue
        const ranges = hosted.filter(({ state }) => state === 'serving').map(({ range }) => range)
        const work = ranges.reduce((sum, { from, to }) => sum + unitWork.slice(from, to).reduce((a, b) => a + b, 0), 0)
        for (const { from, to } of ranges) for (let unit = from; unit < to; unit++) sums[unit] += speed / work
      }
      return sums
    },
    cut: groupOf => network.cut(events.now, index => groupOf(ids[index])),
    heal: () => network.cut(events.now, () => 0),
    schedule: (milliseconds, run) => events.schedule(events.now + milliseconds, run),
    run: milliseconds => events.runUntil(events.now + milliseconds)
  }
}

function isSame (a: UnitRange, b: UnitRange): boolean {
  return a.from === b.from && a.to === b.to
}
