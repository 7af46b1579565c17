import type { StageError } from '../errors.ts'
import type { CandidatePool } from './candidate-pool.ts'
import type { Conduct } from './conduct.ts'
import type { RouteMembers } from './route-members.ts'

/** What stands between a session and its next route: which of its stages are gone, and who cannot work together. */
export interface Trouble {
  /** peers of which the session has nothing more to expect */
  readonly lost: Set<string>
  /** the accused peer, and its neighbour that says so */
  readonly quarrels: Array<[string, string]>
  /** all that was absorbed */
  readonly failures: StageError[]
  /** Takes failures of stages to heart. Gives what is no failure of a peer, and so must be thrown. */
  absorb (failures: readonly StageError[], now: number): StageError | undefined
  /** it is over: the session has a route again */
  clear (): void
}

export function createTrouble ({ conduct, members, pool }: { conduct: Conduct, members: RouteMembers, pool: CandidatePool }): Trouble {
  const lost = new Set<string>()
  const quarrels: Array<[string, string]> = []
  const failures: StageError[] = []

  function take (failure: StageError, now: number): void {
    const { peerId, neighbour, name, message } = failure
    failures.push(failure)
    conduct.note(failure, now)
    if (neighbour !== undefined) {
      // both may say so; who said it first is believed more
      if (!quarrels.some(pair => pair.includes(peerId!) && pair.includes(neighbour))) quarrels.push([peerId!, neighbour])
      return
    }
    lost.add(peerId!)
    members.drop(peerId!, { silent: name === 'StageLostError' })
    if (isSuspect(failure)) pool.suspect(peerId!, message)
  }

  return {
    lost,
    quarrels,
    failures,
    absorb (all, now) {
      const known = new Set(failures)
      for (const failure of all) if (failure.peerId !== undefined && !known.has(failure)) take(failure, now)
      return all.find(({ peerId }) => peerId === undefined)
    },
    clear () {
      lost.clear()
      quarrels.length = 0
      failures.length = 0
    }
  }
}

/** Others had better not ask a peer that is gone before our eyes, or talks nonsense. One that is merely full may have room for them. */
export function isSuspect ({ name, neighbour, sessionLost }: StageError): boolean {
  return neighbour === undefined && (name === 'StageLostError' || name === 'StageStalledError' || (name === 'StageFailedError' && sessionLost))
}
