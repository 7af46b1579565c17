import type { UnitRange } from '../../model/index.ts'
import { median } from '../median.ts'
import { attributeStep } from './attribute-step.ts'
import { MAX_MEASURED_PAIRS, MAX_MEASURED_PEERS, PREFILL_ROWS, UNKNOWN_PING_SECONDS } from './constants.ts'
import { observe } from './estimate.ts'
import type { Estimate } from './estimate.ts'

/** `decode`: passes over one row or a few; `prefill`: for each row of passes over many. */
export type StepKind = 'decode' | 'prefill'

export interface MeasuredStep {
  /** in the order of the route */
  stages: ReadonlyArray<{ peer: string, range: UnitRange, claimedSeconds: number, local?: boolean }>
  /** from sending to receiving, with nothing else of the session under way meanwhile */
  totalSeconds: number
  rows: number
  atSeconds: number
}

/** What a client has measured of peers, and of the ways between them. Does no I/O and reads no clock. */
export interface Measurements {
  recordStep: (step: MeasuredStep) => void
  /** half of a round trip of the client's own to a peer: nobody can make it shorter than it is */
  recordPing: (peer: string, seconds: number, atSeconds: number) => void
  /** seconds for a unit of work, all waiting there included; undefined where no step went through the peer */
  secondsPerWork: (peer: string, kind?: StepKind) => number | undefined
  /** for `chooseRoute` */
  hopSeconds: (from: string | undefined, to: string | undefined) => number
  leastHopSeconds: (to: string | undefined) => number
}

/** @param unitWork what `routeWork` says, here as for `chooseRoute` */
export function createMeasurements (unitWork: readonly number[]): Measurements {
  const speeds = { decode: new Map<string, Estimate>(), prefill: new Map<string, Estimate>() }
  const pings = new Map<string, Estimate>()
  const pairs = new Map<string, Map<string, Estimate>>()
  let pairCount = 0

  const ping = (peer: string | undefined) => peer === undefined ? 0 : pings.get(peer)?.value ?? UNKNOWN_PING_SECONDS
  // no way between two peers takes longer than the one over the client
  const longestHop = (from: string | undefined, to: string | undefined) => ping(from) + ping(to)
  const workOf = ({ from, to }: UnitRange) => unitWork.slice(from, to).reduce((sum, work) => sum + work, 0)

  function recordHop (from: string | undefined, to: string | undefined, seconds: number, atSeconds: number): void {
    if (from === undefined || to === undefined) return
    const known = pairs.get(to) ?? new Map<string, Estimate>()
    if (!known.has(from)) pairCount++
    known.set(from, observe(known.get(from), seconds, atSeconds))
    pairs.delete(to)
    pairs.set(to, known)
    while (pairCount > MAX_MEASURED_PAIRS) {
      const [oldest, dropped] = pairs.entries().next().value!
      pairs.delete(oldest)
      pairCount -= dropped.size
    }
  }

  return {
    recordStep ({ stages, totalSeconds, rows, atSeconds }) {
      if (stages.length === 0 || !(totalSeconds > 0)) return
      const kind = rows < PREFILL_ROWS ? 'decode' : 'prefill'
      const known = speeds[kind]
      let usual: number | undefined
      const expected = (peer: string) => known.get(peer)?.value ?? (usual ??= median([...known.values()].map(({ value }) => value)) ?? 0)
      const times = kind === 'decode' ? 1 : rows
      const places = [undefined, ...stages.map(({ peer, local }) => local === true ? undefined : peer), undefined]
      const work = stages.map(({ range }) => workOf(range))
      const attribution = attributeStep({
        totalSeconds,
        stages: stages.map(({ peer, claimedSeconds, local }, index) => ({
          work: work[index],
          claimedSeconds,
          expectedSeconds: expected(peer) * work[index] * times,
          local
        })),
        hopSeconds: places.slice(1).map((to, index) => longestHop(places[index], to))
      })
      for (const [index, { peer, local }] of stages.entries()) {
        if (local === true || work[index] === 0) continue
        keep(known, peer, observe(known.get(peer), attribution.stages[index] / work[index] / times, atSeconds), MAX_MEASURED_PEERS)
      }
      if (kind === 'decode') for (const [index, hop] of attribution.hops.entries()) recordHop(places[index], places[index + 1], hop, atSeconds)
    },
    recordPing: (peer, seconds, atSeconds) => keep(pings, peer, observe(pings.get(peer), seconds, atSeconds), MAX_MEASURED_PEERS),
    secondsPerWork: (peer, kind = 'decode') => speeds[kind].get(peer)?.value,
    // of a pair that has not met: the client lies on no particular side of both
    hopSeconds: (from, to) => (from === undefined || to === undefined ? undefined : pairs.get(to)?.get(from)?.value) ?? Math.max(ping(from), ping(to)),
    leastHopSeconds: to => to === undefined ? 0 : [...pairs.get(to)?.values() ?? []].reduce((least, { value }) => Math.min(least, value), ping(to))
  }
}

/** What is kept last is dropped last. */
function keep (map: Map<string, Estimate>, key: string, value: Estimate, most: number): void {
  map.delete(key)
  map.set(key, value)
  if (map.size > most) map.delete(map.keys().next().value!)
}
