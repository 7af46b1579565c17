import type { CandidateRecord, CandidateSource } from '../../src/peer/index.ts'
import type { StubPeer } from './peers.ts'

/** Candidates as a directory of peers would tell them. */
export interface TestCandidates extends CandidateSource {
  learn (record: CandidateRecord): void
  forget (peerId: string): void
  /** peers that a session has complained of */
  readonly suspected: string[]
}

export function candidateSource (known: CandidateRecord[]): TestCandidates {
  const listeners = new Set<() => void>()
  const records = new Map(known.map(record => [record.peerId, record]))
  const changed = (): void => { for (const listener of listeners) listener() }
  const suspected: string[] = []
  return {
    suspected,
    learn (record) {
      records.set(record.peerId, record)
      changed()
    },
    forget (peerId) {
      records.delete(peerId)
      changed()
    },
    records: () => [...records.values()],
    onChange (listener) {
      listeners.add(listener)
      return () => { listeners.delete(listener) }
    },
    refresh: async () => {},
    suspect: peerId => { suspected.push(peerId) }
  }
}

export function recordOf ({ id, address, engine: { range } }: StubPeer): CandidateRecord {
  return { peerId: id, addresses: [address], ranges: [{ range, state: 'serving' }] }
}
