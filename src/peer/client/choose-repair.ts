import { chooseStages } from './choose-stages.ts'
import type { ChooseStagesInit, ChosenStages, MissingUnits, PlannedStage } from './choose-stages.ts'

export interface ChooseRepairInit extends Omit<ChooseStagesInit, 'kept'> {
  /** the route as it was when it last worked; stages of this machine always stay */
  present: readonly PlannedStage[]
  /** peers that hold nothing of the session any more, or cannot be relied on */
  lost: ReadonlySet<string>
  /** pairs of peers that cannot work together: the one that is accused, and its neighbour that says so */
  quarrels: ReadonlyArray<readonly [string, string]>
  /** peers that will stop soon */
  leaving: ReadonlySet<string>
}

/**
 * The stages of a route that goes on. What is lost is replaced and nothing
 * else, unless there is no other way: of two peers that have lost each other,
 * first the one that is suspected more goes, then the other, then both, and then
 * they may try again; a peer that is leaving stays where nobody can take its
 * place; and at last every remote stage may change.
 */
export function chooseRepair (init: ChooseRepairInit): ChosenStages | MissingUnits {
  const { present, lost, quarrels, leaving, conduct } = init
  const suspects = quarrels.map(([accused, neighbour]) => conduct.suspect(neighbour, accused))
  const others = quarrels.map(([accused, neighbour], index) => suspects[index] === accused ? neighbour : accused)
  let best: ChosenStages | undefined
  let first: MissingUnits | undefined
  const consider = (kept: readonly PlannedStage[], more: Partial<ChooseStagesInit> = {}): void => {
    const chosen = chooseStages({ ...init, ...more, kept })
    if ('missing' in chosen) first ??= chosen
    else if (best === undefined || chosen.grade < best.grade) best = chosen
  }
  const without = (...peers: Array<Iterable<string>>): PlannedStage[] => {
    const gone = new Set(peers.flatMap(list => [...list]))
    return present.filter(({ peerId }) => peerId === undefined || !gone.has(peerId))
  }

  consider(without(lost, leaving, suspects))
  if (quarrels.length > 0) {
    consider(without(lost, leaving, others))
    consider(without(lost, leaving, suspects, others))
    consider(without(lost, leaving))
  }
  if (best === undefined && leaving.size > 0) {
    consider(without(lost, suspects))
    consider(without(lost))
  }
  if (best === undefined) consider(present.filter(({ peerId }) => peerId === undefined), { favoured: without(lost) })
  return best ?? first!
}
