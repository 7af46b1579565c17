import { RouteLostError } from '../errors.ts'
import { stageErrors } from './attempt.ts'
import type { Established } from './attempt.ts'
import type { ChosenStages, MissingUnits, PlannedStage } from './choose-stages.ts'
import { Grade } from './conduct.ts'
import type { Trouble } from './trouble.ts'
import { unitNames } from './unit-names.ts'

export interface RepairRouteInit {
  trouble: Trouble
  unitCount: number
  /** how long it may take to find somebody, in milliseconds; replays do not count */
  patience: number
  choose: (now: number, without?: ReadonlySet<string>) => ChosenStages | MissingUnits
  attempt: (planned: readonly PlannedStage[]) => Promise<Established>
  /** resolves when there may be other candidates, or at `until` */
  changed: (until: number) => Promise<void>
  onWaiting: (missing: number[]) => void
  /** time in which positions were replayed goes on counting as progress */
  replaying: () => number
}

/** Tries routes until one works. Throws RouteLostError when the time is over, and what engines of this machine throw. */
export async function repairRoute (init: RepairRouteInit): Promise<{ established: Established, attempts: number }> {
  const { trouble, patience, unitCount } = init
  const started = performance.now()
  let attempts = 0
  let told = ''
  for (;;) {
    const now = performance.now()
    const until = started + patience + init.replaying()
    const chosen = init.choose(now)
    // who has never failed is given a chance, however late
    if (now >= until && !('stages' in chosen && chosen.grade === Grade.good)) {
      // who has failed may be tried again, but is nobody to count on
      const honest = init.choose(now, trouble.lost)
      const missing = 'missing' in honest ? honest.missing : []
      throw new RouteLostError(now - started, missing, unitNames(missing, unitCount), trouble.failures.at(-1))
    }
    if ('missing' in chosen) {
      const names = unitNames(chosen.missing, unitCount)
      if (names !== told) init.onWaiting(chosen.missing)
      told = names
      await init.changed(until)
      continue
    }
    attempts++
    try {
      return { established: await init.attempt(chosen.stages), attempts }
    } catch (error) {
      const failures = stageErrors(error as Error)
      if (failures.length === 0) throw error
      const own = trouble.absorb(failures, performance.now())
      if (own !== undefined) throw own
    }
  }
}
