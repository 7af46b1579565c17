import { OtherModelError, NothingHostedError, RangeGapError } from '../errors.ts'
import type { StageError } from '../errors.ts'
import { stageErrors } from './attempt.ts'
import type { Established } from './attempt.ts'
import { chooseStages } from './choose-stages.ts'
import type { ChooseStagesInit, PlannedStage } from './choose-stages.ts'
import { createConduct } from './conduct.ts'
import { unitNames } from './unit-names.ts'

export interface OpenRouteInit extends Pick<ChooseStagesInit, 'unitCount' | 'costs' | 'seed'> {
  candidates: () => ChooseStagesInit['candidates']
  /** stages of this machine */
  locals: readonly PlannedStage[]
  /** of `performance.now()` */
  openBy: number
  /** why peers that were asked are no candidates */
  problems: () => Error[]
  /** resolves when there may be other candidates; undefined where there never will be */
  changed?: (until: number) => Promise<void>
  attempt: (planned: readonly PlannedStage[]) => Promise<Established>
  onFailures: (failures: StageError[]) => void
}

/**
 * The first route of a session. A stage that refuses, or cannot be reached, or
 * is lost meanwhile, is left out of the next attempt; so is a hop that cannot
 * be made. Throws RangeGapError where nobody hosts a unit, what was wrong with
 * peers that do, and what engines of this machine throw.
 */
export async function openRoute (init: OpenRouteInit): Promise<Established> {
  const { unitCount, costs, seed, locals, openBy } = init
  const conduct = createConduct({ forgiving: false })
  /** of each attempt */
  const failures: StageError[][] = []
  for (;;) {
    const now = performance.now()
    const chosen = chooseStages({ unitCount, costs, seed, conduct, now, kept: locals, candidates: init.candidates() })
    const late = now >= openBy
    if (!late && 'stages' in chosen) {
      try {
        return await init.attempt(chosen.stages)
      } catch (error) {
        const found = stageErrors(error as Error)
        if (found.length === 0 || found.some(({ peerId }) => peerId === undefined)) throw error
        for (const failure of found) conduct.note(failure, now)
        failures.push(found)
        init.onFailures(found)
      }
    } else if (!late && init.changed !== undefined) {
      await init.changed(openBy)
    } else {
      throw failures.length > 0 ? mostTelling(failures) : explain('missing' in chosen ? chosen.missing : [], unitCount, init.problems())
    }
  }
}

/** A peer that could not be used is the better explanation of a gap than the gap. */
function explain (missing: number[], unitCount: number, problems: Error[]): Error {
  const gap = new RangeGapError(missing, unitNames(missing, unitCount))
  const problem = worstProblem(problems)
  if (problem === undefined) return gap
  problem.message += ` (and without it, ${gap.message})`
  return problem
}

/** Of what was wrong with peers that were asked, what says most. */
export function worstProblem (problems: readonly Error[]): Error | undefined {
  return problems.find(error => error instanceof OtherModelError) ?? problems.find(error => !(error instanceof NothingHostedError)) ?? problems[0]
}

/** One error for several: a refusal says more than a loss, and the last attempt is closest to what could still be done. */
function mostTelling (attempts: readonly StageError[][]): Error {
  const last = attempts[attempts.length - 1]
  const error = last.find(({ name }) => name !== 'StageLostError') ?? last[0]
  const before = new Set(attempts.slice(0, -1).flat().filter(failure => failure !== error).map(({ message }) => message))
  if (before.size > 0) error.message += ` (and before that, ${[...before].join('; ')})`
  const { cause } = error
  return cause instanceof Error && cause.name === 'IncompatibleVersionError' && before.size === 0 ? cause : error
}
