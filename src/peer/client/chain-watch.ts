import { PROBE_INTERVAL_MILLISECONDS, PROBE_TIMEOUT_MILLISECONDS } from '../constants.ts'
import { StageLostError, StageStalledError } from '../errors.ts'
import type { StageError } from '../errors.ts'
import { decodeProbed, Kind } from '../wire/index.ts'
import type { ProbedRecord } from '../wire/index.ts'
import type { RemoteStage } from './remote-stage.ts'
import { asStageError } from './stage-errors.ts'
import type { StepClock } from './step-clock.ts'

/** The oldest chunk that is not answered. */
export interface Awaited {
  sequence: number
  rows: number
  /** indexes of the stages that it goes through */
  first: number
  last: number
}

export interface ChainWatchInit {
  stages: readonly RemoteStage[]
  clock: StepClock
  /** milliseconds without progress after which a stage is given up in any case */
  deadline: number
  awaited: () => Awaited | undefined
  /** whether another peer could go on in place of one that makes no progress */
  mayReplace: (error: StageError) => boolean
  onFailure: (errors: StageError[]) => void
}

/** While an answer is due: asks every stage for a sign of life, and sees to the deadlines. */
export interface ChainWatch {
  /** a chunk was sent */
  sent (nothingBefore: boolean): void
  /** an answer has come, of which `rows` rows have taken until now */
  progress (rows: number): void
  stop (): void
}

interface Sight {
  /** probes since the last reply */
  unanswered: number
  /** the last reply */
  probed?: ProbedRecord
}

export function createChainWatch ({ stages, clock, deadline, awaited, mayReplace, onFailure }: ChainWatchInit): ChainWatch {
  const sights = stages.map((): Sight => ({ unanswered: 0 }))
  let since = 0
  let timer: NodeJS.Timeout | undefined
  let stopped = false

  function tick (): void {
    timer = undefined
    const oldest = awaited()
    if (oldest === undefined || stopped) return
    const silent = stages.filter((_stage, index) => sights[index].unanswered * PROBE_INTERVAL_MILLISECONDS >= PROBE_TIMEOUT_MILLISECONDS)
    if (silent.length > 0) return onFailure(silent.map(({ place }) => new StageLostError(place, `no sign of life within ${PROBE_TIMEOUT_MILLISECONDS} ms`)))
    const waited = performance.now() - since
    const limit = limitOf(oldest)
    if (waited >= deadline || (limit !== undefined && waited >= limit)) {
      const error = stalled(oldest, waited)
      if (waited >= deadline || mayReplace(error)) return onFailure([error])
    }
    if (waited >= PROBE_INTERVAL_MILLISECONDS) for (const index of stages.keys()) probe(index)
    start(limit)
  }

  /** Stages have been asked twice by then, so that it is known where the chunk is. */
  function limitOf ({ rows }: Awaited): number | undefined {
    const limit = clock.limit(rows)
    return limit === undefined ? undefined : Math.max(limit, 2 * PROBE_INTERVAL_MILLISECONDS + 1)
  }

  function start (limit?: number): void {
    if (stopped) return
    const now = performance.now()
    const left = [deadline, limit].map(most => most === undefined ? Infinity : since + most - now).filter(left => left > 0)
    timer ??= setTimeout(tick, Math.max(1, Math.min(PROBE_INTERVAL_MILLISECONDS, ...left.map(left => left + 1))))
  }

  function probe (index: number): void {
    const sight = sights[index]
    sight.unanswered++
    stages[index].request({ kind: Kind.probe }, Kind.probed, 2 * PROBE_TIMEOUT_MILLISECONDS).then(frame => {
      sight.unanswered = 0
      sight.probed = decodeProbed(frame.record!)
    }).catch(error => {
      // silence is counted by `tick`; any reply but the right one says that the stage has lost the session
      if (!(error instanceof StageLostError)) onFailure([asStageError(error as Error, stages[index].place)])
    })
  }

  /** The first stage that has the oldest chunk and has not passed it on; or the one that did not get it. */
  function stalled ({ sequence, first, last }: Awaited, milliseconds: number): StageStalledError {
    let index = first
    while (index < last && (sights[index].probed?.finished ?? 0) >= sequence) index++
    return new StageStalledError(stages[index].place, `no progress within ${Math.round(milliseconds)} ms`)
  }

  return {
    sent (nothingBefore) {
      if (nothingBefore) {
        since = performance.now()
        for (const sight of sights) {
          sight.unanswered = 0
          sight.probed = undefined
        }
      }
      if (timer === undefined) start()
    },
    progress (rows) {
      const now = performance.now()
      clock.observe(rows, now - since)
      since = now
    },
    stop () {
      stopped = true
      clearTimeout(timer)
      timer = undefined
    }
  }
}
