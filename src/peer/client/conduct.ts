import type { StageError } from '../errors.ts'
import { MAXIMUM_REST_MILLISECONDS, REST_MILLISECONDS } from '../constants.ts'

/** How far a peer can be relied on; who has a higher grade is chosen only where nobody with a lower one will do. */
export const Grade = { good: 0, doubtful: 1, bad: 2 } as const
export type GradeNumber = typeof Grade[keyof typeof Grade]

/**
 * How peers have behaved towards one session. Who has failed it is left alone
 * for a while, and for good as long as there are others; so is a hop between
 * two peers of which one says that it has lost the other. Times are those of
 * `performance.now()`, given by the caller.
 */
export interface Conduct {
  note (failure: StageError, now: number): void
  /** the peer says that it is going to stop */
  leaves (peerId: string): void
  grade (peerId: string): GradeNumber
  /** of the hop between two peers, in either direction */
  hopGrade (one: string, other: string): GradeNumber
  /** when the peer may be asked again; 0 where it may be at any time */
  restsUntil (peerId: string): number
  hopRestsUntil (one: string, other: string): number
  /** hops that are not to be tried yet */
  restingHops (now: number): Array<[string, string]>
  /** when the next peer or hop may be tried again; Infinity where none rests */
  nextRestEnds (now: number): number
  /** of two peers that cannot work together, the one to do without: who has quarrelled with more of them, else the one that is accused */
  suspect (neighbour: string, accused: string): string
}

interface Record {
  grade: GradeNumber
  times: number
  restsUntil: number
}

/** `forgiving`: peers may be tried again after a rest. An opening tries everybody once. */
export function createConduct ({ forgiving }: { forgiving: boolean }): Conduct {
  const peers = new Map<string, Record>()
  const hops = new Map<string, Record>()
  /** for each peer those with whom it could not work */
  const quarrels = new Map<string, Set<string>>()

  function mark (records: Map<string, Record>, key: string, grade: GradeNumber, now: number, again = false): void {
    const record = records.get(key) ?? { grade, times: 0, restsUntil: 0 }
    const rest = again && record.times === 0 ? 0 : forgiving ? Math.min(MAXIMUM_REST_MILLISECONDS, REST_MILLISECONDS * 2 ** record.times) : Infinity
    records.set(key, { grade: Math.max(record.grade, grade) as GradeNumber, times: record.times + 1, restsUntil: now + rest })
  }

  // no PeerId has a space in it
  const hopOf = (one: string, other: string): string => one < other ? `${one} ${other}` : `${other} ${one}`

  function quarrel (one: string, other: string): void {
    const others = quarrels.get(one) ?? new Set()
    quarrels.set(one, others.add(other))
  }

  return {
    note ({ name, peerId, neighbour, retryable }, now) {
      if (peerId === undefined) return
      // a refusal, or a want of room, says nothing against a peer; one that took back room of an idle session may be asked at once
      const innocent = name === 'StageRefusedError' || name === 'SessionEvictedError' || (name === 'StageFailedError' && retryable)
      if (neighbour === undefined) return mark(peers, peerId, innocent ? Grade.doubtful : Grade.bad, now, name === 'SessionEvictedError')
      mark(hops, hopOf(neighbour, peerId), Grade.bad, now)
      quarrel(neighbour, peerId)
      quarrel(peerId, neighbour)
    },
    leaves (peerId) {
      const record = peers.get(peerId) ?? { grade: Grade.doubtful, times: 0, restsUntil: 0 }
      peers.set(peerId, record)
    },
    grade: peerId => Math.max(peers.get(peerId)?.grade ?? Grade.good, quarrels.has(peerId) ? Grade.doubtful : Grade.good) as GradeNumber,
    hopGrade: (one, other) => hops.get(hopOf(one, other))?.grade ?? Grade.good,
    restsUntil: peerId => peers.get(peerId)?.restsUntil ?? 0,
    hopRestsUntil: (one, other) => hops.get(hopOf(one, other))?.restsUntil ?? 0,
    restingHops: now => [...hops].filter(([, { restsUntil }]) => restsUntil > now).map(([hop]) => hop.split(' ') as [string, string]),
    nextRestEnds: now => Math.min(...[...peers.values(), ...hops.values()].map(({ restsUntil }) => restsUntil > now ? restsUntil : Infinity)),
    suspect: (neighbour, accused) => (quarrels.get(neighbour)?.size ?? 0) > (quarrels.get(accused)?.size ?? 0) ? neighbour : accused
  }
}
