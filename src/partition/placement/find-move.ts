import type { UnitRange } from '../../model/index.ts'
import { chooseRange } from './choose-range.ts'
import { GAIN } from './constants.ts'
import { addThroughput, isSame, rangeWork, unitThroughput, weakest } from './throughput.ts'
import type { PlacedPeer } from './throughput.ts'

export interface FindMoveInit {
  unitWork: readonly number[]
  others: readonly PlacedPeer[]
  own: { peer: string, range: UnitRange, speed: number, capacity: readonly UnitRange[] }
  /** what the weakest unit has to come to, times what it is; default GAIN */
  gain?: number
}

export interface Move {
  range: UnitRange
  /** fills a gap: nobody serves the weakest unit */
  gap: boolean
  /** peers that can be spared more easily, or of a gap: as easily as all can tell; they are to go first */
  rank: number
  /** tokens per second that the units left behind must keep */
  floor: number
}

interface Donor {
  peer: string
  range: UnitRange
  share: number
  speed: number
  capacity: readonly UnitRange[]
  /** least throughput of the units of its range without it */
  spare: number
}

/**
 * Where a peer is of so much more use than where it is that it should move, if
 * anywhere. The units it leaves stay stronger than the weakest unit is now by
 * GAIN, and that one becomes so: by this move alone, or by this and moves of
 * other peers that can be spared. Moves that would leave the weakest unit of the
 * swarm as it is are not worth their cost. A gap is filled in any case, where
 * those who leave leave no gap.
 */
export function findMove (init: FindMoveInit): Move | undefined {
  const { unitWork, others, own, gain = GAIN } = init
  const throughput = unitThroughput([...others, { ranges: [own.range], speed: own.speed }], unitWork)
  const least = throughput.reduce((a, b) => Math.min(a, b), Infinity)
  const goal = least * gain
  const suffices = (value: number) => least > 0 ? value >= goal : value > 0
  const self = donor(unitWork, throughput, { ...own, ranges: [own.range] }, own.capacity)
  if (!suffices(self.spare)) return undefined
  const helpers = others.filter(({ free }) => free)
    .map(other => donor(unitWork, throughput, other, undefined))
    .filter(({ spare }) => suffices(spare))
  const isFirst = least === 0 ? byCopies([...others, { ranges: [own.range], speed: own.speed }], unitWork.length) : isSparedBefore
  const rank = helpers.filter(other => isFirst(other, self)).length
  const first = move(unitWork, throughput, self)
  // sums of floats in another order differ in their last bits: staying is no gain, whatever they say
  if (first === undefined || isSame(first, own.range) || weakest(throughput, first) <= least) return undefined
  const result = { range: first, gap: least === 0, rank, floor: goal }
  if (least === 0) return result
  let left = helpers
  for (;;) {
    if (suffices(throughput.reduce((a, b) => Math.min(a, b), Infinity))) return result
    const able = left.filter(({ range, share }) => suffices(weakest(throughput, range) - share))
    if (able.length === 0) return undefined
    const next = able.reduce((a, b) => isSparedBefore(b, a) ? b : a)
    left = able.filter(other => other !== next)
    const { peer, speed, range } = next
    if (move(unitWork, throughput, donor(unitWork, throughput, { peer, ranges: [range], speed }, undefined)) === undefined) return undefined
  }
}

function donor (unitWork: readonly number[], throughput: Float64Array, { peer, ranges: [range], speed }: Pick<PlacedPeer, 'peer' | 'ranges' | 'speed'>, capacity: readonly UnitRange[] | undefined): Donor {
  const share = speed / rangeWork(unitWork, range)
  return { peer, range, share, speed, capacity: capacity ?? rangesOfWork(unitWork, rangeWork(unitWork, range)), spare: weakest(throughput, range) - share }
}

function isSparedBefore (a: Donor, b: Donor): boolean {
  return a.spare === b.spare ? a.peer < b.peer : a.spare > b.spare
}

/**
 * Who goes first into a gap: the one of whose units the most have copies. Every
 * peer measures others a little slower than itself, and would wait for them if
 * speed decided; but all of them count alike.
 */
function byCopies (peers: ReadonlyArray<Pick<PlacedPeer, 'ranges' | 'speed'>>, unitCount: number): (a: Donor, b: Donor) => boolean {
  const copies = new Int32Array(unitCount)
  for (const { ranges, speed } of peers) {
    if (speed > 0) for (const { from, to } of ranges) for (let unit = from; unit < to; unit++) copies[unit]++
  }
  const least = ({ range: { from, to } }: Donor): number => copies.subarray(from, to).reduce((a, b) => Math.min(a, b), Infinity)
  return (a, b) => least(a) === least(b) ? a.peer < b.peer : least(a) > least(b)
}

/** Moves a donor, in `throughput`, to the range that does the most for the weakest unit; undefined where it has room for no such range. */
function move (unitWork: readonly number[], throughput: Float64Array, { range, share, speed, capacity }: Donor): UnitRange | undefined {
  const unit = throughput.indexOf(throughput.reduce((a, b) => Math.min(a, b), Infinity))
  addThroughput(throughput, range, -share)
  const target = chooseRange({ unitWork, throughput, capacity, speed, unit })
  if (target === undefined) addThroughput(throughput, range, share)
  else addThroughput(throughput, target, speed / rangeWork(unitWork, target))
  return target
}

/** Of another peer it is not known what it has room for: it is taken to be as much as it serves. */
function rangesOfWork (unitWork: readonly number[], most: number): UnitRange[] {
  const ranges: UnitRange[] = []
  let to = 0
  let work = 0
  for (let from = 0; from < unitWork.length; from++) {
    if (to < from) {
      to = from
      work = 0
    }
    while (to < unitWork.length && work + unitWork[to] <= most * (1 + 1e-9)) work += unitWork[to++]
    ranges.push({ from, to })
    if (to > from) work -= unitWork[from]
  }
  return ranges
}
