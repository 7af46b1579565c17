import { chooseRoute } from '../../partition/index.ts'
import type { HopSeconds, RouteHolder } from '../../partition/index.ts'
import type { UnitRange } from '../../model/index.ts'
import type { CandidateRecord } from '../types.ts'
import { Grade } from './conduct.ts'
import type { Conduct, GradeNumber } from './conduct.ts'

/** A stage as it is planned, or as it is. */
export interface PlannedStage {
  range: UnitRange
  /** undefined for a stage of this machine */
  peerId?: string
}

/** What is known of how long things take. */
export interface RouteCosts {
  unitWork: readonly number[]
  hopSeconds: HopSeconds
  leastHopSeconds?: (to: string | undefined) => number
  secondsPerWork: (peerId: string) => number | undefined
  queueSeconds: (record: CandidateRecord) => number
}

export interface ChooseStagesInit {
  /** of the model */
  unitCount: number
  /** stages that stay, in order; the units between them are to be given to somebody */
  kept: readonly PlannedStage[]
  candidates: readonly CandidateRecord[]
  /** stages that are there already, and had better go on */
  favoured?: readonly PlannedStage[]
  conduct: Conduct
  costs: RouteCosts
  /** the session's id: sessions differ in their choice where peers are alike */
  seed: string
  /** of `performance.now()` */
  now: number
}

export interface ChosenStages {
  /** all of the route */
  stages: PlannedStage[]
  /** of the worst peer, or hop, that had to be taken */
  grade: GradeNumber
}

/** There is no route now. */
export interface MissingUnits {
  /** units that nobody hosts who can be asked; empty where they only cannot be put in a row */
  missing: number[]
}

/** What a peer of a grade costs more: with any of a worse one, a route is worse than with all of a better one. */
const WEIGHTS = { [Grade.good]: 1, [Grade.doubtful]: 1e3, [Grade.bad]: 1e6 }

/** What a stage that is there already costs beside others: all that it holds would have to be computed again. */
const FAVOUR = 0.01

/** Of hops that have failed. */
const BAD_HOP_SECONDS = 1e6

/** Gives the units that no kept stage runs to the peers that do them best; a peer is one stage at most. */
export function chooseStages (init: ChooseStagesInit): ChosenStages | MissingUnits {
  const { kept, unitCount, conduct, now } = init
  const spans = gaps(kept, unitCount)
  // a peer that serves two spans can be in one of them only: whoever comes first may take it from the other
  const chosen = fill(init, spans) ?? (spans.length > 1 ? fill(init, spans.toReversed()) : undefined)
  if (chosen === undefined) return { missing: spans.flatMap(span => missingUnits(init, span)) }
  const stages = [...kept, ...chosen].sort((a, b) => a.range.from - b.range.from)
  let grade: GradeNumber = Grade.good
  for (const [index, stage] of stages.entries()) {
    const { peerId } = stage
    const before = stages[index - 1]?.peerId
    if (peerId === undefined) continue
    if (!kept.includes(stage)) grade = Math.max(grade, conduct.grade(peerId)) as GradeNumber
    if (before === undefined) continue
    // two that stay may have lost each other
    if (conduct.hopRestsUntil(before, peerId) > now) return { missing: [] }
    grade = Math.max(grade, conduct.hopGrade(before, peerId)) as GradeNumber
  }
  return { stages, grade }
}

function gaps (kept: readonly PlannedStage[], unitCount: number): UnitRange[] {
  const spans: UnitRange[] = []
  let from = 0
  for (const { range } of [...kept, { range: { from: unitCount, to: unitCount } }]) {
    if (range.from > from) spans.push({ from, to: range.from })
    from = range.to
  }
  return spans
}

function fill (init: ChooseStagesInit, spans: readonly UnitRange[]): PlannedStage[] | undefined {
  const taken = new Set(init.kept.flatMap(({ peerId }) => peerId ?? []))
  const stages: PlannedStage[] = []
  for (const span of spans) {
    const route = routeOf(init, span, taken)
    if ('missing' in route) return undefined
    for (const { peer, range } of route.stages) {
      taken.add(peer)
      stages.push({ peerId: peer, range })
    }
  }
  return stages
}

function missingUnits (init: ChooseStagesInit, span: UnitRange): number[] {
  const route = routeOf(init, span, new Set(init.kept.flatMap(({ peerId }) => peerId ?? [])))
  return 'missing' in route && !route.blocked ? route.missing : []
}

function routeOf ({ kept, candidates, favoured = [], conduct, costs, seed, now }: ChooseStagesInit, span: UnitRange, taken: Set<string>): ReturnType<typeof chooseRoute> {
  const usable = candidates.filter(({ peerId }) => !taken.has(peerId) && conduct.restsUntil(peerId) <= now)
  const holders = usable.flatMap(record => record.ranges.filter(({ state }) => state === 'serving').map(({ range }): RouteHolder => ({
    peer: record.peerId,
    range,
    secondsPerWork: costs.secondsPerWork(record.peerId),
    queueSeconds: costs.queueSeconds(record),
    weight: WEIGHTS[conduct.grade(record.peerId)]
  })))
  for (const { peerId, range } of favoured) {
    if (peerId !== undefined && !taken.has(peerId)) holders.push({ peer: peerId, range, secondsPerWork: costs.secondsPerWork(peerId), weight: FAVOUR })
  }
  const before = kept.find(({ range }) => range.to === span.from)?.peerId
  const after = kept.find(({ range }) => range.from === span.to)?.peerId
  return chooseRoute({
    span,
    holders,
    unitWork: costs.unitWork,
    hopSeconds: (from, to) => from !== undefined && to !== undefined && conduct.hopGrade(from, to) !== Grade.good ? BAD_HOP_SECONDS : costs.hopSeconds(from, to),
    leastHopSeconds: costs.leastHopSeconds,
    before,
    after,
    avoid: { pairs: conduct.restingHops(now) },
    spread: { seed }
  })
}
